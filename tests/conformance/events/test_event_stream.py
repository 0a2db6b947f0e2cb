"""Tests the streams in Redis: what scripts append, how long it stays, reading all as one."""

import itertools
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from partway_server.domain.events import COMPLETED, INITIALIZED, Event, EventComposer
from partway_server.domain.upload import State, StoredObject
from partway_server.events.event_stream import EventStreams, StreamEntry, after, places_at
from partway_server.redis_client.topology import connect
from partway_server.sessions import redis_keys
from partway_server.sessions.redis_store import RedisSessionStore
from partway_server.sessions.script_arguments import event_values, moment_ms
from redis.asyncio import Redis

from tests.support.backends import REDIS_PATIENCE
from tests.support.clock import START, FakeClock
from tests.support.uploads import an_upload, sid_of

pytestmark = pytest.mark.redis

LATER = START + timedelta(days=1)
LEASE = timedelta(seconds=60)
DAY_MS = 24 * 3600 * 1000


@pytest.fixture
async def streams(redis: Redis, redis_url: str) -> AsyncIterator[EventStreams]:
    servers = connect(redis_url)
    yield EventStreams(servers)
    await servers.aclose()


async def add(redis: Redis, shard: int, place: str) -> None:
    """Add an entry as a script makes it, at a position of its own."""
    event = Event(f"{shard}/{place}", INITIALIZED, sid_of(place), "{}")
    fields = zip(redis_keys.EVENT_FIELDS, event_values(event), strict=True)
    await redis.xadd(redis_keys.events_key(shard), dict(fields), id=place)


async def read(streams: EventStreams, *span: dict[int, str]) -> list[StreamEntry]:
    return [entry async for entry in streams.read(*span)]


async def test_an_entry_has_the_fields_that_consumers_know(
    redis: Redis, redis_sessions: RedisSessionStore
) -> None:
    upload = an_upload(epoch=1)
    await redis_sessions.insert(upload, LATER)
    entries: Any = await redis.xrange(redis_keys.events_key(redis_keys.shard_of(upload.sid)))
    [(_, fields)] = entries
    assert set(fields) == {b"id", b"type", b"upload", b"event"}
    assert fields[b"type"] == b"upload.initialized"
    assert fields[b"upload"] == upload.sid.encode()
    assert fields[b"id"] in fields[b"event"]


async def test_a_script_that_is_sent_again_tells_nothing_again(
    redis: Redis, redis_url: str, clock: FakeClock, streams: EventStreams
) -> None:
    marks = itertools.chain.from_iterable((bytes([n]), bytes([n])) for n in itertools.count())
    sessions = RedisSessionStore(
        connect(redis_url), clock=clock, random_bytes=lambda _: next(marks)
    )
    async with aclosing(sessions):
        upload = an_upload(epoch=1)
        for _ in range(2):
            assert (await sessions.insert(upload, LATER))[1]
        for _ in range(2):
            row, claimed = await sessions.claim(upload.sid, State.COMPLETING, LEASE)
            assert row is not None and claimed
        for _ in range(2):
            assert row is not None
            assert await sessions.finish(row.completed(StoredObject(1, "e")), LATER)
    assert [e.event.type for e in await read(streams, places_at(None))] == [INITIALIZED, COMPLETED]


async def test_what_is_older_than_is_kept_goes_as_more_comes(
    redis: Redis, redis_url: str, clock: FakeClock
) -> None:
    upload = an_upload(epoch=1)
    shard = redis_keys.shard_of(upload.sid)
    now = moment_ms(datetime.now(UTC))
    old, young = now - 3 * DAY_MS, now - DAY_MS
    for number in range(300):
        await add(redis, shard, f"{old}-{number}")
    await add(redis, shard, f"{young}-0")
    composer = EventComposer(keep=timedelta(days=2))
    async with aclosing(
        RedisSessionStore(
            connect(redis_url), clock=clock, composer=composer, patience=REDIS_PATIENCE
        )
    ) as sessions:
        await sessions.insert(upload, LATER)
    left: Any = await redis.xrange(redis_keys.events_key(shard))
    # Redis removes whole nodes of its tree, of a hundred entries at most.
    assert len(left) <= 102
    assert left[-2][0] == f"{young}-0".encode()


async def test_many_pages_of_many_shards_come_in_order_of_time(
    redis: Redis, streams: EventStreams
) -> None:
    chance, added = random.Random(7), []
    counts = {0: 350, 1: 100, 5: 1, 63: 230}
    for shard, count in counts.items():
        for place in sorted(chance.sample(range(1, 1000), count)):
            await add(redis, shard, f"{place}-0")
            added.append((place, shard))
    found = await read(streams, begins := places_at(None))
    assert [(entry.place[0], entry.shard) for entry in found] == sorted(added)
    await add(redis, 5, "2000-0")
    assert [entry.place for entry in await read(streams, begins)] == [(2000, 0)]
    assert await read(streams, begins) == []


async def test_a_time_and_an_end_bound_what_is_read(redis: Redis, streams: EventStreams) -> None:
    for place in ("1000-0", "1000-1", "2000-0", "3000-0"):
        await add(redis, 3, place)
    ends = await streams.ends()
    await add(redis, 3, "4000-0")
    await add(redis, 4, "4000-0")
    since = datetime.fromtimestamp(2, UTC)
    assert [e.place[0] for e in await read(streams, places_at(since), ends)] == [2000, 3000]
    until = places_at(since)
    assert [e.place[0] for e in await read(streams, places_at(None), until)] == [1000, 1000, 2000]
    assert [e.place[0] for e in await streams.last(2, ends)] == [2000, 3000]
    assert [e.shard for e in await read(streams, after(ends))] == [3, 4]


async def test_what_is_appended_is_what_was_read(redis: Redis, streams: EventStreams) -> None:
    await add(redis, 3, "1000-0")
    [first] = await read(streams, places_at(None))
    await streams.append(first.event, first.shard)
    again = (await read(streams, places_at(None)))[-1]
    assert (again.event, again.shard) == (first.event, first.shard)
    assert again.time > first.time
