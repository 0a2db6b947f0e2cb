"""Tests a watch alone: when it looks, what it sends, and how it ends."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from partway_server.domain.errors import SessionsUnavailable, Stopping, StorageRefused
from partway_server.domain.grant import Caller, Grant, sid_of_key
from partway_server.domain.upload import AbortReason, ReportedParts, State, StoredObject, Upload
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.workflow.watch import Watch

from tests.support.clock import START, FakeClock
from tests.support.uploads import an_upload

LATER = START + timedelta(days=1)
LEASE = timedelta(seconds=60)
STORED = StoredObject(1 << 30, "etag")
UPLOAD = an_upload()


@pytest.fixture
def sessions() -> MemorySessionStore:
    return MemorySessionStore(FakeClock())


class Looking:
    """A resolver that records whether each look made sure, and fails while `trouble` is set."""

    def __init__(self, sessions: MemorySessionStore) -> None:
        self._sessions = sessions
        self.sure: list[bool] = []
        self.trouble: Exception | None = None
        self.looked = asyncio.Event()

    def grant(self, caller: Caller, upload_id: str) -> Grant:
        return UPLOAD.grant

    async def row(self, grant: Grant) -> Upload:
        self.sure.append(False)
        self.looked.set()
        if self.trouble:
            raise self.trouble
        row = await self._sessions.get(UPLOAD.sid)
        assert row is not None
        return row

    async def current(self, upload: Upload) -> Upload:
        self.sure[-1] = True
        return upload


async def at_once(seconds: float) -> None:
    """Pause for no time."""


def a_watch(
    sessions: MemorySessionStore,
    look: Looking | None = None,
    sleep: Callable[[float], Awaitable[None]] = at_once,
    poll_seconds: float = 10,
) -> Watch:
    deps: Any = SimpleNamespace(sessions=sessions, sleep=sleep)
    resolver: Any = look or Looking(sessions)
    return Watch(deps, resolver, poll_seconds=poll_seconds)


def begun(watch: Watch) -> AsyncGenerator[Upload, None]:
    return watch(UPLOAD.grant.caller, "id")


async def looked_again(look: Looking) -> None:
    look.looked.clear()
    await asyncio.wait_for(look.looked.wait(), 5)


async def test_it_tells_the_present_then_each_change_and_ends(sessions: MemorySessionStore) -> None:
    await sessions.insert(UPLOAD, LATER)
    async with aclosing(begun(a_watch(sessions))) as watch:
        assert await anext(watch) == UPLOAD
        await sessions.report(UPLOAD, [2])
        assert (await anext(watch)).reported.parts == b"\2"
        claimed, _ = await sessions.claim(UPLOAD.sid, State.COMPLETING, LEASE)
        assert claimed is not None and await anext(watch) == claimed
        await sessions.finish(claimed.completed(STORED), LATER)
        assert (await anext(watch)).object == STORED
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
    assert sessions._wakeups._by_sid == {}


async def test_changes_in_a_pause_come_as_one(sessions: MemorySessionStore) -> None:
    await sessions.insert(UPLOAD, LATER)
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)
        for number in (1, 2, 3):
            await sessions.report(UPLOAD, [number + 3 * len(paused)])

    look = Looking(sessions)
    async with aclosing(begun(a_watch(sessions, look, sleep))) as watch:
        assert (await anext(watch)).reported == ReportedParts()
        assert (await anext(watch)).reported.parts == b"\x38"
        assert (await anext(watch)).reported.parts == b"\xf8\1"
    assert paused == [0.25, 0.25]
    assert len(look.sure) == 3


async def test_who_reads_late_reads_the_latest(sessions: MemorySessionStore) -> None:
    await sessions.insert(UPLOAD, LATER)
    async with aclosing(begun(a_watch(sessions))) as watch:
        await anext(watch)
        for number in range(1, 51):
            await sessions.report(UPLOAD, [number])
        assert (await anext(watch)).reported.parts == bitmap_of(50)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(watch), 0.02)


def bitmap_of(count: int) -> bytes:
    return ((1 << count) - 1).to_bytes(-(-count // 8), "little")


async def test_what_callers_cannot_see_is_not_told(sessions: MemorySessionStore) -> None:
    await sessions.insert(an_upload(State.ABORTING), LATER)
    look = Looking(sessions)
    async with aclosing(begun(a_watch(sessions, look))) as watch:
        first = await anext(watch)
        waiting = asyncio.create_task(anext(watch))
        for _ in range(3):
            looking = asyncio.create_task(looked_again(look))
            await asyncio.sleep(0)
            # Another worker takes over: another epoch, another lease, and the same to callers.
            claimed, granted = await sessions.claim(UPLOAD.sid, State.ABORTING, timedelta())
            assert granted and claimed is not None
            await looking
        assert not waiting.done()
        assert claimed is not None
        await sessions.finish(claimed.aborted(AbortReason.EXPIRED), LATER)
        ended = await waiting
    assert (first.state, ended.abort_reason) == (State.ABORTING, AbortReason.EXPIRED)


async def test_it_is_over_when_it_was_said_to_be(sessions: MemorySessionStore) -> None:
    buried = an_upload(State.ABORTING, abort_reason=AbortReason.REQUESTED)
    await sessions.insert(buried, LATER)
    async with aclosing(begun(a_watch(sessions))) as watch:
        assert [upload.public_state async for upload in watch] == [State.ABORTED]


async def test_a_row_under_the_sid_of_its_key_is_heard_of(sessions: MemorySessionStore) -> None:
    await sessions.insert(UPLOAD, LATER)
    look = Looking(sessions)
    async with aclosing(begun(a_watch(sessions, look))) as watch:
        await anext(watch)
        waiting = asyncio.create_task(anext(watch))
        looking = asyncio.create_task(looked_again(look))
        await asyncio.sleep(0)
        other = sid_of_key(UPLOAD.grant.bucket, UPLOAD.grant.key)
        await sessions.insert(an_upload(sid=other), LATER)
        await looking
        waiting.cancel()
        await asyncio.wait({waiting})


async def test_a_change_that_nobody_told_is_found_by_and_by(sessions: MemorySessionStore) -> None:
    await sessions.insert(UPLOAD, LATER)
    look = Looking(sessions)
    async with aclosing(begun(a_watch(sessions, look, poll_seconds=0.01))) as watch:
        await anext(watch)
        sessions._rows[UPLOAD.sid] = replace(UPLOAD, reported=ReportedParts(b"\1", 1))
        assert (await asyncio.wait_for(anext(watch), 5)).reported.size_bytes == 1
    # Whether a row is the latest word costs more, and is not asked each time.
    assert look.sure[0] and not any(look.sure[1:])


async def test_it_makes_sure_when_changes_may_have_been_missed(
    sessions: MemorySessionStore,
) -> None:
    await sessions.insert(UPLOAD, LATER)
    look = Looking(sessions)
    async with aclosing(begun(a_watch(sessions, look))) as watch:
        await anext(watch)
        waiting = asyncio.create_task(anext(watch))
        look.trouble = SessionsUnavailable()
        looking = asyncio.create_task(looked_again(look))
        await asyncio.sleep(0)
        sessions._wakeups.notify_all()
        await looking
        look.trouble = None
        await sessions.report(UPLOAD, [1])
        assert (await waiting).reported.parts == b"\1"
    # The look that failed came before it could make sure, so the next does.
    assert look.sure == [True, False, True]


async def test_trouble_of_many_looks_is_logged_when_it_begins_and_ends(
    sessions: MemorySessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await sessions.insert(UPLOAD, LATER)
    look = Looking(sessions)
    async with aclosing(begun(a_watch(sessions, look, poll_seconds=0))) as watch:
        await anext(watch)
        waiting = asyncio.create_task(anext(watch))
        look.trouble = SessionsUnavailable()
        for _ in range(5):
            await looked_again(look)
        look.trouble = None
        await sessions.report(UPLOAD, [1])
        await waiting
    assert [r.getMessage() for r in caplog.records] == [
        "watches cannot read uploads now: SessionsUnavailable",
        "watches read uploads again",
    ]


async def test_the_first_look_must_succeed(sessions: MemorySessionStore) -> None:
    look = Looking(sessions)
    look.trouble = SessionsUnavailable()
    with pytest.raises(SessionsUnavailable):
        async with aclosing(begun(a_watch(sessions, look))) as watch:
            await anext(watch)
    assert sessions._wakeups._by_sid == {}


async def test_what_will_not_pass_ends_it(sessions: MemorySessionStore) -> None:
    await sessions.insert(UPLOAD, LATER)
    look = Looking(sessions)
    async with aclosing(begun(a_watch(sessions, look))) as watch:
        await anext(watch)
        look.trouble = StorageRefused("HeadObject", "AccessDenied")
        await sessions.report(UPLOAD, [1])
        with pytest.raises(StorageRefused):
            await anext(watch)


async def test_all_end_when_it_stops_and_none_begins(sessions: MemorySessionStore) -> None:
    await sessions.insert(UPLOAD, LATER)
    watching = a_watch(sessions)
    watches = [begun(watching) for _ in range(3)]
    for watch in watches:
        await anext(watch)
    waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
    await asyncio.sleep(0)
    watching.stop()
    for ended in waiting:
        with pytest.raises(Stopping):
            await ended
    with pytest.raises(Stopping):
        await anext(begun(watching))
    assert sessions._wakeups._by_sid == {}


async def test_few_look_at_once(sessions: MemorySessionStore) -> None:
    await sessions.insert(UPLOAD, LATER)
    inside = most = 0

    class Slow(Looking):
        async def row(self, grant: Grant) -> Upload:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            return UPLOAD

        async def current(self, upload: Upload) -> Upload:
            return upload

    watching = a_watch(sessions, Slow(sessions))
    watches = [begun(watching) for _ in range(100)]
    await asyncio.gather(*(anext(watch) for watch in watches))
    assert most == 16
    for watch in watches:
        await watch.aclose()
