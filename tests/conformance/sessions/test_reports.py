"""Tests what every session store does with reported parts, and whom it notifies of changes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from partway_server.domain.part_plan import MIB, Plan
from partway_server.domain.upload import AbortReason, ReportedParts, State, StoredObject, Upload
from partway_server.sessions.base import SessionStore
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.sessions.notifications import Wakeup

from tests.support.clock import START
from tests.support.uploads import an_upload, sid_of
from tests.support.wakeups import heard, notified

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)
STORED = StoredObject(1 << 40, "0123abcd-64")
PLAN = Plan(10_000 * 5 * MIB - 1, 5 * MIB)
"""10,000 parts, the last one byte shorter."""


def reported(upload: Upload, *numbers: int) -> Upload:
    """Return the Upload with these parts reported."""
    bits = sum(1 << (number - 1) for number in numbers)
    parts = bits.to_bytes(-(-bits.bit_length() // 8), "little")
    size = sum(map(upload.grant.plan.size, numbers))
    return replace(upload, reported=ReportedParts(parts, size))


@pytest.fixture
def upload() -> Upload:
    return an_upload(plan=PLAN)


class TestReport:
    async def test_counts_each_part_once(self, sessions: SessionStore, upload: Upload) -> None:
        await sessions.insert(upload, LATER)
        assert await sessions.report(upload, [3, 1]) == reported(upload, 1, 3)
        assert await sessions.report(upload, [3, 17]) == reported(upload, 1, 3, 17)
        assert await sessions.report(upload, [1, 3, 17]) == reported(upload, 1, 3, 17)
        assert await sessions.get(upload.sid) == reported(upload, 1, 3, 17)

    async def test_counts_the_first_and_the_last_of_ten_thousand(
        self, sessions: SessionStore, upload: Upload
    ) -> None:
        await sessions.insert(upload, LATER)
        assert await sessions.report(upload, [10_000]) == reported(upload, 10_000)
        assert await sessions.report(upload, [1]) == reported(upload, 1, 10_000)
        for first in range(1, 10_001, 1000):
            await sessions.report(upload, range(first, first + 1000))
        row = await sessions.get(upload.sid)
        assert row is not None
        assert row.reported == ReportedParts(b"\xff" * 1250, PLAN.size_bytes)

    async def test_counts_a_part_of_no_bytes(self, sessions: SessionStore) -> None:
        empty = an_upload(plan=Plan(0, 5 * MIB))
        await sessions.insert(empty, LATER)
        assert await sessions.report(empty, [1]) == replace(empty, reported=ReportedParts(b"\1", 0))

    async def test_by_many_at_once_loses_none(self, sessions: SessionStore, upload: Upload) -> None:
        await sessions.insert(upload, LATER)
        spans = [range(n, n + 60) for n in range(1, 600, 30)]
        await asyncio.gather(*(sessions.report(upload, span) for span in spans))
        assert await sessions.get(upload.sid) == reported(upload, *range(1, 631))

    async def test_of_nothing_is_none(self, sessions: SessionStore, upload: Upload) -> None:
        assert await sessions.report(upload, [1]) is None
        assert await sessions.get(upload.sid) is None

    async def test_of_another_upload_with_the_same_sid_is_none(
        self, sessions: SessionStore, upload: Upload
    ) -> None:
        await sessions.insert(upload, LATER)
        other = replace(upload, grant=replace(upload.grant, write_token=sid_of("other")))
        assert await sessions.report(other, [1]) is None
        assert await sessions.get(upload.sid) == upload

    @pytest.mark.parametrize("state", [s for s in State if s is not State.ACTIVE])
    async def test_counts_only_while_the_row_is_active(
        self, sessions: SessionStore, state: State
    ) -> None:
        row, _ = await sessions.insert(an_upload(state), LATER, LEASE)
        assert await sessions.report(an_upload(), [1]) == row
        assert await sessions.get(row.sid) == row

    async def test_lasts_through_a_complete_that_is_refused(
        self, sessions: SessionStore, upload: Upload
    ) -> None:
        await sessions.insert(upload, LATER)
        await sessions.report(upload, [2, 9])
        claimed, _ = await sessions.claim(upload.sid, State.COMPLETING, LEASE)
        assert claimed is not None and claimed.reported == reported(upload, 2, 9).reported
        assert await sessions.finish(claimed.reopened(), LATER)
        row = await sessions.report(upload, [1])
        assert row is not None and row.reported == reported(upload, 1, 2, 9).reported

    async def test_takes_nothing_from_a_claim_whose_reply_was_lost(
        self, sessions: SessionStore, upload: Upload
    ) -> None:
        await sessions.insert(upload, LATER)
        claimed, _ = await sessions.claim(upload.sid, State.COMPLETING, LEASE)
        assert await sessions.report(upload, [1]) == claimed
        assert await sessions.get(upload.sid) == claimed

    @pytest.mark.parametrize("end", [State.COMPLETED, State.ABORTED])
    async def test_is_forgotten_when_the_upload_is_over(
        self, sessions: SessionStore, upload: Upload, end: State
    ) -> None:
        await sessions.insert(upload, LATER)
        await sessions.report(upload, [1])
        claimed, _ = await sessions.claim(upload.sid, State.COMPLETING, LEASE)
        assert claimed is not None
        completed, aborted = claimed.completed(STORED), claimed.aborted(AbortReason.CONFLICT)
        await sessions.finish(completed if end is State.COMPLETED else aborted, LATER)
        row = await sessions.get(upload.sid)
        assert row is not None and row.reported == ReportedParts()

    async def test_begins_anew_with_a_new_row(self, sessions: SessionStore, upload: Upload) -> None:
        await sessions.insert(upload, LATER)
        await sessions.report(upload, [1, 2, 3])
        assert await sessions.remove(upload.sid, upload.epoch)
        await sessions.insert(upload, LATER)
        assert await sessions.report(upload, [2]) == reported(upload, 2)


@pytest.fixture
async def wake(sessions: SessionStore, upload: Upload) -> AsyncIterator[Wakeup]:
    with sessions.changes(upload.sid) as wake:
        yield wake


async def ready(sessions: SessionStore, wake: Wakeup) -> None:
    """Wait until the store is notified of changes; the one in memory always is."""
    if not isinstance(sessions, MemorySessionStore):
        await heard(wake)


class TestChanges:
    async def test_are_told_from_the_first_row_to_the_last(
        self, sessions: SessionStore, wake: Wakeup, upload: Upload
    ) -> None:
        await ready(sessions, wake)
        await sessions.insert(upload, LATER)
        assert not await notified(wake)
        await sessions.report(upload, [1])
        await notified(wake)
        await sessions.extend(upload, LATER, LATER)
        await notified(wake)
        claimed, _ = await sessions.claim(upload.sid, State.ABORTING, LEASE)
        assert claimed is not None
        await notified(wake)
        await sessions.finish(claimed.aborted(AbortReason.REQUESTED), LATER)
        await notified(wake)
        await sessions.remove(upload.sid, claimed.epoch)
        await notified(wake)

    async def test_are_not_told_where_nothing_changed(
        self, sessions: SessionStore, wake: Wakeup, upload: Upload
    ) -> None:
        await ready(sessions, wake)
        await sessions.insert(upload, LATER)
        await sessions.report(upload, [1])
        claimed, _ = await sessions.claim(upload.sid, State.COMPLETING, LEASE)
        assert claimed is not None
        marker = an_upload(name="marker")
        with sessions.changes(marker.sid) as after:
            await sessions.insert(marker, LATER)
            # Notifications come in their order, so that all before has come as well.
            await notified(after)
            wake.take()
            await sessions.insert(upload, LATER)
            await sessions.report(upload, [1])
            await sessions.claim(upload.sid, State.ABORTING, LEASE)
            await sessions.finish(replace(claimed.completed(STORED), epoch=5), LATER)
            await sessions.extend(upload, LATER, LATER)
            await sessions.remove(upload.sid, 5)
            assert await sessions.renew(upload.sid, claimed.epoch, LEASE)
            await sessions.remove(marker.sid, marker.epoch)
            await notified(after)
        assert not await wake.wait(0)

    async def test_that_come_together_wake_once_and_of_others_never(
        self, sessions: SessionStore, wake: Wakeup, upload: Upload
    ) -> None:
        await ready(sessions, wake)
        other = an_upload(name="other", plan=PLAN)
        await sessions.insert(upload, LATER)
        await sessions.insert(other, LATER)
        with sessions.changes(other.sid) as of_other, sessions.changes(other.sid) as of_both:
            for number in range(1, 21):
                await sessions.report(upload, [number])
            await sessions.report(other, [1])
            await notified(of_other)
            await notified(of_both)
        await notified(wake)
        assert not await wake.wait(0)
        await sessions.report(other, [2])
        await sessions.report(upload, [21])
        await notified(wake)

    async def test_are_told_to_all_who_wait_and_to_nobody_who_left(
        self, sessions: SessionStore, wake: Wakeup, upload: Upload
    ) -> None:
        await ready(sessions, wake)
        with sessions.changes(upload.sid, sid_of("more")) as first:
            with sessions.changes(upload.sid) as second:
                await sessions.insert(upload, LATER)
                for each in (wake, first, second):
                    await notified(each)
            await sessions.report(upload, [1])
            await notified(first)
            assert not await second.wait(0)
