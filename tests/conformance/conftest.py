"""The implementations that the suites run over."""

from collections.abc import AsyncIterator

import pytest
from partway_server.sessions.base import Sessions
from partway_server.sessions.memory import MemorySessions
from partway_server.sessions.redis import RedisSessions, connect
from redis.asyncio import Redis

from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of a Redis that holds nothing."""
    client = connect(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def memory_sessions(clock: FakeClock) -> Sessions:
    return MemorySessions(clock)


@pytest.fixture
def redis_sessions(redis: Redis, clock: FakeClock) -> Sessions:
    return RedisSessions(redis, clock=clock)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def sessions(request: pytest.FixtureRequest) -> Sessions:
    """A session store that holds nothing and goes by `clock`."""
    store: Sessions = request.getfixturevalue(f"{request.param}_sessions")
    return store
