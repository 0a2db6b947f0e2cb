"""Tests what every session store does: one suite over all of them."""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from partway_server.domain.grant import Caller, CopySource
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import (
    CLAIMS,
    FINISHES,
    LEASED,
    AbortReason,
    State,
    StoredObject,
    Upload,
    epoch_at,
)
from partway_server.sessions.base import AFTER_LEASE, Cursor, SessionStore

from tests.support.clock import START, FakeClock
from tests.support.uploads import ALICE, an_upload, sid_of

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)
STORED = StoredObject(1 << 40, "0123abcd-64", version_id="v1", checksum=b"\0\xff" * 4)

every_state = pytest.mark.parametrize("state", State)
every_target = pytest.mark.parametrize("target", State)
every_leased_state = pytest.mark.parametrize("state", sorted(LEASED))


def outcome_of(row: Upload, state: State) -> Upload:
    outcome = replace(row, state=state, lease_until=None)
    if state is State.COMPLETED:
        return replace(outcome, object=STORED)
    return replace(outcome, abort_reason=AbortReason.LOST) if state is State.ABORTED else outcome


async def all_pages(
    sessions: SessionStore,
    limit: int,
    *,
    caller: Caller = ALICE,
    state: State | None = None,
    fingerprint: str = "",
    before: Cursor | None = None,
    policy: str = "",
    created_from: datetime | None = None,
    created_before: datetime | None = None,
) -> list[Upload]:
    """Return everything that paging to the end lists; paging must end."""
    shown: list[Upload] = []
    for _ in range(1000):
        page, before = await sessions.list_uploads(
            caller,
            UploadFilter(
                state=state,
                fingerprint=fingerprint,
                policy=policy,
                created_from=created_from,
                created_before=created_before,
            ),
            before=before,
            limit=limit,
        )
        assert len(page) <= limit
        shown += page
        if before is None:
            return shown
    raise AssertionError("the pages do not end")


def newest_first(uploads: list[Upload]) -> list[Upload]:
    return sorted(uploads, key=lambda u: (u.grant.create_time, u.sid), reverse=True)


class TestInsert:
    async def test_returns_what_it_stored(self, sessions: SessionStore) -> None:
        upload = an_upload()
        assert await sessions.insert(upload, LATER) == (upload, True)
        assert await sessions.get(upload.sid) == upload

    async def test_keeps_every_field(self, sessions: SessionStore) -> None:
        upload = an_upload(
            State.COMPLETED,
            caller=Caller("acme", "auth0|ä:{x}/%3A \n"),
            epoch=7,
            abort_reason=AbortReason.CONFLICT,
            object=STORED,
            fingerprint="film ☃ 1",
            request_digest=bytes(range(256)),
            manifest=b"\xff\x00\r\n",
        )
        grant = replace(upload.grant, single=True, multipart_id="", metadata={"naïve": "☃"})
        upload = replace(upload, grant=grant)
        await sessions.insert(upload, LATER)
        assert await sessions.get(upload.sid) == upload

    async def test_does_not_replace_a_row(self, sessions: SessionStore) -> None:
        first = an_upload(fingerprint="first")
        await sessions.insert(first, LATER)
        second = an_upload(State.COMPLETED, fingerprint="second", epoch=9)
        assert await sessions.insert(second, START) == (first, False)
        assert await sessions.get(first.sid) == first
        assert await sessions.take_due(10, LEASE) == []

    async def test_of_the_same_row_again_says_that_it_was_there(
        self, sessions: SessionStore
    ) -> None:
        await sessions.insert(an_upload(), LATER)
        assert await sessions.insert(an_upload(), LATER) == (an_upload(), False)

    async def test_by_many_at_once_lets_one_through(self, sessions: SessionStore) -> None:
        uploads = [an_upload(fingerprint=f"{n}") for n in range(30)]
        answers = await asyncio.gather(*(sessions.insert(u, LATER) for u in uploads))
        winners = [row for row, inserted in answers if inserted]
        assert len(winners) == 1
        assert {row.fingerprint for row, _ in answers} == {winners[0].fingerprint}

    @every_state
    async def test_leases_leased_states_only(self, sessions: SessionStore, state: State) -> None:
        row, _ = await sessions.insert(an_upload(state), LATER, LEASE)
        assert row.lease_until == (START + LEASE if state in LEASED else None)
        assert await sessions.get(row.sid) == row

    async def test_of_a_leased_state_without_a_lease_can_be_claimed(
        self, sessions: SessionStore
    ) -> None:
        row, _ = await sessions.insert(an_upload(State.INITIATING, lease_until=LATER), LATER)
        assert row.lease_until is None
        assert (await sessions.claim(row.sid, State.INITIATING, LEASE))[1]


class TestGet:
    async def test_of_nothing_is_none(self, sessions: SessionStore) -> None:
        assert await sessions.get(sid_of("nothing")) is None


class TestClaim:
    async def test_of_nothing_is_refused(self, sessions: SessionStore) -> None:
        assert await sessions.claim(sid_of("nothing"), State.ABORTING, LEASE) == (None, False)
        assert await sessions.get(sid_of("nothing")) is None

    @every_state
    @every_target
    async def test_follows_the_table_where_nobody_holds_a_lease(
        self, sessions: SessionStore, state: State, target: State
    ) -> None:
        upload = an_upload(state, epoch=4)
        await sessions.insert(upload, LATER)
        row, claimed = await sessions.claim(upload.sid, target, LEASE)
        assert claimed == (state in CLAIMS.get(target, ()))
        assert row == (upload.claimed(target, START, START + LEASE) if claimed else upload)
        assert await sessions.get(upload.sid) == row

    @every_state
    @every_target
    async def test_of_a_held_upload_is_refused(
        self, sessions: SessionStore, state: State, target: State
    ) -> None:
        inserted, _ = await sessions.insert(an_upload(state), LATER, LEASE)
        row, claimed = await sessions.claim(inserted.sid, target, LEASE)
        assert claimed == (state not in LEASED and state in CLAIMS.get(target, ()))
        if not claimed:
            assert row == inserted == await sessions.get(inserted.sid)

    @every_state
    @every_target
    async def test_follows_the_table_once_the_lease_is_over(
        self, sessions: SessionStore, clock: FakeClock, state: State, target: State
    ) -> None:
        inserted, _ = await sessions.insert(an_upload(state), LATER, LEASE)
        clock.advance(60)
        _, claimed = await sessions.claim(inserted.sid, target, LEASE)
        assert claimed == (state in CLAIMS.get(target, ()))

    async def test_is_refused_to_the_last_moment_of_the_lease(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        row, _ = await sessions.insert(an_upload(State.COMPLETING), LATER, LEASE)
        clock.advance(59.999)
        assert not (await sessions.claim(row.sid, State.ABORTING, LEASE))[1]
        clock.advance(0.001)
        assert (await sessions.claim(row.sid, State.ABORTING, LEASE))[1]

    async def test_stores_the_manifest(self, sessions: SessionStore) -> None:
        await sessions.insert(an_upload(manifest=b"old"), LATER)
        row, _ = await sessions.claim(an_upload().sid, State.COMPLETING, LEASE, b"new\x00")
        assert row is not None and row.manifest == b"new\x00"

    async def test_takes_only_the_row_that_its_caller_saw(self, sessions: SessionStore) -> None:
        upload, _ = await sessions.insert(an_upload(), LATER)
        claim = partial(sessions.claim, upload.sid, State.COMPLETING, LEASE)
        another = replace(upload, grant=replace(upload.grant, write_token="ab" * 16))
        assert await claim(seen=another) == (None, False)
        assert await claim(seen=replace(upload, epoch=upload.epoch + 1)) == (upload, False)
        assert await claim(seen=replace(upload, state=State.ABORTED)) == (upload, False)
        assert await sessions.get(upload.sid) == upload
        row, claimed = await claim(seen=upload)
        assert claimed and row is not None and row.state is State.COMPLETING

    async def test_without_a_manifest_leaves_the_old_one(self, sessions: SessionStore) -> None:
        await sessions.insert(an_upload(manifest=b"old"), LATER)
        row, _ = await sessions.claim(an_upload().sid, State.COMPLETING, LEASE)
        assert row is not None and row.manifest == b"old"

    async def test_that_is_refused_does_not_store_the_manifest(
        self, sessions: SessionStore
    ) -> None:
        await sessions.insert(an_upload(State.COMPLETING, manifest=b"old"), LATER, LEASE)
        row, _ = await sessions.claim(an_upload().sid, State.COMPLETING, LEASE, b"new")
        assert row is not None and row.manifest == b"old"

    async def test_by_many_at_once_lets_one_through(self, sessions: SessionStore) -> None:
        upload = an_upload()
        await sessions.insert(upload, LATER)
        targets = [State.COMPLETING, State.ABORTING] * 25
        answers = await asyncio.gather(*(sessions.claim(upload.sid, t, LEASE) for t in targets))
        winners = [row for row, claimed in answers if claimed]
        assert len(winners) == 1
        assert all(row == winners[0] for row, _ in answers)
        assert winners[0] is not None and winners[0].epoch == epoch_at(START)

    async def test_after_an_expired_lease_by_many_at_once_lets_one_through(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        upload = an_upload(State.COMPLETING, epoch=1)
        await sessions.insert(upload, LATER, LEASE)
        clock.advance(61)
        claims = (sessions.claim(upload.sid, State.COMPLETING, LEASE) for _ in range(50))
        assert sum(claimed for _, claimed in await asyncio.gather(*claims)) == 1

    async def test_that_is_abandoned_is_due_after_its_lease(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        upload = an_upload()
        await sessions.insert(upload, LATER)
        await sessions.claim(upload.sid, State.COMPLETING, LEASE)
        clock.advance((LEASE + AFTER_LEASE).total_seconds() - 1)
        assert await sessions.take_due(10, LEASE) == []
        clock.advance(1)
        assert await sessions.take_due(10, LEASE) == [upload.sid]


class TestRenew:
    async def held(self, sessions: SessionStore, state: State = State.COMPLETING) -> Upload:
        row, _ = await sessions.insert(an_upload(state, epoch=3), LATER, LEASE)
        return row

    async def test_of_nothing_is_false(self, sessions: SessionStore) -> None:
        assert not await sessions.renew(sid_of("nothing"), 0, LEASE)
        assert await sessions.get(sid_of("nothing")) is None

    @every_leased_state
    async def test_moves_the_end_of_the_lease(
        self, sessions: SessionStore, clock: FakeClock, state: State
    ) -> None:
        row = await self.held(sessions, state)
        clock.advance(50)
        assert await sessions.renew(row.sid, 3, LEASE)
        until = START + timedelta(seconds=110)
        assert await sessions.get(row.sid) == replace(row, lease_until=until)

    async def test_keeps_others_out(self, sessions: SessionStore, clock: FakeClock) -> None:
        row = await self.held(sessions)
        clock.advance(50)
        await sessions.renew(row.sid, 3, LEASE)
        clock.advance(50)
        assert not (await sessions.claim(row.sid, State.ABORTING, LEASE))[1]

    @pytest.mark.parametrize("epoch", [2, 4])
    async def test_for_another_claim_is_false(self, sessions: SessionStore, epoch: int) -> None:
        row = await self.held(sessions)
        assert not await sessions.renew(row.sid, epoch, timedelta(hours=1))
        assert await sessions.get(row.sid) == row

    async def test_after_the_lease_is_false(self, sessions: SessionStore, clock: FakeClock) -> None:
        row = await self.held(sessions)
        clock.advance(60)
        assert not await sessions.renew(row.sid, 3, LEASE)
        assert await sessions.get(row.sid) == row

    async def test_after_another_took_over_is_false(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        row = await self.held(sessions)
        clock.advance(60)
        taken, _ = await sessions.claim(row.sid, State.ABORTING, LEASE)
        assert not await sessions.renew(row.sid, 3, LEASE)
        assert await sessions.get(row.sid) == taken

    async def test_after_the_finish_is_false(self, sessions: SessionStore) -> None:
        row = await self.held(sessions)
        await sessions.finish(row.reopened(), LATER)
        assert not await sessions.renew(row.sid, 3, LEASE)

    @pytest.mark.parametrize("state", sorted(set(State) - LEASED))
    async def test_of_a_state_without_lease_is_false(
        self, sessions: SessionStore, state: State
    ) -> None:
        row, _ = await sessions.insert(an_upload(state), LATER, LEASE)
        assert not await sessions.renew(row.sid, 0, LEASE)
        assert await sessions.get(row.sid) == row

    async def test_for_no_time_gives_the_claim_up(self, sessions: SessionStore) -> None:
        row = await self.held(sessions)
        assert await sessions.renew(row.sid, 3, timedelta())
        assert not await sessions.renew(row.sid, 3, LEASE)
        assert (await sessions.claim(row.sid, State.COMPLETING, LEASE))[1]

    async def test_moves_the_due_time(self, sessions: SessionStore, clock: FakeClock) -> None:
        row = await self.held(sessions)
        clock.advance(50)
        await sessions.renew(row.sid, 3, LEASE)
        clock.advance((LEASE + AFTER_LEASE).total_seconds() - 1)
        assert await sessions.take_due(10, LEASE) == []
        clock.advance(1)
        assert await sessions.take_due(10, LEASE) == [row.sid]


class TestFirstDue:
    async def test_is_the_earliest_due_time_past_or_not(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        assert await sessions.first_due() is None
        row, _ = await sessions.insert(an_upload(epoch=3), LATER)
        assert await sessions.first_due() == LATER
        soon = START + timedelta(seconds=1)
        assert await sessions.put_off(row.sid, 3, soon)
        assert await sessions.first_due() == soon
        clock.advance(60)
        assert await sessions.first_due() == soon


class TestPutOff:
    async def test_moves_the_due_time_both_ways(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        row, _ = await sessions.insert(an_upload(epoch=3), LATER)
        assert await sessions.put_off(row.sid, 3, START)
        assert await sessions.peek_due(1) == [row.sid]
        assert await sessions.put_off(row.sid, 3, START + timedelta(seconds=1))
        assert await sessions.peek_due(1) == []
        clock.advance(1)
        assert await sessions.peek_due(1) == [row.sid]
        assert await sessions.get(row.sid) == row

    async def test_a_row_that_is_gone_or_was_claimed_since_is_left_alone(
        self, sessions: SessionStore
    ) -> None:
        row, _ = await sessions.insert(an_upload(epoch=3), LATER)
        assert not await sessions.put_off(row.sid, 2, START)
        assert not await sessions.put_off(sid_of("nothing"), 0, START)
        assert await sessions.peek_due(1) == []


class TestExtend:
    FURTHER = LATER + timedelta(days=1)

    async def test_moves_the_deadline_and_the_due_time(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        seen, _ = await sessions.insert(an_upload(epoch=3, fingerprint="film"), LATER)
        row, extended = await sessions.extend(seen, self.FURTHER, self.FURTHER)
        assert (row, extended) == (seen.extended(self.FURTHER), True)
        assert row is not None and row.grant.expire_time == self.FURTHER
        assert await sessions.get(seen.sid) == row
        clock.advance((LATER - START).total_seconds())
        assert await sessions.peek_due(1) == []
        clock.advance((self.FURTHER - LATER).total_seconds())
        assert await sessions.peek_due(1) == [seen.sid]

    @every_state
    async def test_only_an_active_upload_is_extended(
        self, sessions: SessionStore, state: State
    ) -> None:
        seen, _ = await sessions.insert(an_upload(state, epoch=3), LATER)
        row, extended = await sessions.extend(seen, self.FURTHER, self.FURTHER)
        assert extended is (state is State.ACTIVE)
        assert row == (seen.extended(self.FURTHER) if extended else seen)

    async def test_a_claim_by_what_was_seen_before_it_fails(self, sessions: SessionStore) -> None:
        seen, _ = await sessions.insert(an_upload(epoch=3), LATER)
        row, _ = await sessions.extend(seen, self.FURTHER, self.FURTHER)
        assert row is not None
        for target in (State.ABORTING, State.COMPLETING):
            assert await sessions.claim(seen.sid, target, LEASE, seen=seen) == (row, False)
        claimed, granted = await sessions.claim(seen.sid, State.ABORTING, LEASE, seen=row)
        assert granted and claimed is not None
        assert claimed.grant.expire_time == self.FURTHER

    async def test_after_a_claim_it_changes_nothing(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        seen, _ = await sessions.insert(an_upload(epoch=3), LATER)
        claimed, _ = await sessions.claim(seen.sid, State.COMPLETING, LEASE)
        assert await sessions.extend(seen, self.FURTHER, self.FURTHER) == (claimed, False)
        assert claimed is not None
        reopened = claimed.reopened()
        assert await sessions.finish(reopened, LATER)
        assert await sessions.extend(seen, self.FURTHER, self.FURTHER) == (reopened, False)
        clock.advance((LATER - START).total_seconds())
        assert await sessions.peek_due(1) == [seen.sid]

    async def test_what_a_claim_ends_with_has_the_later_deadline(
        self, sessions: SessionStore
    ) -> None:
        seen, _ = await sessions.insert(an_upload(epoch=3), LATER)
        await sessions.extend(seen, self.FURTHER, self.FURTHER)
        claimed, _ = await sessions.claim(seen.sid, State.COMPLETING, LEASE)
        assert claimed is not None
        assert await sessions.finish(claimed.reopened(), LATER)
        row = await sessions.get(seen.sid)
        assert row is not None and row.grant.expire_time == self.FURTHER

    async def test_of_a_missing_row_or_another_upload_returns_none(
        self, sessions: SessionStore
    ) -> None:
        seen = an_upload(epoch=3)
        assert await sessions.extend(seen, self.FURTHER, self.FURTHER) == (None, False)
        other = replace(seen, grant=replace(seen.grant, write_token=sid_of("other")))
        await sessions.insert(other, LATER)
        assert await sessions.extend(seen, self.FURTHER, self.FURTHER) == (None, False)
        assert await sessions.get(seen.sid) == other

    async def test_of_many_at_once_one_is_granted(self, sessions: SessionStore) -> None:
        seen, _ = await sessions.insert(an_upload(epoch=3), LATER)
        ends = [LATER + timedelta(hours=n) for n in range(1, 11)]
        answers = await asyncio.gather(*(sessions.extend(seen, end, end) for end in ends))
        [won] = [end for end, (_, extended) in zip(ends, answers, strict=True) if extended]
        row = await sessions.get(seen.sid)
        assert row == seen.extended(won)

    async def test_leaves_reports_sources_and_listing_as_they_are(
        self, sessions: SessionStore
    ) -> None:
        seen, _ = await sessions.insert(an_upload(epoch=3, metadata={"a": "b"}), LATER)
        reported = await sessions.report(seen, [1, 3])
        assert reported is not None
        row, extended = await sessions.extend(seen, self.FURTHER, self.FURTHER)
        assert extended and row == reported.extended(self.FURTHER)
        assert await all_pages(sessions, 10) == [row]


class TestSources:
    SOURCE = CopySource("bucket", "acme/a key", 1 << 40, "0123abcd-64", "token")

    async def test_are_kept_through_claims_and_outcomes(self, sessions: SessionStore) -> None:
        upload = an_upload(sources=(self.SOURCE,) * 2, delete_sources=True)
        assert await sessions.insert(upload, LATER) == (upload, True)
        claimed, _ = await sessions.claim(upload.sid, State.COMPLETING, LEASE)
        assert claimed is not None and claimed.sources == upload.sources
        unaware = replace(claimed.reopened(), sources=(), delete_sources=False)
        assert await sessions.finish(unaware, LATER)
        row = await sessions.get(upload.sid)
        assert row is not None and (row.sources, row.delete_sources) == (upload.sources, True)

    async def test_come_with_an_outcome_that_has_some(self, sessions: SessionStore) -> None:
        upload = an_upload()
        await sessions.insert(upload, LATER)
        claimed, _ = await sessions.claim(upload.sid, State.COMPLETING, LEASE)
        assert claimed is not None
        known = replace(claimed.reopened(), sources=(self.SOURCE,))
        assert await sessions.finish(known, LATER)
        row = await sessions.get(upload.sid)
        assert row is not None and row.sources == (self.SOURCE,)


class TestFinish:
    @every_state
    @every_target
    async def test_follows_the_table(
        self, sessions: SessionStore, state: State, target: State
    ) -> None:
        row, _ = await sessions.insert(an_upload(state, epoch=2), LATER, LEASE)
        outcome = outcome_of(row, target)
        finished = await sessions.finish(outcome, LATER)
        assert finished == (target in FINISHES.get(state, ()))
        assert await sessions.get(row.sid) == (outcome if finished else row)

    async def test_of_nothing_is_false(self, sessions: SessionStore) -> None:
        assert not await sessions.finish(an_upload(), LATER)
        assert await sessions.get(an_upload().sid) is None

    async def test_stores_the_object(self, sessions: SessionStore) -> None:
        row, _ = await sessions.insert(
            an_upload(State.COMPLETING, abort_reason=AbortReason.LOST), LATER, LEASE
        )
        await sessions.finish(row.completed(STORED), LATER)
        assert await sessions.get(row.sid) == row.completed(STORED)

    async def test_stores_the_reason(self, sessions: SessionStore) -> None:
        row, _ = await sessions.insert(an_upload(State.ABORTING), LATER, LEASE)
        await sessions.finish(row.aborted(AbortReason.EXPIRED), LATER)
        assert await sessions.get(row.sid) == row.aborted(AbortReason.EXPIRED)

    async def test_stores_the_multipart_id(self, sessions: SessionStore) -> None:
        row, _ = await sessions.insert(an_upload(State.INITIATING), LATER, LEASE)
        await sessions.finish(row.activated("2~abc"), LATER)
        assert await sessions.get(row.sid) == row.activated("2~abc")

    async def test_that_reopens_clears_the_manifest(self, sessions: SessionStore) -> None:
        await sessions.insert(an_upload(), LATER)
        row, _ = await sessions.claim(an_upload().sid, State.COMPLETING, LEASE, b"parts")
        assert row is not None
        await sessions.finish(row.reopened(), LATER)
        reopened = await sessions.get(row.sid)
        assert reopened is not None and reopened.manifest == b""

    async def test_leaves_fingerprint_and_digest(self, sessions: SessionStore) -> None:
        row, _ = await sessions.insert(
            an_upload(State.COMPLETING, fingerprint="f", request_digest=b"d"), LATER, LEASE
        )
        await sessions.finish(
            replace(row.completed(STORED), fingerprint="", request_digest=b""), LATER
        )
        assert await sessions.get(row.sid) == row.completed(STORED)

    async def test_after_the_lease_counts_while_nobody_claimed(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        row, _ = await sessions.insert(an_upload(State.COMPLETING, epoch=1), LATER, LEASE)
        clock.advance(3600)
        assert await sessions.finish(row.completed(STORED), LATER)

    async def test_by_a_worker_that_lost_its_claim_changes_nothing(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        await sessions.insert(an_upload(), LATER)
        paused, _ = await sessions.claim(an_upload().sid, State.COMPLETING, LEASE)
        clock.advance(60)
        taken, _ = await sessions.claim(an_upload().sid, State.COMPLETING, LEASE)
        assert paused is not None
        assert not await sessions.finish(paused.completed(STORED), START)
        assert await sessions.get(paused.sid) == taken
        assert await sessions.take_due(10, LEASE) == []

    async def test_by_that_worker_changes_nothing_after_the_other_finished(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        await sessions.insert(an_upload(), LATER)
        paused, _ = await sessions.claim(an_upload().sid, State.COMPLETING, LEASE)
        clock.advance(60)
        taken, _ = await sessions.claim(an_upload().sid, State.ABORTING, LEASE)
        assert paused is not None and taken is not None
        await sessions.finish(taken.aborted(AbortReason.REQUESTED), LATER)
        assert not await sessions.finish(paused.completed(STORED), LATER)
        assert await sessions.get(paused.sid) == taken.aborted(AbortReason.REQUESTED)

    async def test_twice_counts_once(self, sessions: SessionStore) -> None:
        row, _ = await sessions.insert(an_upload(State.COMPLETING), LATER, LEASE)
        assert await sessions.finish(row.completed(STORED), LATER)
        assert not await sessions.finish(row.aborted(AbortReason.LOST), LATER)
        assert await sessions.get(row.sid) == row.completed(STORED)

    async def test_sets_the_due_time(self, sessions: SessionStore, clock: FakeClock) -> None:
        row, _ = await sessions.insert(an_upload(State.COMPLETING), LATER, LEASE)
        await sessions.finish(row.completed(STORED), START + timedelta(seconds=10))
        clock.advance(9)
        assert await sessions.take_due(10, LEASE) == []
        clock.advance(1)
        assert await sessions.take_due(10, LEASE) == [row.sid]


class TestRemove:
    async def test_forgets_the_upload(self, sessions: SessionStore) -> None:
        await sessions.insert(an_upload(epoch=2), START)
        assert await sessions.remove(an_upload().sid, 2)
        assert await sessions.get(an_upload().sid) is None
        assert await sessions.take_due(10, LEASE) == []
        assert await all_pages(sessions, 10) == []

    async def test_again_does_no_harm(self, sessions: SessionStore) -> None:
        await sessions.insert(an_upload(), START)
        assert await sessions.remove(an_upload().sid, 0)
        assert await sessions.remove(an_upload().sid, 0)

    @pytest.mark.parametrize("epoch", [1, 3])
    async def test_for_another_claim_is_false(self, sessions: SessionStore, epoch: int) -> None:
        await sessions.insert(an_upload(epoch=2), START)
        assert not await sessions.remove(an_upload().sid, epoch)
        assert await sessions.get(an_upload().sid) == an_upload(epoch=2)
        assert await sessions.take_due(10, LEASE) == [an_upload().sid]
        assert await all_pages(sessions, 10) == [an_upload(epoch=2)]

    async def test_makes_room_for_the_same_sid(self, sessions: SessionStore) -> None:
        await sessions.insert(an_upload(fingerprint="old"), START)
        await sessions.remove(an_upload().sid, 0)
        assert await sessions.insert(an_upload(), LATER) == (an_upload(), True)
        assert await sessions.take_due(10, LEASE) == []


class TestTakeDue:
    async def fill(self, sessions: SessionStore, count: int) -> list[str]:
        """Insert Uploads that fall due one second after another, the first at once."""
        uploads = [an_upload(name=("due", n)) for n in range(count)]
        for n, upload in enumerate(uploads):
            await sessions.insert(upload, START + timedelta(seconds=n))
        return [upload.sid for upload in uploads]

    async def test_of_nothing_is_nothing(self, sessions: SessionStore) -> None:
        assert await sessions.take_due(10, LEASE) == []

    async def test_leaves_what_is_not_due(self, sessions: SessionStore, clock: FakeClock) -> None:
        sids = await self.fill(sessions, 100)
        clock.advance(39)
        assert sorted(await sessions.take_due(100, LEASE)) == sorted(sids[:40])

    async def test_takes_the_one_that_is_due_longest(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        sids = await self.fill(sessions, 20)
        clock.advance(100)
        one_by_one = [await sessions.take_due(1, timedelta(hours=1)) for _ in sids]
        assert one_by_one == [[sid] for sid in sids]

    @pytest.mark.parametrize("limit", [1, 7, 64, 99])
    async def test_takes_no_more_than_the_limit(
        self, sessions: SessionStore, clock: FakeClock, limit: int
    ) -> None:
        await self.fill(sessions, 100)
        clock.advance(100)
        assert len(await sessions.take_due(limit, LEASE)) == limit

    async def test_puts_off_what_it_takes(self, sessions: SessionStore, clock: FakeClock) -> None:
        sids = await self.fill(sessions, 3)
        clock.advance(10)
        await sessions.take_due(10, LEASE)
        clock.advance(59)
        assert await sessions.take_due(10, LEASE) == []
        clock.advance(1)
        assert sorted(await sessions.take_due(10, LEASE)) == sorted(sids)

    async def test_by_many_at_once_takes_everything_once(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        sids = await self.fill(sessions, 100)
        clock.advance(100)
        takers = (sessions.take_due(20, LEASE) for _ in range(10))
        taken = Counter(sid for sids in await asyncio.gather(*takers) for sid in sids)
        assert taken == Counter(sids)

    async def test_changes_no_row(self, sessions: SessionStore) -> None:
        row, _ = await sessions.insert(an_upload(State.COMPLETING), START, LEASE)
        await sessions.take_due(1, LEASE)
        assert await sessions.get(row.sid) == row


class TestListUploads:
    async def fill(self, sessions: SessionStore, count: int, **fields: object) -> list[Upload]:
        """Insert Uploads, ten in each second."""
        uploads = [
            an_upload(name=n, create_time=START + timedelta(seconds=n // 10), **fields)  # type: ignore[arg-type]
            for n in range(count)
        ]
        shuffled = random.Random(1).sample(uploads, count)
        for upload in shuffled:
            await sessions.insert(upload, LATER)
        return newest_first(uploads)

    async def test_of_nothing_is_nothing(self, sessions: SessionStore) -> None:
        page = await sessions.list_uploads(ALICE, UploadFilter(), limit=10)
        assert page == ([], None)

    @pytest.mark.parametrize("limit", [1, 7, 100, 149, 150, 151, 1000])
    async def test_shows_each_once_newest_first(self, sessions: SessionStore, limit: int) -> None:
        uploads = await self.fill(sessions, 150)
        assert await all_pages(sessions, limit) == uploads

    async def test_ends_with_the_last_page(self, sessions: SessionStore) -> None:
        uploads = await self.fill(sessions, 5)
        page = await sessions.list_uploads(ALICE, UploadFilter(), limit=5)
        assert page == (uploads, None)

    async def test_begins_after_the_cursor(self, sessions: SessionStore) -> None:
        uploads = await self.fill(sessions, 50)
        at = uploads[24]
        after = await all_pages(sessions, 10, before=Cursor(at.grant.create_time, at.sid))
        assert after == uploads[25:]

    async def test_takes_a_cursor_whose_upload_is_gone(self, sessions: SessionStore) -> None:
        uploads = await self.fill(sessions, 30)
        gone = uploads[12]
        await sessions.remove(gone.sid, 0)
        after = await all_pages(sessions, 4, before=Cursor(gone.grant.create_time, gone.sid))
        assert after == uploads[13:]

    async def test_shows_only_the_callers_own(self, sessions: SessionStore) -> None:
        callers = [
            Caller("acme", "alice"),
            Caller("acme", "alice:b"),
            Caller("acme:alice", "b"),
            Caller("acme", "alice%3Ab"),
            Caller("acme", "{alice}"),
            Caller("acme", "Alice"),
            Caller("acme", "älice/☃ *?[a]"),
            Caller("other", "alice"),
        ]
        for n, caller in enumerate(callers):
            await sessions.insert(an_upload(name=n, caller=caller), LATER)
        for n, caller in enumerate(callers):
            shown = await all_pages(sessions, 10, caller=caller)
            assert shown == [an_upload(name=n, caller=caller)]

    async def test_selects_by_state(self, sessions: SessionStore) -> None:
        for n, state in enumerate([*State, *State]):
            await sessions.insert(an_upload(state, name=n), LATER)
        for state in State:
            shown = await all_pages(sessions, 3, state=state)
            assert [row.state for row in shown] == [state, state]

    async def test_selects_by_the_present_state(self, sessions: SessionStore) -> None:
        await sessions.insert(an_upload(), LATER)
        row, _ = await sessions.claim(an_upload().sid, State.ABORTING, LEASE)
        assert await all_pages(sessions, 3, state=State.ACTIVE) == []
        assert await all_pages(sessions, 3, state=State.ABORTING) == [row]

    async def test_selects_by_fingerprint(self, sessions: SessionStore) -> None:
        wanted = an_upload(name="wanted", fingerprint="film ☃")
        await sessions.insert(wanted, LATER)
        await sessions.insert(an_upload(name="other", fingerprint="film"), LATER)
        await sessions.insert(an_upload(name="none"), LATER)
        assert await all_pages(sessions, 3, fingerprint="film ☃") == [wanted]

    async def test_selects_by_both(self, sessions: SessionStore) -> None:
        wanted = an_upload(State.ABORTED, name="wanted", fingerprint="film")
        await sessions.insert(wanted, LATER)
        await sessions.insert(an_upload(name="state", fingerprint="film"), LATER)
        await sessions.insert(an_upload(State.ABORTED, name="fingerprint"), LATER)
        shown = await all_pages(sessions, 3, state=State.ABORTED, fingerprint="film")
        assert shown == [wanted]

    async def test_selects_by_the_state_that_callers_are_told(self, sessions: SessionStore) -> None:
        """Check that an abort that was answered and is repeated is ABORTED to callers."""
        await sessions.insert(an_upload(State.ABORTED, name="buried"), LATER)
        buried, _ = await sessions.claim(sid_of("buried"), State.ABORTING, LEASE)
        assert buried is not None
        reason = AbortReason.REQUESTED
        answered = an_upload(State.ABORTING, name="answered", abort_reason=reason)
        asked = an_upload(State.ABORTING, name="asked")
        await sessions.insert(answered, LATER)
        await sessions.insert(asked, LATER)
        shown = await all_pages(sessions, 3, state=State.ABORTED)
        assert shown == newest_first([answered, buried])
        assert await all_pages(sessions, 3, state=State.ABORTING) == [asked]

    async def test_selects_by_policy(self, sessions: SessionStore) -> None:
        uploads = await self.fill(sessions, 30)
        other = an_upload(name="other")
        other = replace(other, grant=replace(other.grant, policy="films"))
        await sessions.insert(other, LATER)
        assert await all_pages(sessions, 3, policy="films") == [other]
        assert await all_pages(sessions, 7, policy="videos") == uploads
        assert await all_pages(sessions, 3, policy="video") == []

    @pytest.mark.parametrize("limit", [1, 7, 100])
    async def test_selects_by_the_time_of_creation(
        self, sessions: SessionStore, limit: int
    ) -> None:
        uploads = await self.fill(sessions, 60)
        at = [START + timedelta(seconds=n) for n in range(7)]
        select = partial(all_pages, sessions, limit)
        assert await select(created_from=at[4]) == uploads[:20]
        assert await select(created_before=at[2]) == uploads[40:]
        assert await select(created_from=at[2], created_before=at[3]) == uploads[30:40]
        assert await select(created_from=at[3], created_before=at[3]) == []
        assert await select(created_from=at[0], created_before=at[6]) == uploads
        at_cursor = Cursor(uploads[33].grant.create_time, uploads[33].sid)
        within = await select(created_from=at[2], created_before=at[3], before=at_cursor)
        assert within == uploads[34:40]
        assert await select(created_before=at[1], before=at_cursor) == uploads[50:]

    async def test_finds_the_one_among_very_many(self, sessions: SessionStore) -> None:
        # All in one second, and with sids that end alike.
        crowd = [an_upload(sid=f"{n:030x}00") for n in range(450)]
        wanted = an_upload(sid=f"{7:030x}00", fingerprint="wanted")
        crowd[7] = wanted
        for upload in crowd:
            await sessions.insert(upload, LATER)
        assert await all_pages(sessions, 10, fingerprint="wanted") == [wanted]
        assert await all_pages(sessions, 100) == newest_first(crowd)

    @pytest.mark.parametrize("limit", [5, 100])
    async def test_keeps_the_order_where_many_sids_end_alike(
        self, sessions: SessionStore, limit: int
    ) -> None:
        ends = ["00"] * 240 + [f"{n:02x}" for n in range(1, 61)]
        uploads = [
            an_upload(sid=f"{n:030x}{end}", create_time=START + timedelta(seconds=n * 7 % 100))
            for n, end in enumerate(ends)
        ]
        for upload in uploads:
            await sessions.insert(upload, LATER)
        assert await all_pages(sessions, limit) == newest_first(uploads)

    async def test_is_not_disturbed_by_what_comes_and_goes(self, sessions: SessionStore) -> None:
        uploads = await self.fill(sessions, 60)
        staying, going = uploads[::2], uploads[1::2]
        shown: list[Upload] = []
        before: Cursor | None = None
        for n, gone in enumerate(going):
            page, before = await sessions.list_uploads(
                ALICE, UploadFilter(), before=before, limit=3
            )
            shown += page
            if before is None:
                break
            await sessions.remove(gone.sid, 0)
            await sessions.insert(
                an_upload(name=("new", n), create_time=START + timedelta(seconds=n % 6)), LATER
            )
        assert before is None
        assert [row for row in shown if row in staying] == staying
        assert len(shown) == len({row.sid for row in shown})


async def test_the_life_of_an_upload_from_first_to_last(
    sessions: SessionStore, clock: FakeClock
) -> None:
    opening, _ = await sessions.insert(an_upload(State.INITIATING), LATER, LEASE)
    assert await sessions.finish(opening.activated("2~abc"), LATER)
    completing, _ = await sessions.claim(opening.sid, State.COMPLETING, LEASE, b"parts")
    assert completing is not None
    assert await sessions.renew(completing.sid, completing.epoch, LEASE)
    assert await sessions.finish(completing.completed(STORED), LATER)
    clock.advance(86400)
    assert await sessions.take_due(10, LEASE) == [opening.sid]
    assert await sessions.remove(opening.sid, completing.epoch)
    assert await sessions.get(opening.sid) is None


async def test_a_peek_shows_what_is_due_longest_first_and_takes_nothing(
    sessions: SessionStore, clock: FakeClock
) -> None:
    for age in (5, 60, 0, 30, -1):
        upload = an_upload(name=age)
        await sessions.insert(upload, clock.now() - timedelta(seconds=age))
    due = [an_upload(name=age).sid for age in (60, 30, 5, 0)]
    for _ in range(2):
        assert list(await sessions.peek_due(10)) == due
    assert list(await sessions.peek_due(2)) == due[:2]
    assert set(await sessions.take_due(10, LEASE)) == set(due)
    assert list(await sessions.peek_due(10)) == []


async def test_a_sound_store_passes_its_check(sessions: SessionStore) -> None:
    await sessions.check()
