"""Tests that every session store counts what tenants and subjects use, exactly once."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from partway_server.domain.grant import Caller
from partway_server.domain.part_plan import Plan
from partway_server.domain.quota import Bucket, Limit, Rate
from partway_server.domain.upload import AbortReason, State, StoredObject, Upload
from partway_server.domain.usage import CallerUsage, Usage
from partway_server.sessions.base import SessionStore

from tests.support.clock import START, FakeClock
from tests.support.uploads import ALICE, an_upload

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)
SIZE = an_upload().grant.plan.size_bytes
STORED = StoredObject(SIZE, "0123abcd-64")
BOB = Caller(ALICE.tenant, "bob")

NOTHING = CallerUsage()
ONE_OPEN = CallerUsage(Usage(1, SIZE, SIZE), Usage(1, SIZE, SIZE))
ONE_DONE = CallerUsage(Usage(0, 0, SIZE), Usage(0, 0, SIZE))


def in_state(state: State, name: object = "one") -> Upload:
    """Return an upload in any state, with what it then has."""
    reason = AbortReason.LOST if state is State.ABORTED else None
    stored = STORED if state is State.COMPLETED else None
    return an_upload(state, name=name, abort_reason=reason, object=stored)


async def claimed(sessions: SessionStore, upload: Upload, target: State) -> Upload:
    row, granted = await sessions.claim(upload.sid, target, LEASE)
    assert granted
    assert row is not None
    return row


async def completed(sessions: SessionStore, upload: Upload) -> Upload:
    done = (await claimed(sessions, upload, State.COMPLETING)).completed(STORED)
    assert await sessions.finish(done, LATER)
    return done


async def aborted(sessions: SessionStore, upload: Upload) -> Upload:
    ended = (await claimed(sessions, upload, State.ABORTING)).aborted(AbortReason.REQUESTED)
    assert await sessions.finish(ended, LATER)
    return ended


async def test_a_caller_without_uploads_uses_nothing(sessions: SessionStore) -> None:
    assert await sessions.usage(ALICE) == NOTHING


async def test_an_upload_counts_from_its_insert_to_its_completion(sessions: SessionStore) -> None:
    opening, _ = await sessions.insert(an_upload(State.INITIATING), LATER, LEASE)
    assert await sessions.usage(ALICE) == ONE_OPEN
    active = opening.activated("2~abc")
    await sessions.finish(active, LATER)
    assert await sessions.usage(ALICE) == ONE_OPEN
    taken = await claimed(sessions, active, State.COMPLETING)
    assert await sessions.usage(ALICE) == ONE_OPEN
    await sessions.finish(taken.reopened(), LATER)
    assert await sessions.usage(ALICE) == ONE_OPEN
    await completed(sessions, active)
    assert await sessions.usage(ALICE) == ONE_DONE


async def test_an_aborted_upload_gives_its_bytes_of_the_day_back(sessions: SessionStore) -> None:
    await sessions.insert(an_upload(), LATER)
    taken = await claimed(sessions, an_upload(), State.ABORTING)
    assert await sessions.usage(ALICE) == ONE_OPEN
    await sessions.finish(taken.aborted(AbortReason.EXPIRED), START)
    assert await sessions.usage(ALICE) == NOTHING
    # Its burial, and its removal, take nothing twice.
    burying = await claimed(sessions, an_upload(), State.ABORTING)
    assert await sessions.usage(ALICE) == NOTHING
    await sessions.remove(burying.sid, burying.epoch)
    assert await sessions.usage(ALICE) == NOTHING


async def test_a_tombstone_that_turns_out_complete_counts_for_its_day(
    sessions: SessionStore,
) -> None:
    await sessions.insert(an_upload(), LATER)
    await aborted(sessions, an_upload())
    taken = await claimed(sessions, an_upload(), State.COMPLETING)
    assert await sessions.usage(ALICE) == NOTHING
    await sessions.finish(taken.completed(STORED), LATER)
    assert await sessions.usage(ALICE) == ONE_DONE


@pytest.mark.parametrize("state", [State.INITIATING, State.ACTIVE, State.COMPLETED, State.ABORTED])
async def test_a_removed_record_leaves_nothing(sessions: SessionStore, state: State) -> None:
    await sessions.insert(in_state(state), LATER)
    await sessions.remove(an_upload().sid, 0)
    assert await sessions.usage(ALICE) == NOTHING
    await sessions.remove(an_upload().sid, 0)
    assert await sessions.usage(ALICE) == NOTHING


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.ACTIVE, ONE_OPEN),
        (State.COMPLETED, ONE_DONE),
        (State.ABORTED, NOTHING),
    ],
)
async def test_a_record_that_is_rebuilt_counts_again(
    sessions: SessionStore, state: State, expected: CallerUsage
) -> None:
    rebuilt = in_state(state)
    await sessions.insert(rebuilt, LATER)
    assert await sessions.usage(ALICE) == expected
    await sessions.remove(rebuilt.sid, 0)
    await sessions.insert(rebuilt, LATER)
    assert await sessions.usage(ALICE) == expected


async def test_what_changes_nothing_counts_nothing(sessions: SessionStore) -> None:
    await sessions.insert(an_upload(), LATER)
    await sessions.insert(an_upload(), LATER)
    taken = await claimed(sessions, an_upload(), State.COMPLETING)
    outdated = replace(taken.completed(STORED), epoch=taken.epoch - 1)
    assert not await sessions.finish(outdated, LATER)
    assert not await sessions.remove(taken.sid, taken.epoch - 1)
    assert await sessions.usage(ALICE) == ONE_OPEN
    done = taken.completed(STORED)
    assert await sessions.finish(done, LATER)
    assert not await sessions.finish(done, LATER)
    assert await sessions.usage(ALICE) == ONE_DONE


async def test_a_subject_counts_for_its_tenant(sessions: SessionStore) -> None:
    other = Caller("other", ALICE.subject)
    for n, caller in enumerate((ALICE, ALICE, BOB, other)):
        await sessions.insert(an_upload(name=n, caller=caller, plan=Plan(10**n, 10**n)), LATER)
    tenant = Usage(3, 111, 111)
    assert await sessions.usage(ALICE) == CallerUsage(tenant, Usage(2, 11, 11))
    assert await sessions.usage(BOB) == CallerUsage(tenant, Usage(1, 100, 100))
    assert await sessions.usage(other) == CallerUsage(*[Usage(1, 1000, 1000)] * 2)


async def test_names_that_look_like_keys_are_kept_apart(sessions: SessionStore) -> None:
    callers = [Caller("a", "b"), Caller("a", ""), Caller("a", "b c:d"), Caller("a:b", "{x}")]
    for n, caller in enumerate(callers):
        await sessions.insert(an_upload(name=n, caller=caller), LATER)
    for caller in callers:
        assert (await sessions.usage(caller)).subject == Usage(1, SIZE, SIZE)
    assert (await sessions.usage(Caller("a", "x"))).tenant == Usage(3, 3 * SIZE, 3 * SIZE)


async def test_an_empty_file_counts_as_an_upload(sessions: SessionStore) -> None:
    await sessions.insert(an_upload(plan=Plan(0, 1)), LATER)
    assert (await sessions.usage(ALICE)).tenant == Usage(1, 0, 0)
    await aborted(sessions, an_upload(plan=Plan(0, 1)))
    assert await sessions.usage(ALICE) == NOTHING


async def test_the_sum_may_exceed_what_floats_can_count(sessions: SessionStore) -> None:
    size = 48 * 1024**4 + 1
    for n in range(300):
        await sessions.insert(an_upload(name=n, plan=Plan(size, size)), LATER)
    assert (await sessions.usage(ALICE)).tenant == Usage(300, 300 * size, 300 * size)
    for n in range(300):
        await aborted(sessions, an_upload(name=n, plan=Plan(size, size)))
    assert await sessions.usage(ALICE) == NOTHING


async def test_the_bytes_of_a_day_end_with_it(sessions: SessionStore, clock: FakeClock) -> None:
    await sessions.insert(an_upload(name=1), LATER)
    clock.advance(24 * 3600)
    still_open = Usage(1, SIZE, 0)
    assert (await sessions.usage(ALICE)).tenant == still_open
    today = an_upload(name=2, create_time=clock.now(), plan=Plan(5, 5))
    await sessions.insert(today, LATER)
    assert (await sessions.usage(ALICE)).tenant == Usage(2, SIZE + 5, 5)
    # What began yesterday takes nothing from today.
    await aborted(sessions, an_upload(name=1))
    assert (await sessions.usage(ALICE)).tenant == Usage(1, 5, 5)


async def test_one_of_yesterday_that_is_rebuilt_does_not_count_for_today(
    sessions: SessionStore,
) -> None:
    await sessions.insert(an_upload(name=1), LATER)
    yesterday = START - timedelta(days=1)
    await sessions.insert(an_upload(name=2, create_time=yesterday), LATER)
    assert (await sessions.usage(ALICE)).tenant == Usage(2, 2 * SIZE, SIZE)


async def test_many_at_once_are_counted_once_each(sessions: SessionStore) -> None:
    uploads = [an_upload(name=n, plan=Plan(n, n or 1)) for n in range(60)]
    await asyncio.gather(*(sessions.insert(u, LATER) for u in [*uploads, *uploads]))
    total = sum(range(60))
    assert (await sessions.usage(ALICE)).tenant == Usage(60, total, total)
    await asyncio.gather(*(completed(sessions, u) for u in uploads[:30]))
    await asyncio.gather(*(aborted(sessions, u) for u in uploads[30:]))
    done = sum(range(30))
    assert (await sessions.usage(ALICE)).tenant == Usage(0, 0, done)


async def test_nothing_is_corrected_where_all_is_right(sessions: SessionStore) -> None:
    for n, state in itertools.product(range(5), State):
        await sessions.insert(in_state(state, (n, state)), LATER)
    before = await sessions.usage(ALICE)
    assert await sessions.reconcile_usage(100) == 0
    assert await sessions.usage(ALICE) == before


# ---- tokens

CALLS = Bucket(Limit.CALLS_PER_SECOND, "acme")
TEN = Rate(10, 1)


async def test_a_full_bucket_gives_all_it_holds_and_fills_again(
    sessions: SessionStore, clock: FakeClock
) -> None:
    assert await sessions.take_tokens(CALLS, TEN, 1, 4) == (4, 0)
    assert await sessions.take_tokens(CALLS, TEN, 1, 20) == (6, 0)
    assert await sessions.take_tokens(CALLS, TEN, 1, 4) == (0, pytest.approx(0.1, abs=0.002))
    clock.advance(0.2)
    assert await sessions.take_tokens(CALLS, TEN, 3, 3) == (0, pytest.approx(0.1, abs=0.002))
    assert await sessions.take_tokens(CALLS, TEN, 1, 4) == (2, 0)
    clock.advance(60)
    assert await sessions.take_tokens(CALLS, TEN, 1, 20) == (10, 0)


async def test_who_needs_more_than_a_bucket_holds_has_it_on_credit(
    sessions: SessionStore, clock: FakeClock
) -> None:
    assert await sessions.take_tokens(CALLS, TEN, 30, 30) == (30, 0)
    assert await sessions.take_tokens(CALLS, TEN, 1, 1) == (0, pytest.approx(2.1, abs=0.002))
    clock.advance(2.1)
    assert await sessions.take_tokens(CALLS, TEN, 1, 1) == (1, 0)


async def test_buckets_are_kept_apart(sessions: SessionStore) -> None:
    buckets = [
        Bucket(limit, tenant, subject)
        for limit in (Limit.CALLS_PER_SECOND, Limit.PARTS_PER_MINUTE)
        for tenant in ("a", "a:b", "a}b")
        for subject in (None, "", "b")
    ]
    for bucket in buckets:
        assert await sessions.take_tokens(bucket, TEN, 10, 10) == (10, 0)
    for bucket in buckets:
        assert (await sessions.take_tokens(bucket, TEN, 1, 1))[0] == 0


async def test_at_once_no_more_is_given_than_there_is(sessions: SessionStore) -> None:
    answers = await asyncio.gather(*(sessions.take_tokens(CALLS, TEN, 1, 1) for _ in range(40)))
    assert sum(taken for taken, _ in answers) == 10
