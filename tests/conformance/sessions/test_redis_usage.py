"""Tests that usage in Redis stays exact when replies are lost, and beside an older version."""

import contextlib
from datetime import timedelta

import pytest
from partway_server.domain.part_plan import Plan
from partway_server.domain.upload import AbortReason, State, StoredObject, Upload
from partway_server.domain.usage import CallerUsage, Usage
from partway_server.redis_client.topology import connect
from partway_server.sessions.redis_keys import counted_key, row_key, shard_of, usage_keys
from partway_server.sessions.redis_store import RedisSessionStore
from redis.asyncio import Redis

from tests.support.clock import START, FakeClock
from tests.support.uploads import ALICE, an_upload

pytestmark = pytest.mark.redis

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)
SIZE = an_upload().grant.plan.size_bytes
STORED = StoredObject(SIZE, "0123abcd-64")
NOTHING = CallerUsage()
ONE_OPEN = CallerUsage(Usage(1, SIZE, SIZE), Usage(1, SIZE, SIZE))
ONE_DONE = CallerUsage(Usage(0, 0, SIZE), Usage(0, 0, SIZE))


@pytest.fixture
def sessions(redis_sessions: RedisSessionStore) -> RedisSessionStore:
    return redis_sessions


async def settled(sessions: RedisSessionStore) -> CallerUsage:
    """Return the usage once it is reconciled, and check that it then stays so."""
    await sessions.reconcile_usage(100)
    usage = await sessions.usage(ALICE)
    assert await sessions.reconcile_usage(100) == 0
    assert await sessions.usage(ALICE) == usage
    return usage


async def test_a_script_that_is_sent_again_counts_nothing_twice(
    redis: Redis, redis_url: str, clock: FakeClock
) -> None:
    marks = [b"mark"]
    async with contextlib.aclosing(
        RedisSessionStore(connect(redis_url), clock=clock, random_bytes=lambda n: marks[-1])
    ) as sessions:
        # Each with its own mark again, as after a lost reply.
        for _ in range(3):
            assert (await sessions.insert(an_upload(), LATER))[1]
        assert await sessions.usage(ALICE) == ONE_OPEN
        marks.append(b"claim")
        row, _ = await sessions.claim(an_upload().sid, State.COMPLETING, LEASE)
        assert row is not None
        marks.append(b"finish")
        for _ in range(3):
            assert await sessions.finish(row.completed(STORED), LATER)
        assert await sessions.usage(ALICE) == ONE_DONE
        for _ in range(3):
            assert await sessions.remove(row.sid, row.epoch)
        assert await sessions.usage(ALICE) == NOTHING


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ({"state": "completed"}, ONE_DONE),
        ({"state": "aborted", "reason": "requested"}, NOTHING),
        ({"state": "aborting", "reason": "requested"}, NOTHING),
        ({"state": "aborting"}, ONE_OPEN),
    ],
)
async def test_what_an_older_version_ends_is_released(
    sessions: RedisSessionStore, redis: Redis, ended: dict[str, str], expected: CallerUsage
) -> None:
    await sessions.insert(an_upload(), LATER)
    await redis.hset(row_key(an_upload().sid), mapping=ended)
    assert await settled(sessions) == expected


async def test_what_an_older_version_removes_is_released(
    sessions: RedisSessionStore, redis: Redis
) -> None:
    await sessions.insert(an_upload(), LATER)
    await redis.delete(row_key(an_upload().sid))
    assert await settled(sessions) == NOTHING
    assert not await redis.exists(*usage_keys(an_upload().grant))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.INITIATING, ONE_OPEN),
        (State.ACTIVE, ONE_OPEN),
        (State.COMPLETING, ONE_OPEN),
        (State.ABORTING, ONE_OPEN),
        (State.COMPLETED, NOTHING),
        (State.ABORTED, NOTHING),
    ],
)
async def test_what_an_older_version_stored_is_counted_while_it_is_open(
    sessions: RedisSessionStore, redis: Redis, state: State, expected: CallerUsage
) -> None:
    reason = AbortReason.REQUESTED if state is State.ABORTED else None
    stored = STORED if state is State.COMPLETED else None
    await sessions.insert(an_upload(state, abort_reason=reason, object=stored), LATER)
    keys = usage_keys(an_upload().grant)
    await redis.delete(*keys)
    assert await settled(sessions) == expected
    for key in keys:
        assert bool(await redis.exists(key)) is (expected is ONE_OPEN)
        assert await redis.pttl(key) != -1


async def test_what_an_older_version_stored_counts_once_it_changes(
    sessions: RedisSessionStore, redis: Redis
) -> None:
    opening, _ = await sessions.insert(an_upload(State.INITIATING), LATER, LEASE)
    await redis.delete(*usage_keys(opening.grant))
    await sessions.finish(opening.activated("2~abc"), LATER)
    assert await sessions.usage(ALICE) == ONE_OPEN
    await redis.delete(*usage_keys(opening.grant))
    row, _ = await sessions.claim(opening.sid, State.ABORTING, LEASE)
    assert row is not None
    await sessions.finish(row.aborted(AbortReason.REQUESTED), LATER)
    assert await sessions.usage(ALICE) == NOTHING


async def test_a_sid_whose_first_upload_vanished_counts_as_the_second(
    sessions: RedisSessionStore, redis: Redis
) -> None:
    await sessions.insert(an_upload(), LATER)
    await redis.delete(row_key(an_upload().sid))
    second = an_upload(plan=Plan(7, 7))
    await sessions.insert(second, LATER)
    assert (await sessions.usage(ALICE)).tenant == Usage(1, 7, 7)
    await sessions.remove(second.sid, 0)
    assert await sessions.usage(ALICE) == NOTHING


async def test_many_are_reconciled_step_by_step(sessions: RedisSessionStore, redis: Redis) -> None:
    # All in one shard, and more than Redis scans in one step.
    uploads = [an_upload(sid=f"{n:030x}00", plan=Plan(3, 3)) for n in range(600)]
    for upload in uploads:
        await sessions.insert(upload, LATER)
    key = counted_key(shard_of(uploads[0].sid))
    await redis.hdel(key, *(u.sid for u in uploads[:200]))
    await redis.delete(*(row_key(u.sid) for u in uploads[300:]))
    await redis.delete(*usage_keys(uploads[0].grant)[1:])
    for upload in uploads[200:]:
        for usage in usage_keys(upload.grant)[1:]:
            await redis.hincrby(usage, "open", 1)
            await redis.hincrby(usage, "open_bytes", 3)
    # More rounds than it takes, since what is removed meanwhile moves the rest.
    for _ in range(100):
        await sessions.reconcile_usage(20)
    usage = await settled(sessions)
    assert (usage.tenant.open_uploads, usage.tenant.open_bytes) == (300, 900)


async def test_what_others_wrote_to_the_keys_stops_nothing(
    sessions: RedisSessionStore, redis: Redis
) -> None:
    await sessions.insert(an_upload(), LATER)
    counted, tenant, subject = usage_keys(an_upload().grant)
    await redis.hset(counted, mapping={"x": "y", an_upload().sid: "no entry"})
    await redis.hset(tenant, mapping={"open": "one", "day": "Monday"})
    await redis.delete(subject)
    await redis.set(subject, "text")
    await sessions.usage(ALICE)
    await sessions.reconcile_usage(100)
    await sessions.insert(an_upload(sid="1" * 30 + an_upload().sid[-2:]), LATER)
    await sessions.usage(ALICE)
    await redis.delete(counted)
    await redis.set(counted, "text")
    await sessions.reconcile_usage(100)
    assert await redis.type(counted) == b"hash"
    await redis.delete(tenant, subject, counted)
    assert (await settled(sessions)).tenant.open_uploads == 2


async def test_usage_expires_with_the_last_record(
    sessions: RedisSessionStore, redis: Redis
) -> None:
    near: Upload = an_upload(sid="0" * 32)
    far = an_upload(sid="1" * 30 + "00")
    await sessions.insert(near, LATER)
    first = await redis.pttl(row_key(near.sid))
    await sessions.insert(far, LATER + timedelta(days=100))
    for key in usage_keys(near.grant):
        assert await redis.pttl(key) > first + 99 * 24 * 3600 * 1000
