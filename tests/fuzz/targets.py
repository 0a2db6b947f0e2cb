"""The decoders and parsers that read what strangers, operators and users write.

Each takes bytes, and raises nothing but what it promises.
"""

import asyncio
import base64
import random
from collections.abc import Callable, Generator, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import click
from google.protobuf import message_factory
from google.protobuf.message import DecodeError
from partway.v1 import upload_service_pb2 as pb
from partway_client.cli.options import parse_pairs, parse_size, parse_time
from partway_server.config.backends import Backend
from partway_server.config.policy_file import PolicyFileError, read_rules
from partway_server.domain.errors import CredentialsRejected, UploadError, UploadNotFound
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.policy import Policy
from partway_server.domain.principal import ALL_SCOPES, Principal
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.domain.upload_token_cipher import UploadTokenCipher
from partway_server.rpc.error_mapping import status_of
from partway_server.rpc.identity.base import PRINCIPAL
from partway_server.rpc.servicer import UploadServicer
from partway_server.workflow.batch import at_once

from tests.fuzz.messages import METHODS
from tests.support.uploads import an_upload

Parse = Callable[[bytes], None]

_KEY = bytes(range(64))
_MAX_DETAILS = 8000
"""gRPC cuts trailers that are longer."""

_NAMES = sorted(METHODS)


class _Answer:
    """What the coordinator would return: awaited or iterated, there is no such Upload."""

    def __await__(self) -> Generator[Any, Any, Any]:
        raise UploadNotFound
        yield

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __aiter__(self) -> "_Answer":
        return self

    async def __anext__(self) -> Any:
        raise UploadNotFound

    async def aclose(self) -> None:
        return None


class _Coordinator:
    """A coordinator that knows no Upload, so that handlers only check and convert."""

    def __init__(self) -> None:
        self.concurrency = SimpleNamespace(enter=lambda *_: None, leave=lambda *_: None)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **named: _Answer()


class _Batches:
    """Runs the items of a batch one after the other."""

    async def run(
        self, rpc: str, caller: Caller, context: object, requests: Any, item: Any
    ) -> list[Any]:
        answers = []
        for request in requests:
            try:
                answers.append(await item(request, at_once))
            except UploadError as error:
                answers.append(status_of(error))
        return answers


class _Context:
    def time_remaining(self) -> None:
        return None


def _servicer() -> UploadServicer:
    given: dict[str, Any] = {
        "coordinator": _Coordinator(),
        "policies": {"default": Policy("default", "uploads")},
        "timeout_seconds": 30.0,
        "batches": _Batches(),
    }
    return UploadServicer(**given)


_SERVICER = _servicer()


def handlers(data: bytes) -> None:
    """Decode a request of the RPC that the first byte chooses, check it and convert it."""
    name = _NAMES[data[0] % len(_NAMES)] if data else _NAMES[0]
    kind = message_factory.GetMessageClass(METHODS[name].input_type)
    try:
        request = kind.FromString(data[1:])
    except DecodeError:
        return
    PRINCIPAL.set(Principal(Caller("acme", "alice"), ALL_SCOPES))
    given: Any = _several(request) if METHODS[name].client_streaming else request
    try:
        answer = getattr(_SERVICER, name)(given, _Context())
        _LOOP.run_until_complete(_first(answer) if METHODS[name].server_streaming else answer)
    except UploadError as error:
        size = status_of(error).ByteSize()
        assert size <= _MAX_DETAILS, f"{size} bytes of details"


async def _several(request: Any) -> Any:
    yield request
    yield request


async def _first(answers: Any) -> None:
    await anext(answers)


_LOOP = asyncio.new_event_loop()


def upload_ids(data: bytes) -> None:
    """Open an upload ID that was not made by us, as text and as sealed bytes."""
    for text in (data.decode("utf-8", "replace"), base64.urlsafe_b64encode(data).decode()):
        try:
            _IDS.decrypt(text)
        except UploadNotFound:
            continue


_IDS = UploadIdCipher([_KEY])


def grants(data: bytes) -> None:
    """Unpack a grant, as from a session record that was garbled."""
    try:
        Grant.unpack(data)
    except ValueError:
        return


def policy_files(data: bytes) -> None:
    try:
        read_rules("policies.toml", data, bucket="uploads", default=Backend(name="default"))
    except PolicyFileError:
        return


def arguments(data: bytes) -> None:
    """Parse a size, a time and a pair as the client's command line does."""
    text = data.decode("utf-8", "surrogateescape")
    option: Any = None
    for parse in (parse_size, parse_time, lambda c, o, v: parse_pairs(c, o, [v])):
        try:
            parse(option, option, text)
        except click.BadParameter:
            continue


def tokens(data: bytes) -> None:
    """Open an upload token that was not made by us."""
    for text in (data.decode("utf-8", "replace"), base64.urlsafe_b64encode(data).decode()):
        try:
            _TOKENS.decrypt(text)
        except CredentialsRejected:
            continue


_TOKENS = UploadTokenCipher([_KEY])


TARGETS: Mapping[str, Parse] = {
    "handlers": handlers,
    "upload_ids": upload_ids,
    "grants": grants,
    "policy_files": policy_files,
    "arguments": arguments,
    "tokens": tokens,
}


def seeds() -> Mapping[str, list[bytes]]:
    """Return inputs that each target accepts, to begin from."""
    grant = an_upload().grant
    upload_id = _IDS.encrypt(grant)
    requests = []
    for at, name in enumerate(_NAMES):
        message: Any = message_factory.GetMessageClass(METHODS[name].input_type)()
        if "upload_id" in METHODS[name].input_type.fields_by_name:
            message.upload_id = upload_id
        requests.append(bytes([at]) + message.SerializeToString())
    policy = b'[policy.default]\nmax_size_bytes = "5GiB"\nextensions = ["jpg"]\ntags = {a = "b"}\n'
    opening = pb.InitializeRequest(size_bytes=7, metadata={"a": "b"}).SerializeToString()
    return {
        "handlers": [*requests, bytes([_NAMES.index("Initialize")]) + opening],
        "upload_ids": [upload_id.encode()],
        "grants": [grant.pack()],
        "policy_files": [policy, policy + b'[backend.b]\nkind = "aws"\nregion = "eu-west-1"\n'],
        "arguments": [b"16MiB", b"16 MB", b"2026-03-01T12:30:00+02:00", b"key=value"],
        "tokens": [upload_id.encode()],
    }


def chosen(data: bytes) -> tuple[str, bytes]:
    """Return the target that the first byte chooses, and the rest."""
    names = sorted(TARGETS)
    return names[data[0] % len(names)] if data else names[0], data[1:]


def corpus() -> list[bytes]:
    """Return inputs for all targets, each led by the byte that chooses its target."""
    names, given = sorted(TARGETS), seeds()
    return [bytes([at]) + each for at, name in enumerate(names) for each in given[name]]


def random_input(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(0, 200))
