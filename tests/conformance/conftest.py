"""Provides the implementations that the suites run over."""

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from partway_server.redis_client.topology import connect
from partway_server.sessions.base import SessionStore
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.sessions.redis_store import RedisSessionStore
from redis.asyncio import Redis

from tests.support.backends import REDIS_PATIENCE
from tests.support.clock import FakeClock
from tests.support.redis_cluster import Cluster
from tests.support.redis_sentinel import Sentinels
from tests.support.store_catalogue import NAMES, marks_of, running
from tests.support.stores import Store, memory_store, s3_store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """Return a client of an empty Redis."""
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
        yield client


@pytest.fixture
def memory_sessions(clock: FakeClock) -> SessionStore:
    return MemorySessionStore(clock)


@pytest.fixture
def patience() -> float:
    """Return how long a command may take with all its retries, in seconds.

    A test that asks for what comes after it overrides this.
    """
    return REDIS_PATIENCE


@pytest.fixture
async def redis_sessions(
    redis: Redis, redis_url: str, clock: FakeClock, patience: float
) -> AsyncIterator[RedisSessionStore]:
    servers = connect(redis_url)
    async with contextlib.aclosing(
        RedisSessionStore(servers, clock=clock, patience=patience)
    ) as sessions:
        yield sessions


@pytest.fixture
async def sentinel_sessions(
    sentinels: Sentinels, clock: FakeClock, patience: float
) -> AsyncIterator[RedisSessionStore]:
    with contextlib.closing(sentinels.client()) as client:
        client.flushall()
    servers = connect(sentinels.url)
    async with contextlib.aclosing(
        RedisSessionStore(servers, clock=clock, patience=patience)
    ) as sessions:
        yield sessions


@pytest.fixture
async def cluster_sessions(
    cluster: Cluster, clock: FakeClock, patience: float
) -> AsyncIterator[RedisSessionStore]:
    cluster.flush()
    servers = connect(cluster.url)
    async with contextlib.aclosing(
        RedisSessionStore(servers, clock=clock, patience=patience)
    ) as sessions:
        yield sessions


@pytest.fixture(
    params=[
        "memory",
        *(pytest.param(f, marks=pytest.mark.redis) for f in ("redis", "sentinel", "cluster")),
    ]
)
def sessions(request: pytest.FixtureRequest) -> SessionStore:
    """Return an empty session store that uses `clock`."""
    store: SessionStore = request.getfixturevalue(f"{request.param}_sessions")
    return store


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[
        "memory",
        "routed",
        *(
            pytest.param(f"{name}-{client}", marks=marks_of(name))
            for name in NAMES
            for client in ("lean", "sdk")
        ),
    ],
)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Return a store that is shared by a module's tests, so each test takes a key of its own."""
    if request.param in ("memory", "routed"):
        yield memory_store(routed=request.param == "routed")
        return
    name, _, client = request.param.partition("-")
    s3, tested = running(request, name)
    async with s3_store(s3, tested.record, tested.lacks, client, tested.prefix) as opened:
        yield opened
