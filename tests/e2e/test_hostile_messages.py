"""Tests that messages made to cost a lot cost little: compressed zeros, and deep nesting."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3
from partway_server.runtime.subprocesses import free_port

from tests.support.processes import READY_SECONDS, Server, Service, service_environ

pytestmark = [pytest.mark.redis, pytest.mark.s3]

MIB = 2**20
SPARE_KIB = 32 * 1024
STATUS = "/partway.v1.UploadService/Status"


def peak_kib(pid: int) -> int:
    """Return the most memory that a process has had, as Linux reports it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


async def refused(
    service: Service, message: bytes, compression: grpc.Compression
) -> grpc.StatusCode:
    """Send a message, and return the code of its refusal."""
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(
        service.address, options=options, compression=compression
    ) as channel:
        raw: Any = channel.unary_unary(STATUS)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await raw(message, timeout=30)
    return raised.value.code()


async def answers(service: Service) -> None:
    """Assert that the service serves."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        await UploadServiceStub(channel).ListUploads(pb.ListUploadsRequest(), timeout=30)


async def test_a_compressed_call_is_not_decompressed(service: Service) -> None:
    await answers(service)
    pid = service.server.process.pid
    before = peak_kib(pid)
    for _ in range(3):
        code = await refused(service, bytes(100 * MIB), grpc.Compression.Gzip)
        assert code is grpc.StatusCode.UNIMPLEMENTED
    assert peak_kib(pid) - before < SPARE_KIB
    await answers(service)


@pytest.mark.parametrize("depth", [60, 1000, 20_000])
async def test_nesting_without_end_is_an_invalid_argument(service: Service, depth: int) -> None:
    # Groups of an unknown field, number 100, inside each other.
    nested = b"\xa3\x06" * depth + b"\xa4\x06" * depth
    code = await refused(service, nested, grpc.Compression.NoCompression)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    await answers(service)


def test_a_service_does_not_start_on_protobuf_in_pure_python(
    tmp_path: Path, s3: S3, redis_url: str
) -> None:
    environ = service_environ(s3, redis_url, address=f"127.0.0.1:{free_port()}")
    environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
    with Server("serve", log=tmp_path / "log", environ=environ) as server:
        assert server.process.wait(READY_SECONDS) == 1
        assert "protobuf runs in pure Python" in server.log.read_text()
