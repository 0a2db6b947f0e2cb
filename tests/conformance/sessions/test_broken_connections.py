"""Tests connections broken during a script: neither the answer nor the session record may change.

The expected record is that of a store with no fault.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from partway_server.domain.upload import State, StoredObject, epoch_at
from partway_server.redis_client.topology import connect
from partway_server.sessions.base import SessionStore
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.sessions.redis_store import RedisSessionStore
from redis.asyncio import Redis

from tests.support.clock import START, FakeClock
from tests.support.relay import LOST, End, Fault, Relay
from tests.support.uploads import ALICE, an_upload

pytestmark = pytest.mark.redis

LEASE = timedelta(seconds=60)
STORED = StoredObject(size_bytes=1 << 40, etag="0123abcd-64")

OPENING = an_upload(State.INITIATING)
SID = OPENING.sid
EPOCH = epoch_at(START)
COMPLETING = replace(OPENING.activated("2~abc"), state=State.COMPLETING, epoch=EPOCH + 1)

Step = Callable[[SessionStore], Awaitable[Any]]

LIFE: dict[str, Step] = {
    "insert": lambda s: s.insert(OPENING, START, LEASE),
    "finish opening": lambda s: s.finish(OPENING.activated("2~abc"), START),
    "claim": lambda s: s.claim(SID, State.COMPLETING, LEASE, b"parts"),
    "renew": lambda s: s.renew(SID, EPOCH, 2 * LEASE),
    "give up": lambda s: s.renew(SID, EPOCH, timedelta()),
    "claim again": lambda s: s.claim(SID, State.COMPLETING, LEASE),
    "finish": lambda s: s.finish(COMPLETING.completed(STORED), START),
    "take due": lambda s: s.take_due(10, LEASE),
    "remove": lambda s: s.remove(SID, EPOCH + 1),
}
"""The scripts in the order of an Upload's life, each as one call."""

WAYS = {
    **LOST,
    "half a reply": Fault(reply_bytes=3),
    "half a command": Fault(request_bytes=40),
    "reset before": Fault(request_bytes=0),
    "silence before": Fault(request_bytes=0, end=End.SILENCE),
}


@pytest.fixture
async def relay(redis: Redis) -> AsyncIterator[Relay]:
    where = redis.connection_pool.connection_kwargs
    async with Relay(where["host"], where["port"]) as relay:
        yield relay


@pytest.fixture
async def direct(
    redis: Redis, redis_url: str, clock: FakeClock
) -> AsyncIterator[RedisSessionStore]:
    """Return a store whose Redis is empty but has every script loaded."""
    sessions = RedisSessionStore(connect(redis_url), clock=clock)
    for step in LIFE.values():
        await step(sessions)
    await redis.flushall()
    yield sessions
    await sessions.aclose()


@pytest.fixture
async def relayed(relay: Relay, clock: FakeClock) -> AsyncIterator[RedisSessionStore]:
    """Return a store that reaches the same Redis through `relay`."""
    client = connect(f"redis://{relay.address}/0?socket_timeout=0.4")
    sessions = RedisSessionStore(client, clock=clock, patience=10)
    yield sessions
    await sessions.aclose()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("script", LIFE)
async def test_a_script_is_run_once_and_answered(
    direct: RedisSessionStore,
    relayed: RedisSessionStore,
    relay: Relay,
    clock: FakeClock,
    script: str,
    way: Fault,
) -> None:
    unharmed = MemorySessionStore(clock)
    for name, step in LIFE.items():
        if name == script:
            break
        assert await step(direct) == await step(unharmed)
    relay.on(b"EVALSHA", way)
    answer, expected = await LIFE[script](relayed), await LIFE[script](unharmed)
    assert relay.struck == 1
    if script == "take due" and way.request_bytes is None:
        # Taken by a call that never heard of it: they come up again, as those of a dead janitor.
        assert (answer, expected) == ([], [SID])
        clock.advance(LEASE.total_seconds())
        answer, expected = await relayed.take_due(10, LEASE), await unharmed.take_due(10, LEASE)
    assert answer == expected
    assert await direct.get(SID) == await unharmed.get(SID)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_scripts_that_were_sent_together_are_each_run_once(
    direct: RedisSessionStore, relayed: RedisSessionStore, relay: Relay, way: Fault
) -> None:
    await relayed.get(SID)  # Connects.
    uploads = [an_upload(State.INITIATING, name=number) for number in range(30)]
    relay.on(b"EVALSHA", way)
    answers = await asyncio.gather(*(relayed.insert(each, START, LEASE) for each in uploads))
    assert relay.struck == 1
    assert [(row.sid, stored) for row, stored in answers] == [(each.sid, True) for each in uploads]
    assert (await direct.usage(ALICE)).tenant.open_uploads == 30


async def test_a_slow_connection_carries_a_whole_life(
    direct: RedisSessionStore, relayed: RedisSessionStore, relay: Relay, clock: FakeClock
) -> None:
    unharmed = MemorySessionStore(clock)
    relay.bytes_per_second = 20_000
    relay.delay = 0.01
    for step in LIFE.values():
        assert await step(relayed) == await step(unharmed)
        assert await direct.get(SID) == await unharmed.get(SID)
