"""Tests of claims without a look before, and of looks that judge: one suite over all stores."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from partway_server.domain.upload import AbortReason, State, StoredObject, Upload, epoch_at
from partway_server.sessions.base import AFTER_LEASE, SessionStore

from tests.support.clock import START, FakeClock
from tests.support.uploads import an_upload

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)

ENDS = sorted({State.COMPLETING, State.ABORTING})


async def stored(sessions: SessionStore, upload: Upload) -> Upload:
    row, ours = await sessions.insert(upload, LATER)
    assert ours
    return row


@pytest.mark.parametrize("target", ENDS)
async def test_takes_an_active_upload(
    sessions: SessionStore, clock: FakeClock, target: State
) -> None:
    row = await stored(sessions, an_upload())
    claimed, taken, _ = await sessions.claim_active(row.grant, target, LEASE, b"named")
    expected = row.claimed(target, clock.now(), clock.now() + LEASE)
    assert (claimed, taken) == (replace(expected, manifest=b"named"), True)
    assert await sessions.get(row.sid) == claimed
    clock.advance((LEASE + AFTER_LEASE).total_seconds())
    assert await sessions.take_due(1, LEASE) == [row.sid]


@pytest.mark.parametrize("state", sorted(set(State) - {State.ACTIVE}))
@pytest.mark.parametrize("target", ENDS)
async def test_takes_no_other(sessions: SessionStore, state: State, target: State) -> None:
    reason = AbortReason.LOST if state is State.ABORTED else None
    there = StoredObject(1, "etag") if state is State.COMPLETED else None
    row = await stored(sessions, an_upload(state, abort_reason=reason, object=there))
    assert await sessions.claim_active(row.grant, target, LEASE) == (row, False, False)
    assert await sessions.get(row.sid) == row


@pytest.mark.parametrize("target", sorted(set(State) - set(ENDS)))
async def test_leads_nowhere_else(sessions: SessionStore, target: State) -> None:
    row = await stored(sessions, an_upload())
    assert await sessions.claim_active(row.grant, target, LEASE) == (row, False, False)


async def test_takes_nothing_by_another_grant(sessions: SessionStore) -> None:
    row = await stored(sessions, an_upload())
    others = (
        replace(row.grant, expire_time=row.grant.expire_time + timedelta(seconds=1)),
        replace(row.grant, write_token="00" * 16),
        replace(row.grant, multipart_id=row.grant.multipart_id + "x"),
    )
    for grant in others:
        answer = await sessions.claim_active(grant, State.COMPLETING, LEASE)
        assert answer == (row, False, False)
    missing = replace(row.grant, sid="00" * 16)
    answer = await sessions.claim_active(missing, State.COMPLETING, LEASE)
    assert answer == (None, False, False)
    assert await sessions.get(row.sid) == row


async def test_without_a_manifest_keeps_it(sessions: SessionStore) -> None:
    row = await stored(sessions, replace(an_upload(), manifest=b"before"))
    claimed, _, _ = await sessions.claim_active(row.grant, State.ABORTING, LEASE)
    assert claimed is not None
    assert claimed.manifest == b"before"


async def test_of_many_at_once_one_succeeds(sessions: SessionStore) -> None:
    row = await stored(sessions, an_upload())
    answers = await asyncio.gather(
        *(sessions.claim_active(row.grant, State.COMPLETING, LEASE) for _ in range(20))
    )
    assert [taken for _, taken, _ in answers].count(True) == 1
    assert len({claimed.epoch for claimed, _, _ in answers if claimed}) == 1


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("age", [0, 1])
async def test_of_one_put_says_whether_the_record_was_current(
    sessions: SessionStore, clock: FakeClock, age: int, *, single: bool
) -> None:
    upload = an_upload(epoch=epoch_at(clock.now() - timedelta(seconds=age)))
    grant = replace(upload.grant, single=single, multipart_id="")
    row = await stored(sessions, replace(upload, grant=grant))
    current = await sessions.is_current(row)
    answer = await sessions.claim_active(grant, State.COMPLETING, LEASE)
    assert answer[1:] == (True, current and single)


async def test_a_look_returns_the_record_and_judges_it(sessions: SessionStore) -> None:
    row = await stored(sessions, an_upload())
    assert await sessions.look(row.sid) == (row, await sessions.is_current(row))


async def test_a_look_finds_nothing(sessions: SessionStore) -> None:
    upload, _ = await sessions.look("00" * 16)
    assert upload is None
