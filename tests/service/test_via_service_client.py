"""Tests our client where it cannot reach storage itself: over real storage, with its failures."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from partway_client import StorageUnreachable, UploadClient
from partway_client._transport.retry_policy import RetryPolicy
from partway_server.devstack.servers import S3
from partway_server.domain.part_plan import MIB
from partway_server.domain.policy import Policy
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.s3 import S3Storage

from tests.support.bucket import look_into
from tests.support.clock import FakeClock
from tests.support.files import File
from tests.support.processes import until
from tests.support.relay_valve import Valve
from tests.support.storage import FaultyObjects, put_by
from tests.support.world import World, a_world

pytestmark = pytest.mark.s3

WHO = {"partway-tenant": "acme", "partway-subject": "alice"}

PLACES: dict[str, Callable[[S3], str]] = {
    "nothing listens": lambda s3: "http://127.0.0.1:1",
    "no such name": lambda s3: "http://storage.invalid:9000",
    "no TLS there": lambda s3: s3.endpoint.replace("http:", "https:"),
}
"""The endpoint that callers use. Names below .invalid never resolve (RFC 2606, section 2)."""


@contextlib.asynccontextmanager
async def service_with(s3: S3, public: str, **rules: Any) -> AsyncIterator[World]:
    storage = await S3Storage.open(
        name="default",
        capabilities=KNOWN["seaweedfs"],
        region=s3.region,
        endpoint_url=s3.endpoint,
        public_endpoint_url=public,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
    )
    clock = FakeClock(datetime.now(UTC).replace(microsecond=0))
    async with (
        contextlib.aclosing(storage),
        aiohttp.ClientSession() as http,
        a_world(
            clock=clock,
            sessions=MemorySessionStore(clock),
            storage=FaultyObjects(storage),
            put=put_by(http),
            bucket=s3.bucket,
            policies=[Policy("open", s3.bucket, **rules)],
        ) as world,
    ):
        yield world


async def no_sleep(seconds: float) -> None:
    pass


def client_of(world: World, folder: Path) -> UploadClient:
    pace = RetryPolicy(sleep=no_sleep, part_tries=3, connect_seconds=5)
    address = f"127.0.0.1:{world.port}"
    return UploadClient(address, call_metadata=WHO, state_dir=folder / "state", pace=pace)


@pytest.mark.parametrize("place", PLACES)
async def test_a_file_arrives_through_the_service(s3: S3, tmp_path: Path, place: str) -> None:
    film = File.write(tmp_path / "film.mp4", 11 * MIB + 3)
    async with service_with(s3, PLACES[place](s3), via_service=True) as world:
        async with client_of(world, tmp_path) as client:
            uploaded = await client.upload_file(film.path, policy="open", part_size=5 * MIB)
    assert uploaded.bytes_via_service == uploaded.size_bytes == 11 * MIB + 3
    assert (uploaded.parts_sent, uploaded.checksum_algorithm) == (3, "crc64nvme")
    with look_into(s3) as bucket:
        assert bucket.sha256(uploaded.key) == film.sha256


@pytest.mark.parametrize("place", PLACES)
async def test_where_no_part_may_pass_the_reason_is_said(
    s3: S3, tmp_path: Path, place: str
) -> None:
    film = File.write(tmp_path / "film.mp4", 3)
    async with service_with(s3, PLACES[place](s3)) as world:
        async with client_of(world, tmp_path) as client:
            with pytest.raises(StorageUnreachable) as raised:
                await client.upload_file(film.path, policy="open")
    assert "storage cannot be reached from here (no connection to" in str(raised.value)
    assert "set via_service" in str(raised.value)
    assert "X-Amz" not in str(raised.value)


async def test_parts_of_both_ways_make_one_file(s3: S3, tmp_path: Path) -> None:
    film = File.write(tmp_path / "film.mp4", 16 * MIB + 3)
    async with (
        Valve(s3.endpoint) as valve,
        service_with(s3, valve.url, via_service=True) as world,
        client_of(world, tmp_path) as client,
    ):
        upload = partial(client.upload_file, film.path, policy="open", part_size=5 * MIB)
        await valve.allow(7 * MIB)
        running = asyncio.create_task(upload(concurrency=1))
        await until(lambda: valve.blocked == 1)
        running.cancel()
        await asyncio.wait({running})
        uploaded = await upload(route="service")
    assert (uploaded.parts_resumed, uploaded.parts_sent) == (1, 3)
    assert uploaded.bytes_via_service == 11 * MIB + 3
    with look_into(s3) as bucket:
        assert bucket.sha256(uploaded.key) == film.sha256
