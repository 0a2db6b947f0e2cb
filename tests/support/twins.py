"""A service over the memory twins, or over Redis and a twin, with settings of the test's own."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from partway_server.redis_client.topology import connect
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.sessions.redis_store import RedisSessionStore
from partway_server.storage.memory import MemoryStorage

from tests.support.backends import REDIS_PATIENCE
from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, put_into
from tests.support.world import World, a_world


@contextlib.asynccontextmanager
async def a_memory_world(
    clock: FakeClock, *, storage: MemoryStorage | None = None, **options: Any
) -> AsyncIterator[World]:
    """Start a service over memory twins; `options` are those of `a_world`."""
    storage = storage or MemoryStorage()
    async with a_world(
        clock=clock,
        sessions=MemorySessionStore(clock),
        storage=FaultyObjects(storage),
        put=put_into(storage),
        **options,
    ) as world:
        yield world


@contextlib.asynccontextmanager
async def a_redis_world(
    url: str, clock: FakeClock, *, storage: MemoryStorage | None = None, **options: Any
) -> AsyncIterator[World]:
    """Start a service over that Redis and the twin of storage, which others may share."""
    storage = storage or MemoryStorage()
    async with (
        contextlib.aclosing(
            RedisSessionStore(connect(url), clock=clock, patience=REDIS_PATIENCE)
        ) as sessions,
        a_world(
            clock=clock,
            sessions=sessions,
            storage=FaultyObjects(storage),
            put=put_into(storage),
            **options,
        ) as world,
    ):
        yield world
