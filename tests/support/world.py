"""A whole service for a test: a real gRPC server and stub over stores that a test controls."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_server.config.settings import Settings
from partway_server.domain.grant import Grant
from partway_server.domain.part_plan import MIB
from partway_server.domain.policy import Policy
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.rpc.tls import ServerCertificate
from partway_server.runtime.wiring import Service, build
from partway_server.sessions.base import SessionStore

from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, Put

PART = 5 * MIB
"""The smallest part that storage takes, and so the size of all parts in these tests."""

ALICE = (("partway-tenant", "acme"), ("partway-subject", "alice"))
BOB = (("partway-tenant", "acme"), ("partway-subject", "bob"))
EVE = (("partway-tenant", "evil"), ("partway-subject", "alice"))

SEALING_KEY = bytes(range(64))


@dataclass(slots=True)
class Failure:
    """A failed call, as the caller sees it."""

    code: str
    reason: str
    metadata: dict[str, str]
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    request_id: str = field(default="", compare=False, repr=False)


@dataclass(slots=True)
class World:
    """One service and its stores. Time stands still until `clock` is advanced."""

    clock: FakeClock
    sessions: SessionStore
    storage: FaultyObjects
    put: Put
    service: Service
    stub: "rpc.UploadServiceAsyncStub"
    port: int
    policies: PolicyRegistry

    async def initialize(self, size: int = 2 * PART + 7, **fields: Any) -> upload_pb2.Upload:
        """Open an Upload: by default three parts, the last of 7 bytes."""
        request = pb.InitializeRequest(
            **{"file_name": "film.mp4", "size_bytes": size, "part_size_bytes": PART, **fields}
        )
        response = await self.stub.Initialize(request, metadata=ALICE)
        return response.upload

    async def presigned(
        self, upload: upload_pb2.Upload, numbers: Iterable[int] = ()
    ) -> list[upload_pb2.PresignedPart]:
        """Presign the parts of `numbers`, by default all that storage lacks."""
        ranges = [upload_pb2.PartRange(first=n, last=n) for n in numbers]
        request = pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges)
        stream = self.stub.PresignParts(request, metadata=ALICE)
        return [part async for message in stream for part in message.parts]

    async def send(self, upload: upload_pb2.Upload, numbers: Iterable[int] = ()) -> None:
        """Send the parts of `numbers`, by default all that storage lacks."""
        for part in await self.presigned(upload, numbers):
            reply = await self.put(
                part.url, content(part.part_number, part.size_bytes), part.headers
            )
            assert reply.status == 200, reply

    async def complete(self, upload: upload_pb2.Upload, **fields: Any) -> upload_pb2.Upload:
        request = pb.CompleteRequest(upload_id=upload.id, **fields)
        return (await self.stub.Complete(request, metadata=ALICE)).upload

    async def abort(self, upload: upload_pb2.Upload) -> upload_pb2.Upload:
        request = pb.AbortRequest(upload_id=upload.id)
        return (await self.stub.Abort(request, metadata=ALICE)).upload

    async def state(self, upload: upload_pb2.Upload) -> str:
        """Return the state that Status reports, without its prefix."""
        request = pb.StatusRequest(upload_id=upload.id)
        found = (await self.stub.Status(request, metadata=ALICE)).upload
        return upload_pb2.UploadState.Name(found.state).removeprefix("UPLOAD_STATE_")

    def grant(self, upload: upload_pb2.Upload) -> Grant:
        """Return the grant that the upload ID carries."""
        return UploadIdCipher([SEALING_KEY]).decrypt(upload.id)

    async def lose_row(self, upload: upload_pb2.Upload) -> None:
        """Remove the Upload's session record."""
        row = await self.sessions.get(self.grant(upload).sid)
        assert row is not None
        assert await self.sessions.remove(row.sid, row.epoch)


def content(number: int, size: int) -> bytes:
    """Return the bytes of a part, which differ by number."""
    return hashlib.sha256(str(number).encode()).digest() * (size // 32) + b"." * (size % 32)


async def failure(call: Awaitable[Any]) -> Failure:
    """Return the failure of a call that must fail, or of the only item of a batch."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return failure_of(error)
    if isinstance(answer, pb.BatchInitializeResponse | pb.BatchCompleteResponse):
        [result] = answer.results
        if result.HasField("status"):
            return failure_in(result.status)
    raise AssertionError("the call succeeded")


def failure_of(error: grpc.aio.AioRpcError) -> Failure:
    status = rpc_status.from_call(cast(grpc.Call, error))
    assert status is not None, f"{error.code()} without details: {error.details()}"
    return failure_in(status)


def failure_in(status: status_pb2.Status) -> Failure:
    """Return what a status says, of a call or of one item of a batch."""
    found = Failure(code_pb2.Code.Name(status.code), "", {}, status.message)
    for packed in status.details:
        name = packed.TypeName().rpartition(".")[2]
        detail = getattr(error_details_pb2, name)()
        assert packed.Unpack(detail)
        found.details[name] = detail
    info = found.details["ErrorInfo"]
    # The version before 1.0 that some tests run beside this one has another.
    assert info.domain in ("partway", "partway.v1")
    # Every error has one of its own, which tests/service/test_call_log.py is about.
    found.request_id = info.metadata.pop("x-request-id", "")
    found.reason, found.metadata = info.reason.removeprefix("ERROR_REASON_"), dict(info.metadata)
    return found


@contextlib.asynccontextmanager
async def a_world(
    *,
    clock: FakeClock,
    sessions: SessionStore,
    storage: FaultyObjects,
    put: Put,
    bucket: str = "uploads",
    prefix: str = "",
    policies: Sequence[Policy] = (),
    certificate: ServerCertificate | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """Start a service over these stores. `settings` are fields of Settings.

    All keys begin with `prefix`. With a `certificate` it serves TLS, and the stub has these
    `credentials`.
    """
    default = Policy("default", bucket, max_upload_seconds=30 * 24 * 3600)
    default = replace(default, key_template=f"{prefix}{default.key_template}")
    live = PolicyRegistry({p.name: p for p in (default, *policies)})
    service = build(
        Settings(
            **{
                "identity": "metadata",
                "sealing_keys": base64.b64encode(SEALING_KEY).decode(),
                **settings,
            }
        ),
        policies=live,
        sessions=sessions,
        storage=storage,
        clock=clock,
        sleep=_sleep_by(clock),
    )
    port = service.server.bind("127.0.0.1:0", certificate)
    await service.server.start()
    try:
        async with channel_to(port, credentials) as channel:
            stub = rpc.UploadServiceStub(channel)
            yield World(clock, sessions, storage, put, service, stub, port, live)
    finally:
        await service.server.stop(0)
        await service.tasks.drain(5)


def channel_to(port: int, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """Return a channel to a service on this machine, with TLS if there are credentials."""
    if credentials is None:
        return grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials)


def _sleep_by(clock: FakeClock) -> Callable[[float], Awaitable[None]]:
    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        await asyncio.sleep(0)

    return sleep
