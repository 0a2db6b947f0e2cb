"""Tests a Redis at its maxmemory: no new upload, and everything that goes on with the others."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from partway_server.devstack.servers import start_valkey
from partway_server.domain.errors import SessionsFull, SessionsUnavailable
from partway_server.domain.events import EventComposer
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import AbortReason, State, StoredObject, Upload
from partway_server.events.delivery_queue import DeliveryQueue
from partway_server.events.retry_schedule import RetryState
from partway_server.redis_client.topology import connect
from partway_server.sessions.redis_keys import events_key, shard_of
from partway_server.sessions.redis_store import RedisSessionStore
from redis.asyncio import Redis

from tests.support.clock import START, FakeClock
from tests.support.redis_cluster import Cluster
from tests.support.uploads import ALICE, an_upload

pytestmark = pytest.mark.redis

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)
STORED = StoredObject(size_bytes=1 << 30, etag="0123abcd-64")


@pytest.fixture(scope="module")
def own_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Redis that only these tests use, because they fill it."""
    child, url = start_valkey(tmp_path_factory.mktemp("full"), keep=False)
    with child:
        yield url


@pytest.fixture
async def own_redis(own_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(own_url) as redis:
        await redis.config_set("maxmemory", 0)
        await redis.flushall()
        yield redis
        await redis.config_set("maxmemory", 0)


@pytest.fixture
async def sessions(
    own_redis: Redis, own_url: str, clock: FakeClock
) -> AsyncIterator[RedisSessionStore]:
    store = RedisSessionStore(
        connect(own_url), clock=clock, composer=EventComposer("/partway", timedelta(days=7))
    )
    async with contextlib.aclosing(store):
        yield store


async def claimed(sessions: RedisSessionStore, target: State) -> Upload:
    upload, taken = await sessions.claim(an_upload().sid, target, LEASE)
    assert taken
    assert upload is not None
    return upload


async def test_refuses_a_new_upload_and_leaves_nothing_of_it(
    sessions: RedisSessionStore, own_redis: Redis
) -> None:
    await own_redis.config_set("maxmemory", 1)
    with pytest.raises(SessionsFull):
        await sessions.insert(an_upload(), LATER)
    assert await own_redis.dbsize() == 0
    await own_redis.config_set("maxmemory", 0)
    assert await sessions.insert(an_upload(), LATER) == (an_upload(), True)


async def test_a_repeat_finds_the_upload_that_it_made(
    sessions: RedisSessionStore, own_redis: Redis
) -> None:
    await sessions.insert(an_upload(), LATER)
    await own_redis.config_set("maxmemory", 1)
    assert await sessions.insert(an_upload(), LATER) == (an_upload(), False)


async def test_stores_a_lost_record_again(sessions: RedisSessionStore, own_redis: Redis) -> None:
    await own_redis.config_set("maxmemory", 1)
    assert await sessions.insert(an_upload(), LATER, restore=True) == (an_upload(), True)


async def test_all_else_goes_on(
    sessions: RedisSessionStore, own_redis: Redis, clock: FakeClock
) -> None:
    opening, _ = await sessions.insert(an_upload(State.INITIATING), START, LEASE)
    await own_redis.config_set("maxmemory", 1)
    assert await sessions.finish(opening.activated("2~abc"), START)
    reported = await sessions.report(opening.activated("2~abc"), range(1, 60))
    assert reported is not None
    assert reported.reported.size_bytes > 0
    row = await claimed(sessions, State.COMPLETING)
    assert await sessions.renew(row.sid, row.epoch, LEASE)
    assert await sessions.finish(row.reopened(), START)
    assert await sessions.put_off(row.sid, row.epoch, START)
    clock.advance(1)
    assert await sessions.take_due(10, LEASE) == [row.sid]
    assert await sessions.list_uploads(ALICE, UploadFilter(), limit=10)
    row = await claimed(sessions, State.COMPLETING)
    assert await sessions.finish(row.completed(STORED), LATER)
    assert await sessions.remove(row.sid, row.epoch)


async def test_the_event_of_an_end_is_appended(
    sessions: RedisSessionStore, own_redis: Redis
) -> None:
    await sessions.insert(an_upload(), LATER)
    await own_redis.config_set("maxmemory", 1)
    row = await claimed(sessions, State.ABORTING)
    assert await sessions.finish(row.aborted(AbortReason.REQUESTED), LATER)
    entries: Any = await own_redis.xrange(events_key(shard_of(row.sid)))
    assert [fields[b"type"].rpartition(b".")[2] for _, fields in entries][-1] == b"aborted"


async def test_webhooks_are_delivered(
    sessions: RedisSessionStore, own_redis: Redis, own_url: str, clock: FakeClock
) -> None:
    await sessions.insert(an_upload(), LATER)
    await own_redis.config_set("maxmemory", 1)
    shard = shard_of(an_upload().sid)
    queue = DeliveryQueue(connect(own_url), owner="one", clock=clock)
    async with contextlib.aclosing(queue):
        assert await queue.join("hook", LEASE) == ["one"]
        taken = await queue.take(
            "hook", {shard: ("", "0-0", None)}, new_mark="m", lease=LEASE, most=10
        )
        leased = taken[shard]
        assert leased is not None
        [delivery] = leased.deliveries
        await queue.postpone("hook", shard, delivery.place, RetryState(1, 2, 3))
        await queue.bury("hook", shard, delivery.place, 2, "no answer")
        [letter] = await queue.dead_letters("hook")
        assert await queue.revive(letter)
        await queue.release("hook", [shard])


async def test_has_a_line_when_it_begins_and_one_when_it_ends(
    sessions: RedisSessionStore,
    own_redis: Redis,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def refused() -> None:
        await own_redis.config_set("maxmemory", 1)
        with pytest.raises(SessionsFull):
            await sessions.insert(an_upload(name=("refused", clock.now())), LATER)
        await own_redis.config_set("maxmemory", 0)

    for _ in range(3):
        await refused()
        clock.advance(10)
        # At its limit it takes one now and then.
        await sessions.insert(an_upload(name=clock.now()), LATER)
    assert caplog.messages == ["Redis is at its maxmemory: new uploads are refused, others go on"]
    clock.advance(30)
    await sessions.insert(an_upload(name=clock.now()), LATER)
    await sessions.insert(an_upload(name="another"), LATER)
    assert caplog.messages[1:] == ["Redis has room for new uploads again"]
    await refused()
    assert len(caplog.messages) == 3


async def test_a_cluster_does_the_same(cluster: Cluster, clock: FakeClock) -> None:
    cluster.flush()
    store = RedisSessionStore(connect(cluster.url), clock=clock, patience=30.0)
    async with contextlib.aclosing(store):
        await store.insert(an_upload(), START)
        try:
            for port in cluster.masters():
                cluster.node(port).config_set("maxmemory", 1)
            with pytest.raises(SessionsFull):
                await store.insert(an_upload(name="another"), LATER)
            row = await claimed(store, State.ABORTING)
            assert await store.finish(row.aborted(AbortReason.REQUESTED), START)
            clock.advance(1)
            assert await store.take_due(10, LEASE) == [row.sid]
            assert await store.insert(an_upload(name="lost"), LATER, restore=True)
        finally:
            for port in cluster.masters():
                cluster.node(port).config_set("maxmemory", 0)


async def test_another_refusal_is_an_outage(sessions: RedisSessionStore, own_redis: Redis) -> None:
    await own_redis.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(SessionsUnavailable):
            await sessions.insert(an_upload(), LATER)
    finally:
        await own_redis.config_set("min-replicas-to-write", 0)
