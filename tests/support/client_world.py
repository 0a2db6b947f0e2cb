"""A service over a storage that is open, with the client that uploads by it."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from partway_client import UploadClient
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.s3 import S3Storage

from tests.client.pacing import Slept, pace
from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, put_by
from tests.support.world import ALICE, World, a_world


@contextlib.asynccontextmanager
async def client_world(
    storage: S3Storage, *, clock: FakeClock, state: Path, **others: Any
) -> AsyncIterator[tuple[World, UploadClient]]:
    """Run a service, with `others` as in `a_world`, and a client. Closes the storage."""
    async with (
        contextlib.aclosing(storage),
        aiohttp.ClientSession() as http,
        a_world(
            clock=clock,
            sessions=MemorySessionStore(clock),
            storage=FaultyObjects(storage),
            put=put_by(http),
            **others,
        ) as world,
        UploadClient(
            f"127.0.0.1:{world.port}",
            call_metadata=dict(ALICE),
            state_dir=state,
            pace=pace(Slept()),
        ) as client,
    ):
        yield world, client
