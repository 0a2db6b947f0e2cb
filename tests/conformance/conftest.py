"""The implementations that the suites run over."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from partway_server.sessions.base import Sessions
from partway_server.sessions.memory import MemorySessions
from partway_server.sessions.redis import RedisSessions
from partway_server.sessions.redis_servers import connect
from redis.asyncio import Redis

from tests.support.clock import FakeClock
from tests.support.redis_cluster import Cluster
from tests.support.redis_sentinel import Sentinels


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of a Redis that holds nothing."""
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
        yield client


@pytest.fixture
def memory_sessions(clock: FakeClock) -> Sessions:
    return MemorySessions(clock)


@pytest.fixture
async def redis_sessions(
    redis: Redis, redis_url: str, clock: FakeClock
) -> AsyncIterator[RedisSessions]:
    async with contextlib.aclosing(RedisSessions(connect(redis_url), clock=clock)) as sessions:
        yield sessions


@pytest.fixture
async def sentinel_sessions(sentinels: Sentinels, clock: FakeClock) -> AsyncIterator[RedisSessions]:
    with contextlib.closing(sentinels.client()) as client:
        client.flushall()
    servers = connect(sentinels.url)
    async with contextlib.aclosing(RedisSessions(servers, clock=clock)) as sessions:
        yield sessions


@pytest.fixture
async def cluster_sessions(cluster: Cluster, clock: FakeClock) -> AsyncIterator[RedisSessions]:
    cluster.flush()
    servers = connect(cluster.url)
    async with contextlib.aclosing(RedisSessions(servers, clock=clock)) as sessions:
        yield sessions


@pytest.fixture(
    params=[
        "memory",
        *(pytest.param(f, marks=pytest.mark.redis) for f in ("redis", "sentinel", "cluster")),
    ]
)
def sessions(request: pytest.FixtureRequest) -> Sessions:
    """A session store that holds nothing and goes by `clock`."""
    store: Sessions = request.getfixturevalue(f"{request.param}_sessions")
    return store
