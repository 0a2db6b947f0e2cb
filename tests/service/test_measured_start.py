"""Tests a start with a backend of the kind `auto`: measured once, it is used as it was found."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.config.settings import Settings
from partway_server.devstack.servers import S3
from partway_server.doctor.measurement import measure
from partway_server.runtime import app
from partway_server.runtime.measured_records import Measurement
from partway_server.runtime.one_pass import sweep
from partway_server.runtime.subprocesses import free_port
from partway_server.runtime.waiting import StartupError
from partway_server.sessions.redis_measurements import KEEP_SECONDS
from redis import Redis

from tests.support.bucket import look_into
from tests.support.processes import service_environ

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

pytestmark = [pytest.mark.redis, pytest.mark.s3]

POLICY = '[policy.default]\nchecksum = ["crc64nvme"]\n'
"""Storage of the kind `generic` is not known to verify that."""


class Measured:
    """Measures for real, or returns what a test says, and counts."""

    def __init__(self, found: Measurement | None = None) -> None:
        self.found = found
        self.times = 0

    async def __call__(
        self, settings: Settings, backends: Collection[str]
    ) -> Mapping[str, Measurement]:
        self.times += 1
        if self.found is not None:
            return dict.fromkeys(backends, self.found)
        return await measure(settings, backends)


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, measuring: Measured
) -> AsyncIterator["UploadServiceAsyncStub"]:
    """Serve until the block ends. Raises StartupError."""
    stop, started = asyncio.Event(), asyncio.Event()
    run = asyncio.ensure_future(
        app.run(
            settings, stop=stop, started=lambda _: started.set(), patient=True, measure=measuring
        )
    )
    waits = asyncio.ensure_future(started.wait())
    await asyncio.wait({run, waits}, return_when=asyncio.FIRST_COMPLETED)
    waits.cancel()
    try:
        if started.is_set():
            async with grpc.aio.insecure_channel(settings.address) as channel:
                yield UploadServiceStub(channel)
    finally:
        stop.set()
        await run


@pytest.fixture(autouse=True)
def nothing_kept(redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        for key in kept(redis_url):
            redis.delete(key)


@pytest.fixture
def settings(tmp_path: Path, s3: S3, redis_url: str) -> Settings:
    policies = tmp_path / "policies.toml"
    policies.write_text(POLICY)
    address = f"127.0.0.1:{free_port()}"
    environ = service_environ(s3, redis_url, address=address, backend="auto", policy_file=policies)
    return Settings.load(environ)


def kept(redis_url: str) -> dict[bytes, int]:
    """Return the keys of measurements in Redis, with the seconds that they have left."""
    with Redis.from_url(redis_url) as redis:
        return {key: redis.ttl(key) for key in redis.keys("partway:{00}:measured:*")}


async def test_it_is_measured_once_and_used_as_found(
    settings: Settings, redis_url: str, s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    measuring = Measured()
    for _ in range(2):
        async with serving(settings, measuring) as stub:
            wanted = upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME
            request = pb.InitializeRequest(
                file_name="film.mp4", size_bytes=1000, checksum_algorithm=wanted
            )
            upload = (await stub.Initialize(request)).upload
            assert upload.checksum_algorithm == wanted
            await stub.Abort(pb.AbortRequest(upload_id=upload.id))
    assert measuring.times == 1
    (left,) = kept(redis_url).values()
    assert KEEP_SECONDS - 100 < left <= KEEP_SECONDS
    said = [each for each in caplog.messages if "is used as it was found: measured on 20" in each]
    assert len(said) == 2
    with look_into(s3) as bucket:
        found = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="partway-probe/")
    assert found["KeyCount"] == 0


async def test_what_redis_has_and_is_no_record_is_measured_again(
    settings: Settings, redis_url: str
) -> None:
    measuring = Measured(Measurement('like = "seaweedfs"\n'))
    async with serving(settings, measuring):
        pass
    with Redis.from_url(redis_url) as redis:
        redis.set(*kept(redis_url), b"like = \xff")
    async with serving(settings, measuring):
        pass
    assert measuring.times == 2


async def test_what_could_not_be_found_out_is_said_and_tried_again(
    settings: Settings, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = 'like = "generic"\nchecksums = ["crc64nvme"]\n'
    measuring = Measured(Measurement(text, doubtful=("conditional_put",)))
    async with serving(settings, measuring):
        pass
    words = "backend default: could not be found out this time, and so is not used: conditional_put"
    assert words in caplog.messages
    assert kept(redis_url) == {}


async def test_a_policy_that_the_measured_store_cannot_follow_ends_the_start(
    settings: Settings,
) -> None:
    measuring = Measured(Measurement('like = "generic"\n'))
    with pytest.raises(StartupError, match=r"policies\.toml:2: .*\(auto\) can verify none"):
        async with serving(settings, measuring):
            pass


async def test_storage_that_cannot_be_measured_ends_the_start(settings: Settings) -> None:
    problem = "storage cannot be measured: PutObject is not allowed"
    with pytest.raises(StartupError, match=problem):
        async with serving(settings, Measured(Measurement(problems=(problem,)))):
            pass


async def test_a_sweep_uses_what_a_service_has_measured(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(settings, Measured(Measurement('like = "seaweedfs"\n'))):
        pass
    caplog.clear()
    await sweep(settings, report=lambda finding: None, dry_run=True)
    assert "backend default is used as it was found: default" in caplog.messages
