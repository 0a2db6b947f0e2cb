"""Provides the service under test, over the memory twins and over real Redis and real storage."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime

import aiohttp
import pytest
from partway_server.devstack.servers import S3
from partway_server.domain.checksum import Checksum
from partway_server.redis_client.topology import connect
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.sessions.redis_store import RedisSessionStore
from partway_server.storage.memory import MemoryStorage
from partway_server.storage.s3 import S3Storage
from redis.asyncio import Redis

from tests.support.backends import OF_MAKE_TEST_STORES, OUTSIDE, REDIS_PATIENCE
from tests.support.bucket import Bucket, look_into
from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, put_by, put_into
from tests.support.store_catalogue import marks_of, running
from tests.support.stores import ENDED
from tests.support.wired import PATIENT, Wired, a_wired_world
from tests.support.world import World, a_world


@pytest.fixture
def clock() -> FakeClock:
    # Storage compares a signature's date with its own clock.
    # In whole seconds, as an upload's times are.
    return FakeClock(datetime.now(UTC).replace(microsecond=0))


OVER = {"real": "seaweedfs"} | {name: name for name in (*OF_MAKE_TEST_STORES, OUTSIDE)}
"""The stores that are used with a real Redis, by the names that the tests have of them."""


@pytest.fixture(
    params=[
        "memory",
        *(
            pytest.param(name, marks=[pytest.mark.redis, *marks_of(store)])
            for name, store in OVER.items()
        ),
    ]
)
async def world(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[World]:
    start = in_memory if request.param == "memory" else on_real_stores
    async with start(request, clock) as started:
        yield started


@pytest.fixture
def single_puts(world: World) -> None:
    """Skip the test where even a small file is a multipart upload."""
    if not world.storage.capabilities_of("default").safe_puts:
        pytest.skip("the record says that a URL for one PUT is not safe")


@pytest.fixture
def verified_checksums(world: World) -> None:
    """Skip the test where storage does not verify a SHA-256."""
    if Checksum.SHA256 not in world.storage.capabilities_of("default").checksums:
        pytest.skip("the record says that it does not verify sha256")


@pytest.fixture
def lacks(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Return the claims that the store of `world` does not make, and why."""
    store = request.node.callspec.params["world"]
    return running(request, OVER[store])[1].lacks if store in OVER else {}


@pytest.fixture
def ended_uploads(lacks: Mapping[str, str]) -> None:
    """Skip the test where storage does not remember which uploads are over."""
    if reason := lacks.get(ENDED):
        pytest.skip(reason)


@contextlib.asynccontextmanager
async def in_memory(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[World]:
    storage = MemoryStorage()
    async with a_world(
        clock=clock,
        sessions=MemorySessionStore(clock),
        storage=FaultyObjects(storage),
        put=put_into(storage),
    ) as world:
        yield world


@contextlib.asynccontextmanager
async def on_real_stores(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[World]:
    s3, tested = running(request, OVER[request.param])
    url = request.getfixturevalue("redis_url")
    async with Redis.from_url(url) as redis:
        await redis.flushdb()
    storage = await S3Storage.open(
        name="default",
        capabilities=tested.record,
        region=s3.region,
        endpoint_url=s3.endpoint,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
    )
    async with (
        contextlib.aclosing(storage),
        contextlib.aclosing(
            RedisSessionStore(connect(url), clock=clock, patience=REDIS_PATIENCE)
        ) as sessions,
        aiohttp.ClientSession() as http,
        a_world(
            clock=clock,
            sessions=sessions,
            storage=FaultyObjects(storage),
            put=put_by(http),
            bucket=s3.bucket,
            prefix=tested.prefix,
        ) as world,
    ):
        yield world


@pytest.fixture(scope="session")
def wire_bucket(s3: S3) -> Iterator[Bucket]:
    """Create a bucket for the tests that inspect its whole content."""
    with look_into(s3, "wire") as bucket:
        yield bucket


@pytest.fixture
async def wired(
    request: pytest.FixtureRequest, s3: S3, redis_url: str, wire_bucket: Bucket
) -> AsyncIterator[Wired]:
    """Yield the service behind faulty lines. The parameter, if any, sets how patient it is."""
    patience = getattr(request, "param", PATIENT)
    async with a_wired_world(s3, redis_url, wire_bucket, patience) as wired:
        yield wired
