"""Tests a start while Redis or storage is away: it waits, not ready, and says what for."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.config.settings import Settings
from partway_server.devstack.servers import S3
from partway_server.rpc.health_names import LIVENESS
from partway_server.runtime import app
from partway_server.runtime.subprocesses import free_port
from partway_server.runtime.waiting import StartupError
from redis import Redis, RedisError

from tests.support.processes import service_environ, start_valkey_at, until
from tests.support.world import failure

pytestmark = [pytest.mark.redis, pytest.mark.s3]

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Start:
    """A service that starts in this process, and what it answers."""

    def __init__(self, settings: Settings) -> None:
        self.stop, self.started = asyncio.Event(), asyncio.Event()
        self.task = asyncio.ensure_future(
            app.run(settings, stop=self.stop, started=lambda _: self.started.set(), patient=True)
        )
        self.channel = grpc.aio.insecure_channel(settings.address)

    async def health(self, name: str = "") -> Any:
        stub = health_pb2_grpc.HealthStub(self.channel)
        request = health_pb2.HealthCheckRequest(service=name)
        return (await stub.Check(request, wait_for_ready=True)).status

    async def reason(self) -> tuple[str, str]:
        """Return the code and the reason of a call that fails."""
        call = UploadServiceStub(self.channel).Initialize(
            pb.InitializeRequest(file_name="film.mp4", size_bytes=1000), wait_for_ready=True
        )
        found = await failure(call)
        return found.code, found.reason


@contextlib.asynccontextmanager
async def starting(s3: S3, redis_port: int) -> AsyncIterator[Start]:
    url, address = f"redis://127.0.0.1:{redis_port}/0", f"127.0.0.1:{free_port()}"
    start = Start(Settings.load(service_environ(s3, url, address=address)))
    try:
        yield start
    finally:
        start.stop.set()
        await asyncio.wait({start.task})
        await start.channel.close()


def answers(port: int) -> bool:
    with Redis("127.0.0.1", port) as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False


async def test_it_waits_for_redis_and_then_serves(
    tmp_path: Path, s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    async with starting(s3, port) as start:
        assert await start.health(LIVENESS) == SERVING
        assert await start.health() == NOT_SERVING
        assert await start.reason() == ("UNAVAILABLE", "SESSIONS_UNAVAILABLE")
        await until(lambda: "waiting for Redis" in caplog.text)
        with await asyncio.to_thread(start_valkey_at, port, tmp_path):
            await start.started.wait()
            assert await start.health() == SERVING
            call = UploadServiceStub(start.channel).Initialize(
                pb.InitializeRequest(file_name="film.mp4", size_bytes=1000)
            )
            assert (await call).upload.id
            start.stop.set()
            await start.task
    waits = [each for each in caplog.messages if each.startswith("not ready, waiting for Redis")]
    assert len(waits) == 1 and "the connection failed" in waits[0]
    assert any("for Redis and storage: both answer" in each for each in caplog.messages)


async def test_it_waits_for_storage(
    tmp_path: Path, s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    away = replace(s3, endpoint=f"http://127.0.0.1:{free_port()}")
    with await asyncio.to_thread(start_valkey_at, port, tmp_path):
        await until(lambda: answers(port))
        async with starting(away, port) as start:
            await until(lambda: "waiting for storage" in caplog.text)
            assert await start.reason() == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
            assert await start.health() == NOT_SERVING
    assert f"bucket {s3.bucket!r}: the connection is refused" in caplog.text


async def test_a_stop_ends_the_wait_at_once(s3: S3, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with starting(s3, free_port()) as start:
        assert await start.health() == NOT_SERVING
        start.stop.set()
        await start.task
    assert "draining" not in caplog.text


async def test_what_must_be_changed_ends_it_also_after_a_wait(
    tmp_path: Path, s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    async with starting(s3, port) as start:
        await until(lambda: "waiting for Redis" in caplog.text)
        with await asyncio.to_thread(start_valkey_at, port, tmp_path):
            await until(lambda: answers(port))
            with Redis("127.0.0.1", port) as redis:
                redis.config_set("maxmemory-policy", "allkeys-lru")
            with pytest.raises(StartupError, match="it may evict session records"):
                await start.task
