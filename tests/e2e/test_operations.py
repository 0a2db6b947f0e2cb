"""Tests what an operator sees when Redis, storage or a stranger misbehaves."""

import contextlib
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import grpc
import pytest
import redis
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3, start_seaweedfs, start_valkey
from partway_server.rpc.health_client import serving
from partway_server.runtime.subprocesses import Child

from tests.support.processes import Service, until
from tests.support.storage import Put, put_by
from tests.support.world import PART, content, failure

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(180)]


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[tuple[Child, str]]:
    """Run a Redis that a test may stop or fill."""
    folder = tmp_path / "redis"
    folder.mkdir()
    child, url = start_valkey(folder, keep=False)
    with child:
        yield child, url


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[tuple["UploadServiceAsyncStub", Put]]:
    with service:
        service.start()
        async with (
            grpc.aio.insecure_channel(service.address) as channel,
            aiohttp.ClientSession() as http,
        ):
            yield UploadServiceStub(channel), put_by(http)


async def test_readiness_follows_redis(tmp_path: Path, s3: S3, valkey: tuple[Child, str]) -> None:
    child, url = valkey
    service = Service(tmp_path, s3, url)
    async with running(service):
        await turns(service, child)
        assert service.logged().count("not ready: no answer from redis for 5 s") == 1
        assert service.logged().count("ready again: redis answers") == 1


async def test_readiness_follows_storage(tmp_path: Path, redis_url: str) -> None:
    folder = tmp_path / "storage"
    folder.mkdir()
    child, own = start_seaweedfs(folder, keep=False)
    with child:
        service = Service(tmp_path, own, redis_url)
        async with running(service):
            # What was waited for, by how many calls.
            trouble = "storage (default) is in trouble: "
            await turns(service, child, noticed=lambda: trouble in service.logged())
            assert service.logged().count("not ready: no answer from storage for 5 s") == 1
            assert service.logged().count(trouble) == 1
            await until(lambda: "storage (default) is well again: " in service.logged())


async def turns(
    service: Service, dependency: Child, noticed: Callable[[], bool] = lambda: True
) -> None:
    """Suspend what the service depends on, until that is `noticed` too.

    Check that it turns not ready, and back.
    """
    assert serving(service.address, 5)
    os.kill(dependency.pid, signal.SIGSTOP)
    try:
        await until(lambda: not serving(service.address, 5))
        assert serving(service.address, 5, liveness=True)
        await until(noticed)
    finally:
        os.kill(dependency.pid, signal.SIGCONT)
    await until(lambda: serving(service.address, 5))


async def test_a_full_redis_refuses_new_uploads_alone(
    tmp_path: Path, s3: S3, valkey: tuple[Child, str]
) -> None:
    _, url = valkey
    async with running(Service(tmp_path, s3, url)) as (stub, put):
        request = pb.InitializeRequest(
            file_name="film.mp4", size_bytes=PART + 7, part_size_bytes=PART, presign_parts=2
        )
        kept, thrown = [await stub.Initialize(request) for _ in range(2)]
        with contextlib.closing(redis.Redis.from_url(url)) as client:
            client.config_set("maxmemory", client.info("memory")["used_memory"] - 100_000)

            refused = await failure(stub.Initialize(request))
            assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "SESSIONS_FULL")
            assert refused.details["RetryInfo"].retry_delay.seconds == 30

            watch = aiter(stub.Watch(pb.WatchRequest(upload_id=kept.upload.id)))
            assert (await anext(watch)).upload.state == upload_pb2.UPLOAD_STATE_ACTIVE
            for part in kept.parts:
                body = content(part.part_number, part.size_bytes)
                assert (await put(part.url, body, part.headers)).status == 200
            parts = [upload_pb2.Part(part_number=1)]
            await stub.ReportParts(pb.ReportPartsRequest(upload_id=kept.upload.id, parts=parts))
            done = await stub.Complete(pb.CompleteRequest(upload_id=kept.upload.id))
            assert done.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
            states = [message.upload.state async for message in watch]
            assert states[-1] == upload_pb2.UPLOAD_STATE_COMPLETED
            gone = await stub.Abort(pb.AbortRequest(upload_id=thrown.upload.id))
            assert gone.upload.state == upload_pb2.UPLOAD_STATE_ABORTED
            # A lost record is stored again, too.
            for key in client.scan_iter("partway:*:upload:*"):
                client.delete(key)
            again = await stub.Status(pb.StatusRequest(upload_id=kept.upload.id))
            assert again.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED

            client.config_set("maxmemory", 0)
            assert (await stub.Initialize(request)).upload.id


async def test_malformed_headers_are_one_line_without_what_they_say(
    tmp_path: Path, s3: S3, redis_url: str
) -> None:
    service = Service(tmp_path, s3, redis_url)
    async with running(service) as (stub, _):
        before = len(service.logged().splitlines())
        for _ in range(20):
            call_raw(service.address, [(b"x-secret", b"\xff\xfeplanted")])
            call_raw(service.address, [(b"x-planted\xff", b"1")])
            call_raw(service.address, [], path=b"/planted\xff")
            call_raw(service.address, [(b"grpc-timeout", b"planted")])
            call_raw(service.address, [(b"grpc-encoding", b"planted\xff")])
        # Calls that came over later are answered, so those before have been handled.
        await failure(stub.Status(pb.StatusRequest(upload_id="x")))
        lines = service.logged().splitlines()[before:]
        assert "planted" not in service.logged()
        assert "Traceback" not in service.logged()
        assert "E0000" not in service.logged()
        assert sum("not UTF-8" in line for line in lines) == 1


def call_raw(
    address: str,
    headers: list[tuple[bytes, bytes]],
    path: bytes = b"/partway.v1.UploadService/Status",
) -> None:
    """Call with headers that no gRPC library sends, and wait until the call ends."""
    host, _, port = address.rpartition(":")
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        *headers,
    ]
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0))
        connection.sendall(_frame(1, 4, 1, block) + _frame(0, 1, 1, bytes(5)))
        received = connection.makefile("rb")
        while head := received.read(9):
            received.read(int.from_bytes(head[:3], "big"))
            ended = head[3] == 1 and head[4] & 1
            if ended or head[3] in (3, 7):
                return


def _text(value: bytes) -> bytes:
    """Return a string literal of HPACK, RFC 7541, section 5.2."""
    return bytes([len(value)]) + value


def _frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body
