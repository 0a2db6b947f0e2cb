"""Tests the rotation of a sealing key on three replicas, under load, as docs/operate.md says."""

import asyncio
import base64
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import count

import grpc
import pytest
from partway_server.domain.sealer import key_id
from partway_server.rpc import server
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.memory import MemoryStorage

from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, put_into
from tests.support.world import World, a_world

OLD, NEW = bytes(range(64)), bytes(range(64, 128))
REPLICAS, CALLERS, ROUNDS = 3, 4, 3


class Fleet:
    """Replicas over the same stores, and callers whose every call goes to another of them."""

    def __init__(self, clock: FakeClock, opened: contextlib.AsyncExitStack) -> None:
        self._clock, self._opened = clock, opened
        self._sessions, self._storage = MemorySessionStore(clock), MemoryStorage()
        self._replicas: list[World] = []
        self._turn = count()
        self._rounds = [0] * CALLERS
        self._progress = asyncio.Condition()
        self.failures: Counter[str] = Counter()
        self.uploads = 0

    async def replica(self, *keys: bytes) -> World:
        """Start a replica with these sealing keys."""
        world = a_world(
            clock=self._clock,
            sessions=self._sessions,
            storage=FaultyObjects(self._storage),
            put=put_into(self._storage),
            sealing_keys=",".join(base64.b64encode(key).decode() for key in keys),
        )
        return await self._opened.enter_async_context(world)

    async def start(self, *keys: bytes) -> None:
        """Start all replicas, and the callers."""
        self._replicas = [await self.replica(*keys) for _ in range(REPLICAS)]
        callers = [asyncio.create_task(self._call(number)) for number in range(CALLERS)]
        self._opened.push_async_callback(_end, callers)

    async def roll(self, *keys: bytes) -> None:
        """Replace the replicas one by one, with load in between; the calls to the old ones end."""
        for place in range(REPLICAS):
            self._replicas[place] = await self.replica(*keys)
            await self.load()

    async def load(self) -> None:
        """Return when each caller has begun and ended some uploads."""
        until = [rounds + ROUNDS for rounds in self._rounds]
        async with self._progress:
            await self._progress.wait_for(
                lambda: all(a >= b for a, b in zip(self._rounds, until, strict=True))
            )

    def any(self) -> World:
        """Return the next replica."""
        return self._replicas[next(self._turn) % REPLICAS]

    async def _call(self, number: int) -> None:
        while True:
            try:
                upload = await self.any().initialize(1000 + number)
                await self.any().send(upload)
                assert await self.any().state(upload) == "ACTIVE"
                await self.any().complete(upload)
                self.uploads += 1
            except grpc.aio.AioRpcError as error:
                self.failures[error.code().name] += 1
            self._rounds[number] += 1
            async with self._progress:
                self._progress.notify_all()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.fixture
async def fleet(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    # Ten replicas are started here, and each would make 32.
    monkeypatch.setattr(server, "ACCEPTORS", 1)
    async with contextlib.AsyncExitStack() as opened:
        yield Fleet(clock, opened)


async def test_a_rotation_in_three_steps_loses_no_call(fleet: Fleet) -> None:
    await fleet.start(OLD)
    await fleet.load()
    long_lived = await fleet.any().initialize()
    await fleet.roll(OLD, NEW)
    await fleet.roll(NEW, OLD)
    # Uploads of the old key end before it is dropped.
    await fleet.any().send(long_lived)
    await fleet.any().complete(long_lived)
    await fleet.roll(NEW)
    assert not fleet.failures
    assert fleet.uploads >= 10 * CALLERS * ROUNDS - CALLERS


async def test_a_new_key_in_front_at_once_is_what_loses_calls(fleet: Fleet) -> None:
    await fleet.start(OLD)
    await fleet.roll(NEW, OLD)
    assert fleet.failures["NOT_FOUND"]
    assert set(fleet.failures) == {"NOT_FOUND"}


async def test_the_keys_in_use_are_a_metric(fleet: Fleet) -> None:
    metrics = (await fleet.replica(NEW, OLD)).service.metrics.registry
    for key, use in ((NEW, "encrypt"), (OLD, "decrypt")):
        labels = {"key_id": key_id(key), "use": use}
        assert metrics.get_sample_value("partway_sealing_key_info", labels) == 1
