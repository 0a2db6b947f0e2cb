"""Tests what every session store announces: each change once, in its step, or not at all."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from partway_server.domain.events import (
    ABORTED,
    COMPLETED,
    EXPIRED,
    FAILED,
    INITIALIZED,
    REPLAY_WINDOW,
    Event,
)
from partway_server.domain.upload import AbortReason, State, StoredObject, Upload, epoch_at
from partway_server.events.event_stream import EventStreams, places_at
from partway_server.sessions.base import SessionStore
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.sessions.redis_store import RedisSessionStore

from tests.support.clock import START, FakeClock
from tests.support.uploads import an_upload

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)
STORED = StoredObject(1 << 30, "etag-64", version_id="v1", checksum=b"\0\xff\xfe\xfd")


async def events(sessions: SessionStore) -> list[Event]:
    """Return all events that were announced, in order."""
    if isinstance(sessions, MemorySessionStore):
        return sessions.events
    assert isinstance(sessions, RedisSessionStore)
    streams = EventStreams(sessions._topology)
    return [entry.event async for entry in streams.read(places_at(None))]


async def types(sessions: SessionStore) -> list[str]:
    return [event.type for event in await events(sessions)]


async def begun(sessions: SessionStore, **fields: Any) -> Upload:
    """Return an open Upload, as the store has it."""
    upload = an_upload(State.INITIATING, epoch=epoch_at(START), **fields)
    row, _ = await sessions.insert(upload, LATER, LEASE)
    assert await sessions.finish(row.activated("2~abc"), LATER)
    return row.activated("2~abc")


async def claimed(sessions: SessionStore, upload: Upload, target: State) -> Upload:
    row, granted = await sessions.claim(upload.sid, target, LEASE)
    assert row is not None and granted
    return row


class TestEachChange:
    async def test_is_told_in_its_order(self, sessions: SessionStore) -> None:
        upload = await begun(sessions)
        assert await types(sessions) == [INITIALIZED]
        row = await claimed(sessions, upload, State.COMPLETING)
        assert await types(sessions) == [INITIALIZED]
        assert await sessions.finish(row.completed(STORED), LATER)
        assert await types(sessions) == [INITIALIZED, COMPLETED]

    async def test_of_a_single_put_is_told_at_its_insert(self, sessions: SessionStore) -> None:
        await sessions.insert(an_upload(epoch=1), LATER)
        assert await types(sessions) == [INITIALIZED]

    @pytest.mark.parametrize(
        ("reason", "announced"),
        [
            (AbortReason.REQUESTED, ABORTED),
            (AbortReason.EXPIRED, EXPIRED),
            (AbortReason.LOST, FAILED),
            (AbortReason.OBJECT_EXISTS, FAILED),
            (AbortReason.CONFLICT, FAILED),
            (AbortReason.SOURCE_CHANGED, FAILED),
        ],
    )
    async def test_of_an_end_says_why(
        self, sessions: SessionStore, reason: AbortReason, announced: str
    ) -> None:
        row = await claimed(sessions, await begun(sessions), State.ABORTING)
        assert await sessions.finish(row.aborted(reason), LATER)
        [_, end] = await events(sessions)
        assert end.type == announced
        assert json.loads(end.text)["data"]["abort_reason"] == reason.upper()

    async def test_is_told_as_a_cloud_event(self, sessions: SessionStore, clock: FakeClock) -> None:
        upload = await begun(sessions, metadata={"camera": "7"}, fingerprint="film 1")
        row = await claimed(sessions, upload, State.COMPLETING)
        clock.advance(1.5)
        await sessions.finish(row.completed(STORED), LATER)
        event = (await events(sessions))[-1]
        grant = upload.grant
        assert json.loads(event.text) == {
            "specversion": "1.0",
            "id": event.id,
            "source": "/partway",
            "type": "upload.completed",
            "subject": upload.sid,
            "time": "2026-03-01T12:00:01.500Z",
            "datacontenttype": "application/json",
            "data": {
                "upload": upload.sid,
                "tenant": "acme",
                "subject": "alice",
                "policy": "videos",
                "backend": "main",
                "bucket": "uploads",
                "key": grant.key,
                "uri": f"s3://uploads/{grant.key}",
                "size_bytes": 1 << 30,
                "content_type": "video/mp4",
                "etag": "etag-64",
                "version_id": "v1",
                "checksum": "AP/+/Q==",
                "checksum_algorithm": "CRC32C",
                "metadata": {"camera": "7"},
                "fingerprint": "film 1",
                "create_time": "2026-03-01T12:00:00.000Z",
                "abort_reason": "",
            },
        }
        assert grant.write_token not in event.text and "2~abc" not in event.text

    async def test_has_the_metadata_of_storage_where_the_row_has_none(
        self, sessions: SessionStore
    ) -> None:
        row = await claimed(sessions, await begun(sessions), State.COMPLETING)
        await sessions.finish(row.completed(replace(STORED, metadata={"camera": "7"})), LATER)
        [opened, done] = [json.loads(e.text)["data"] for e in await events(sessions)]
        assert opened["metadata"] is None
        assert done["metadata"] == {"camera": "7"}

    async def test_that_is_refused_tells_nothing(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        upload = await begun(sessions)
        paused = await claimed(sessions, upload, State.COMPLETING)
        clock.advance(60)
        taken = await claimed(sessions, upload, State.ABORTING)
        assert not await sessions.finish(paused.completed(STORED), LATER)
        assert not await sessions.finish(replace(taken, state=State.ACTIVE), LATER)
        assert await types(sessions) == [INITIALIZED]

    async def test_is_told_once_by_many_at_once(self, sessions: SessionStore) -> None:
        uploads = [an_upload(epoch=1) for _ in range(20)]
        await asyncio.gather(*(sessions.insert(u, LATER) for u in uploads))
        row = await claimed(sessions, uploads[0], State.COMPLETING)
        outcome = row.completed(STORED)
        done = await asyncio.gather(*(sessions.finish(outcome, LATER) for _ in range(20)))
        assert sum(done) == 1
        assert await types(sessions) == [INITIALIZED, COMPLETED]


class TestWhatWasTold:
    async def test_last_is_not_told_again(self, sessions: SessionStore, clock: FakeClock) -> None:
        upload = await begun(sessions)
        for _ in range(3):
            row = await claimed(sessions, upload, State.ABORTING)
            assert await sessions.finish(row.aborted(AbortReason.REQUESTED), LATER)
        assert await types(sessions) == [INITIALIZED, ABORTED]

    async def test_of_an_upload_that_is_opened_again_is_not_told_again(
        self, sessions: SessionStore
    ) -> None:
        row = await claimed(sessions, await begun(sessions), State.COMPLETING)
        assert await sessions.finish(row.reopened(), LATER)
        assert await types(sessions) == [INITIALIZED]

    async def test_does_not_keep_a_late_proof_from_being_told(self, sessions: SessionStore) -> None:
        upload = await begun(sessions)
        row = await claimed(sessions, upload, State.ABORTING)
        await sessions.finish(row.aborted(AbortReason.LOST), LATER)
        row = await claimed(sessions, upload, State.COMPLETING)
        await sessions.finish(row.completed(STORED), LATER)
        assert await types(sessions) == [INITIALIZED, FAILED, COMPLETED]

    async def test_is_told_again_with_the_same_id_by_a_row_that_was_rebuilt(
        self, sessions: SessionStore
    ) -> None:
        row = await claimed(sessions, await begun(sessions), State.COMPLETING)
        done = row.completed(STORED)
        await sessions.finish(done, LATER)
        await sessions.remove(done.sid, done.epoch)
        await sessions.insert(Upload(done.grant, State.COMPLETED, object=STORED), LATER)
        announced = await events(sessions)
        assert [e.type for e in announced] == [INITIALIZED, COMPLETED, COMPLETED]
        assert len({e.id for e in announced}) == 2

    @pytest.mark.parametrize(
        ("late", "announced"), [(-timedelta(seconds=1), [COMPLETED]), (timedelta(), [])]
    )
    async def test_is_not_told_again_long_after_the_deadline(
        self, sessions: SessionStore, clock: FakeClock, late: timedelta, announced: list[str]
    ) -> None:
        upload = an_upload(State.COMPLETED, object=STORED)
        clock.advance((upload.grant.expire_time + REPLAY_WINDOW + late - START).total_seconds())
        await sessions.insert(upload, LATER)
        assert await types(sessions) == announced

    async def test_counts_as_told_where_it_is_not_told_again(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        clock.advance(timedelta(days=30).total_seconds())
        upload = an_upload(State.ABORTED, abort_reason=AbortReason.LOST)
        await sessions.insert(upload, LATER)
        row = await claimed(sessions, upload, State.ABORTING)
        assert await sessions.finish(row.aborted(AbortReason.LOST), LATER)
        assert await types(sessions) == []

    async def test_late_by_a_claim_is_told_however_late(
        self, sessions: SessionStore, clock: FakeClock
    ) -> None:
        """Insert as the finish of a lost session record does: what is news is announced with it."""
        clock.advance(timedelta(days=30).total_seconds())
        row = an_upload(State.ABORTING, epoch=epoch_at(clock.now()))
        await sessions.insert(row.aborted(AbortReason.EXPIRED), LATER)
        assert await types(sessions) == [EXPIRED]


async def test_two_uploads_never_share_an_id(sessions: SessionStore) -> None:
    uploads = [an_upload(name=n, epoch=1) for n in range(50)]
    # The sid of a lost row may come again, its write token does not.
    uploads.append(
        replace(uploads[0], grant=replace(uploads[0].grant, sid="0" * 32, write_token="1" * 32))
    )
    for upload in uploads:
        await sessions.insert(upload, LATER)
    assert len({event.id for event in await events(sessions)}) == 51


async def test_an_upload_keeps_its_id_under_another_sid(sessions: SessionStore) -> None:
    first = an_upload(epoch=1)
    await sessions.insert(first, LATER)
    await sessions.insert(replace(first, grant=replace(first.grant, sid="0" * 32)), LATER)
    [one, other] = await events(sessions)
    assert one.id == other.id and one.sid != other.sid
