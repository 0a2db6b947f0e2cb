"""A service over the memory twins, with settings of the test's own."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.memory import MemoryStorage

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
