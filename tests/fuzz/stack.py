"""Starts what is attacked: `partway-server dev --rest`, and a service that trusts metadata."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_server.config.settings import Settings
from partway_server.devstack.servers import S3

from tests.fuzz.lane import Target
from tests.fuzz.messages import BYSTANDER, CALLERS
from tests.fuzz.sender import PATIENCE
from tests.support.processes import Server, service_environ, wait_until_serving
from tests.support.storage import put_by

_LEASE_SECONDS = 3
_ALICE, _BOB, _EVE = CALLERS
_PART = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Attacked:
    """A process under attack, and its log."""

    name: str
    server: Server

    @property
    def pid(self) -> int:
        return self.server.process.pid

    @property
    def log(self) -> Path:
        return self.server.log


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs, and where it is attacked."""

    target: Target
    attacked: tuple[Attacked, ...]


@contextlib.contextmanager
def running(folder: Path, service: str, patience: float = PATIENCE) -> Iterator[Stack]:
    """Start everything. `service` is the module that serves, `partway_server` but for tests."""
    dev_log, log = folder / "dev.log", folder / "service.log"
    with Server("dev", "--rest", "--port", "0", "--rest-port", "0", log=dev_log) as dev:
        ready = dev.ready()
        s3 = S3(**ready["s3"])
        environ = _environ(s3, ready["redis"], folder)
        with Server("serve", log=log, environ=environ, module=service) as server:
            address = environ["PARTWAY_ADDRESS"]
            wait_until_serving(address, server)
            ids, tokens, bystander = asyncio.run(_prepared(address))
            target = Target(
                grpc=address,
                rest=ready["rest"],
                ids=ids,
                tokens=tokens,
                bystander=bystander,
                secrets=[s3.secret_key, environ["PARTWAY_SEALING_KEYS"]],
                patience=patience,
            )
            yield Stack(target, (Attacked("service", server), Attacked("dev", dev)))


def _environ(s3: S3, redis_url: str, folder: Path) -> Mapping[str, str]:
    from partway_server.runtime.subprocesses import free_port

    policies = folder / "policies.toml"
    policies.write_text(_POLICIES, "utf-8")
    known = {setting.name for setting in fields(Settings)}
    wanted: dict[str, Any] = {
        "address": f"127.0.0.1:{free_port()}",
        "identity": "metadata",
        "trusted_peers": "127.0.0.0/8",
        "policy_file": policies,
        "lease_seconds": _LEASE_SECONDS,
        "max_via_service": 256,
        "grace_seconds": 2,
        # Or Initialize would soon be refused for this alone.
        "tenant_open_uploads": 0,
    }
    return service_environ(s3, redis_url, **{k: v for k, v in wanted.items() if k in known})


_POLICIES = """\
[policy.default]
via_service = true

[policy.multipart]
via_service = true
single_put_max_bytes = 0
"""


async def _prepared(address: str) -> tuple[list[str], list[str], str]:
    """Open Uploads in all states; return their IDs, tokens of some, and a bystander's ID."""
    async with grpc.aio.insecure_channel(address) as channel, aiohttp.ClientSession() as http:
        stub = rpc.UploadServiceStub(channel)
        put = put_by(http)

        async def opened(caller: Any = _ALICE, **wanted: Any) -> upload_pb2.Upload:
            request = pb.InitializeRequest(request_id=_uuid(), **wanted)
            return (await stub.Initialize(request, metadata=caller)).upload

        async def sent(caller: Any = _ALICE, **wanted: Any) -> upload_pb2.Upload:
            upload = await opened(caller, **wanted)
            request = pb.PresignPartsRequest(upload_id=upload.id)
            async for message in stub.PresignParts(request, metadata=caller):
                for part in message.parts:
                    await put(part.url, b"x" * part.size_bytes, part.headers)
            return upload

        async def token(upload: upload_pb2.Upload, actions: Any = ()) -> str:
            spec = pb.UploadTokenSpec(actions=actions)
            request = pb.CreateUploadTokenRequest(upload_id=upload.id, spec=spec)
            made = await stub.CreateUploadToken(request, metadata=_ALICE)
            return str(made.upload_token.token)

        upload_actions = pb.UploadAction.values()[1:]
        uploads = [await opened(size_bytes=n) for n in (0, 100, _PART + 1, 2**40)]
        uploads += [await opened(size_bytes=3 * _PART, checksum_algorithm=n) for n in (1, 2, 3)]
        uploads += [await opened(caller, size_bytes=100) for caller in (_BOB, _EVE)]
        uploads += [await sent(size_bytes=n, policy="multipart") for n in (100, _PART + 7)]
        for _ in range(3):
            complete = await sent(size_bytes=100, policy="multipart")
            await stub.Complete(pb.CompleteRequest(upload_id=complete.id), metadata=_ALICE)
            uploads.append(complete)
        gone = await opened(size_bytes=100)
        await stub.Abort(pb.AbortRequest(upload_id=gone.id), metadata=_ALICE)
        tokens = [await token(upload) for upload in uploads[:4]]
        tokens += [await token(uploads[0], [action]) for action in upload_actions]
        bystander = await opened(BYSTANDER, size_bytes=100)
        return [*(upload.id for upload in uploads), gone.id], tokens, bystander.id


def _uuid() -> str:
    digits = secrets.token_hex(16)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
