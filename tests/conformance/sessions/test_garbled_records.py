"""Tests that a record that cannot be read counts as missing, and harms no other."""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import AbortReason, State
from partway_server.sessions import redis_keys
from partway_server.sessions.redis_store import RedisSessionStore
from redis.asyncio import Redis

from tests.support.clock import START, FakeClock
from tests.support.garbling import NEEDED, Garbling, garble
from tests.support.uploads import ALICE, an_upload, sid_of

pytestmark = pytest.mark.redis

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)
UPLOAD = an_upload()
KEY = redis_keys.row_key(UPLOAD.sid)

WAYS: dict[str, Garbling] = {
    "not a hash": {},
    **{f"no {name}": {name: None} for name in NEEDED},
    "no such state": {"state": b"weird"},
    "an epoch that is not a number": {"epoch": b"1_000"},
    "an epoch that is not a time": {"epoch": b"9" * 30},
    "a lease that is not a number": {"lease_until": b"soon"},
    "a grant that is no msgpack": {"grant": b"\xff\x00garbage"},
    "a grant of another kind": {"grant": b"\x01"},
    "an object of another kind": {"object": b"\x93\xa1a\xa1b\xa1c"},
    "text that is not UTF-8": {"fingerprint": b"\xff\xfe"},
    "a bitmap without end": {"parts": b"x" * 9000},
    "a size that is not a number": {"parts_bytes": b"-1"},
    "another upload's grant": {"grant": an_upload(name="other").grant.pack()},
    "completed without an object": {"state": b"completed"},
}

CALLS: dict[str, tuple[Callable[[RedisSessionStore], Awaitable[Any]], Any]] = {
    "get": (lambda s: s.get(UPLOAD.sid), None),
    "claim": (lambda s: s.claim(UPLOAD.sid, State.COMPLETING, LEASE), (None, False)),
    "claim what was seen": (
        lambda s: s.claim(UPLOAD.sid, State.COMPLETING, LEASE, seen=UPLOAD),
        (None, False),
    ),
    "report": (lambda s: s.report(UPLOAD, [1, 2]), None),
    "remove": (lambda s: s.remove(UPLOAD.sid, UPLOAD.epoch), True),
}
"""Calls that return a record or depend on one, and what they return if it is missing."""


@pytest.fixture
def sessions(redis_sessions: RedisSessionStore) -> RedisSessionStore:
    return redis_sessions


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("way", WAYS)
async def test_counts_as_missing_or_is_written_again(
    sessions: RedisSessionStore,
    redis: Redis,
    caplog: pytest.LogCaptureFixture,
    way: str,
    name: str,
) -> None:
    await sessions.insert(UPLOAD, LATER)
    await garble(redis, KEY, WAYS[way])
    call, missing = CALLS[name]
    with caplog.at_level(logging.WARNING):
        answer = await call(sessions)
        row = await sessions.get(UPLOAD.sid)
    if row is not None:
        # The call wrote what could not be read.
        assert set(WAYS[way]) <= {"lease_until", "parts_bytes"}
        assert row in (answer if isinstance(answer, tuple) else (answer,))
        return
    assert answer == missing
    assert await redis.exists(KEY) == 0
    [line] = caplog.messages
    assert KEY in line
    assert "garbage" not in line


@pytest.mark.parametrize("way", WAYS)
async def test_a_new_one_takes_its_place(
    sessions: RedisSessionStore, redis: Redis, way: str
) -> None:
    await sessions.insert(UPLOAD, LATER)
    await garble(redis, KEY, WAYS[way])
    assert await sessions.insert(UPLOAD, LATER, restore=True) == (UPLOAD, True)


@pytest.mark.parametrize("way", WAYS)
async def test_what_a_claim_leads_to_is_not_recorded_by_halves(
    sessions: RedisSessionStore, redis: Redis, way: str
) -> None:
    await sessions.insert(UPLOAD, LATER)
    claimed, _ = await sessions.claim(UPLOAD.sid, State.ABORTING, LEASE)
    assert claimed is not None
    await garble(redis, KEY, WAYS[way])
    await sessions.renew(UPLOAD.sid, claimed.epoch, LEASE)
    await sessions.put_off(UPLOAD.sid, claimed.epoch, LATER)
    outcome = claimed.aborted(AbortReason.REQUESTED)
    await sessions.finish(outcome, LATER)
    # Either nothing, or all of what it led to.
    row = await sessions.get(UPLOAD.sid)
    assert row is None or (row.state, row.grant) == (State.ABORTED, UPLOAD.grant)


@pytest.mark.parametrize("way", WAYS)
async def test_the_others_are_listed(sessions: RedisSessionStore, redis: Redis, way: str) -> None:
    others = [an_upload(name=n) for n in range(5)]
    for upload in (UPLOAD, *others):
        await sessions.insert(upload, LATER)
    await garble(redis, KEY, WAYS[way])
    page, following = await sessions.list_uploads(ALICE, UploadFilter(), limit=10)
    assert {upload.sid for upload in page} == {upload.sid for upload in others}
    assert following is None


@pytest.mark.parametrize("way", WAYS)
async def test_the_others_come_up_as_due(
    sessions: RedisSessionStore, redis: Redis, clock: FakeClock, way: str
) -> None:
    others = [an_upload(name=n) for n in range(5)]
    for upload in (UPLOAD, *others):
        await sessions.insert(upload, START)
    await garble(redis, KEY, WAYS[way])
    clock.advance(1)
    due = await sessions.take_due(10, LEASE)
    found = [await sessions.get(sid) for sid in due]
    assert {row.sid for row in found if row} == {upload.sid for upload in others}
    clock.advance(LEASE.total_seconds())
    assert set(await sessions.take_due(10, LEASE)) == {upload.sid for upload in others}


async def test_one_that_was_replaced_meanwhile_stays(
    sessions: RedisSessionStore, redis: Redis
) -> None:
    await sessions.insert(UPLOAD, LATER)
    await garble(redis, KEY, {"state": b"weird"})
    seen = await redis.hgetall(KEY)
    await redis.hset(KEY, "state", "active")
    words = [word for pair in seen.items() for word in pair]
    scripts = sessions._records._scripts
    assert await scripts.run("remove_garbled", (KEY,), UPLOAD.sid, *words) == 0
    assert await sessions.get(UPLOAD.sid) == UPLOAD


@pytest.mark.parametrize("kind", ["due", "own", "events"])
async def test_an_index_that_is_no_index_is_removed(
    sessions: RedisSessionStore, redis: Redis, clock: FakeClock, kind: str
) -> None:
    shard = redis_keys.shard_of(UPLOAD.sid)
    keys = {
        "due": redis_keys.due_key(shard),
        "own": redis_keys.own_key(shard, ALICE),
        "events": redis_keys.events_key(shard),
    }
    await redis.set(keys[kind], "x")
    assert await sessions.take_due(10, LEASE) == []
    assert await sessions.list_uploads(ALICE, UploadFilter(), limit=10) == ([], None)
    await redis.set(keys[kind], "x")
    assert await sessions.insert(UPLOAD, START) == (UPLOAD, True)
    clock.advance(1)
    assert await sessions.take_due(10, LEASE) == [UPLOAD.sid]
    page, _ = await sessions.list_uploads(ALICE, UploadFilter(), limit=10)
    assert page == [UPLOAD]


async def test_watchers_are_notified(sessions: RedisSessionStore, redis: Redis) -> None:
    await sessions.insert(UPLOAD, LATER)
    pubsub = redis.pubsub()
    await pubsub.subscribe(redis_keys.CHANGES)
    await pubsub.get_message(timeout=30)
    await garble(redis, KEY, {"state": b"weird"})
    await sessions.get(UPLOAD.sid)
    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=30)
    assert message is not None
    assert message["data"] == UPLOAD.sid.encode()
    await pubsub.aclose()


def test_the_others_have_shards_of_their_own() -> None:
    """Check that these tests try more than one shard."""
    assert len({redis_keys.shard_of(sid_of(n)) for n in range(5)}) > 1
