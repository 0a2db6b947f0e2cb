"""Tests that the storage sweep ends uploads without a session record and touches nothing else.

This must be so whatever runs at the same time.
"""

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from partway.v1 import upload_pb2
from partway_server.cleanup.orphans import CREATE_UNDER_WAY, Sweeper
from partway_server.cleanup.report import Action, CleanupKind, CleanupRecord
from partway_server.domain.errors import SessionsUnavailable, StorageRefused, StorageUnavailable
from partway_server.domain.grant import Grant
from partway_server.domain.key_marks import KeyMarks
from partway_server.domain.policy import Policy
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.upload import State
from partway_server.runtime import one_pass
from partway_server.storage.memory import MEMORY, MemoryStorage
from partway_server.workflow.deps import COMPLETED_RETENTION, make_deps
from partway_server.workflow.leases import LONGEST_PUT

from tests.support.clock import FakeClock
from tests.support.storage import Gate, failing
from tests.support.twins import a_memory_world
from tests.support.upload_situations import (
    EXPIRY_SECONDS,
    LAST_EXPIRY_SECONDS,
    Situation,
    bring_to,
    put_back,
)
from tests.support.world import PART, SEALING_KEY, World, content, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

TWO_PARTS = PART + 7
GRACE_SECONDS = 2 * 3600
LONG = 400 * 24 * 3600
TOMBSTONE = timedelta(hours=1) + LONGEST_PUT
OTHER_KEY = bytes(range(1, 65))
REQUEST_ID = "0b5a9a3e-1111-4222-8333-444455556666"


async def sweep(world: World, after: float = 0, *, dry_run: bool = False) -> list[CleanupRecord]:
    """Sweep after some seconds have passed, and return the records."""
    world.clock.advance(after)
    found: list[CleanupRecord] = []
    await world.service.sweeper.sweep(found.append, dry_run=dry_run)
    return found


def of(grant: Grant, found: list[CleanupRecord]) -> list[tuple[Action, bool]]:
    """Return the records of a key. The bucket may contain what other tests left."""
    place = grant.bucket, grant.key
    return [(f.action, f.done) for f in found if (f.bucket, f.key) == place]


async def left(world: World, grant: Grant) -> list[str]:
    return sorted(await world.storage.list_multiparts(grant))


# ---- lost session records


@pytest.mark.parametrize("sent", [False, True])
async def test_an_upload_that_nobody_knows_goes_after_its_last_deadline_and_not_before(
    world: World, sent: bool
) -> None:
    upload = await world.initialize(TWO_PARTS)
    grant = world.grant(upload)
    if sent:
        await world.send(upload, [1])
    await world.lose_row(upload)
    for wait in (0, LAST_EXPIRY_SECONDS, GRACE_SECONDS - 2):
        assert of(grant, await sweep(world, wait)) == [(Action.LEAVE, False)]
    assert await left(world, grant) == [grant.multipart_id]
    assert of(grant, await sweep(world, 2)) == [(Action.ABORT, True)]
    assert await left(world, grant) == []
    assert of(grant, await sweep(world)) == []


async def test_creates_whose_replies_were_lost_go_when_their_rows_are_lost_too(
    world: World,
) -> None:
    keys = set()
    for _ in range(2):
        before = {f.key for f in await sweep(world)}
        world.storage.after("create", failing(StorageUnavailable()))
        await failure(world.initialize(TWO_PARTS, request_id=REQUEST_ID))
        (key,) = {f.key for f in await sweep(world)} - before
        keys.add(key)
        mark = KeyMarks([SEALING_KEY]).read("uploads", key) or KeyMarks([SEALING_KEY]).read(
            "partway", key
        )
        assert mark is not None
        row = await world.sessions.get(mark.sid)
        assert row is not None and await world.sessions.remove(row.sid, row.epoch)
    assert len(keys) == 2
    found = await sweep(world, LAST_EXPIRY_SECONDS + GRACE_SECONDS)
    assert {(f.key, f.action, f.done) for f in found if f.key in keys} == {
        (key, Action.ABORT, True) for key in keys
    }
    assert not keys & {f.key for f in await sweep(world)}


async def test_an_upload_whose_sid_is_anothers_by_now_has_a_row_nevertheless(
    world: World,
) -> None:
    first = await world.initialize(TWO_PARTS, request_id=REQUEST_ID)
    await world.lose_row(first)
    second = await world.initialize(TWO_PARTS, request_id=REQUEST_ID)
    assert await world.state(first) == "ACTIVE"  # It has its own session record from here on.
    found = await sweep(world, LONG)
    for upload in (first, second):
        assert of(world.grant(upload), found) == [(Action.LEAVE, False)]
    await world.service.janitor.sweep()
    assert await left(world, world.grant(first)) == await left(world, world.grant(second)) == []


async def test_the_row_of_another_upload_with_the_same_sid_does_not_count(world: World) -> None:
    first = await world.initialize(TWO_PARTS, request_id=REQUEST_ID)
    await world.lose_row(first)
    second = await world.initialize(TWO_PARTS, request_id=REQUEST_ID)
    # Judged by that record it would be an orphan, but a caller may still present its own ID.
    found = await sweep(world, LAST_EXPIRY_SECONDS)
    assert of(world.grant(first), found) == [(Action.LEAVE, False)]
    found = await sweep(world, LONG)
    assert of(world.grant(first), found) == [(Action.ABORT, True)]
    assert of(world.grant(second), found) == [(Action.LEAVE, False)]


# ---- uploads that are not ours


async def test_what_is_not_ours_is_never_touched(world: World) -> None:
    ours = world.grant(await world.initialize(TWO_PARTS))
    theirs = KeyMarks([OTHER_KEY]).marked(
        ours.sid,
        write_token=ours.write_token,
        expire_time=ours.expire_time,
        bucket=ours.bucket,
        key=f"acme/{ours.sid}/film.mp4",
    )
    strangers = [
        replace(ours, key=key)
        for key in (
            f"strangers/{ours.sid}",
            f"backup/{ours.key}",
            f"{ours.key}.bak",
            f"acme/{theirs}/film.mp4",
        )
    ]
    opened = [g.with_multipart(await world.storage.create(g, {})) for g in strangers]
    found = await sweep(world, LONG)
    for grant in opened:
        assert of(grant, found) == [(Action.LEAVE, False)]
        assert await left(world, grant) == [grant.multipart_id]


async def test_a_deployment_with_other_sealing_keys_leaves_ours_alone(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    grant = world.grant(upload)
    await world.lose_row(upload)
    world.clock.advance(LONG)
    found: list[CleanupRecord] = []
    await a_sweeper(world, grant.bucket, key_marks=KeyMarks([OTHER_KEY])).sweep(found.append)
    assert of(grant, found) == [(Action.LEAVE, False)]
    await a_sweeper(world, grant.bucket, key_marks=KeyMarks([OTHER_KEY, SEALING_KEY])).sweep()
    assert await left(world, grant) == []


def a_sweeper(world: World, bucket: str, **changes: Any) -> Sweeper:
    deps = make_deps(
        [SEALING_KEY],
        60,
        policies=PolicyRegistry({"default": Policy("default", bucket)}),
        sessions=world.sessions,
        storage=world.storage,
        clock=world.clock,
        random_bytes=bytes,
    )
    return Sweeper(replace(deps, **changes), grace=timedelta(seconds=GRACE_SECONDS))


# ---- orphans next to a session record


async def test_strays_go_and_the_upload_goes_on(world: World) -> None:
    """Cover creates, one or more, that land long after their replies were given up."""
    upload = await world.initialize(TWO_PARTS)
    grant = world.grant(upload)
    for _ in range(2):
        await world.storage.create(grant, {})
    assert of(grant, await sweep(world)) == [(Action.LEAVE, False)] * 3
    found = of(grant, await sweep(world, CREATE_UNDER_WAY.total_seconds() + 60))
    assert sorted(found) == [(Action.ABORT, True)] * 2 + [(Action.LEAVE, False)]
    assert await left(world, grant) == [grant.multipart_id]
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@pytest.mark.parametrize("situation", [Situation.COMPLETED, Situation.ABORTED])
async def test_what_lands_after_the_end_goes_with_the_next_sweep(
    world: World, situation: Situation
) -> None:
    upload = await bring_to(world, situation, TWO_PARTS)
    grant = world.grant(upload)
    await world.storage.create(grant, {})
    assert of(grant, await sweep(world)) == [(Action.ABORT, True)]
    assert await left(world, grant) == []
    assert await world.state(upload) == situation.value


@pytest.mark.parametrize(
    "situation",
    [
        Situation.PUT_BACK,
        Situation.ACTIVE,
        Situation.EXPIRED,
        Situation.COMPLETING,
        Situation.COMPLETING_LEFT,
        Situation.ABORTING,
        Situation.ABORTING_LEFT,
    ],
)
async def test_what_the_janitor_has_to_end_is_left_to_it(
    world: World, situation: Situation
) -> None:
    upload = await bring_to(world, situation, TWO_PARTS)
    grant = world.grant(upload)
    assert of(grant, await sweep(world, LONG)) == [(Action.LEAVE, False)]
    for _ in range(2):
        world.clock.advance(301)
        await world.service.janitor.sweep()
    assert await left(world, grant) == []


async def test_what_an_object_may_be_made_from_is_left(world: World) -> None:
    """Cover a store that joins parts but fails to remove them; dropping them drops the object."""
    upload = await world.initialize(TWO_PARTS)
    await world.send(upload)
    grant = world.grant(upload)
    # The object comes from another multipart upload, so that the parts stay; our token on it
    # suffices.
    await complete_beside(world, grant)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    await world.service.janitor.sweep()
    second = await world.storage.create(grant, {})
    for wait in (0, COMPLETED_RETENTION.total_seconds() + 1, LONG):
        assert (Action.LEAVE, False) in of(grant, await sweep(world, wait))
        assert await left(world, grant) == [grant.multipart_id]
        assert second not in await left(world, grant)
        await world.service.janitor.sweep()
    assert await world.sessions.get(grant.sid) is None
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def complete_beside(world: World, grant: Grant) -> None:
    """Make a grant's object from a multipart upload other than its own."""
    other = grant.with_multipart(await world.storage.create(grant, {}))
    presigner = await world.storage.presigner(other, timedelta(minutes=15), world.clock.now())
    for part in presigner.sign([1, 2], {}):
        body = content(part.number, grant.plan.size(part.number))
        assert (await world.put(part.url, body, part.headers)).status == 200
    await world.storage.complete(other, await world.storage.list_parts(other))


# ---- late transfers


@pytest.mark.parametrize("size", [1000, TWO_PARTS])
@pytest.mark.parametrize("end", ["abort", "expiry", "orphan"])
async def test_a_put_that_comes_late_leaves_nothing_behind(
    world: World, size: int, end: str
) -> None:
    upload = await world.initialize(size)
    grant = world.grant(upload)
    *_, last = await world.presigned(upload)
    if end == "abort":
        await world.abort(upload)
    elif end == "expiry":
        world.clock.advance(EXPIRY_SECONDS + 1)
        await world.service.janitor.sweep()
    elif grant.single:
        pytest.skip("an object whose session record was lost looks like a completed one")
    else:
        await world.lose_row(upload)
        await sweep(world, LAST_EXPIRY_SECONDS + GRACE_SECONDS)
    reply = await world.put(last.url, content(last.part_number, last.size_bytes), last.headers)
    assert (reply.status == 200) == grant.single
    await sweep(world)
    world.clock.advance(TOMBSTONE.total_seconds() + 1)
    await world.service.janitor.sweep()
    await sweep(world)
    assert await left(world, grant) == []
    assert await world.storage.head(grant) is None
    assert await world.sessions.get(grant.sid) is None


# ---- concurrency


@pytest.mark.parametrize("lost", [False, True])
async def test_a_complete_at_work_loses_nothing(world: World, lost: bool) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    grant = world.grant(upload)
    gate = Gate()
    world.storage.before("complete", gate)
    completing = asyncio.create_task(world.complete(upload))
    await gate.reached.wait()
    if lost:
        await world.lose_row(upload)
    # Without a session record, for as long as a Complete may be at work; with one, for ever.
    found = await sweep(world, LAST_EXPIRY_SECONDS + GRACE_SECONDS - 10 if lost else LONG)
    assert of(grant, found) == [(Action.LEAVE, False)]
    gate.open()
    assert (await completing).state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert await world.storage.head(grant) is not None


async def test_a_complete_that_the_sweep_overtakes_says_so(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    grant = world.grant(upload)
    gate = Gate()
    world.storage.before("complete", gate)
    completing = asyncio.create_task(world.complete(upload))
    await gate.reached.wait()
    await world.lose_row(upload)
    assert of(grant, await sweep(world, LONG)) == [(Action.ABORT, True)]
    gate.open()
    assert (await failure(completing)).reason == "UPLOAD_NOT_ACTIVE"
    assert await world.storage.head(grant) is None
    assert await world.state(upload) == "ABORTED"


async def test_an_abort_by_the_sweep_that_comes_after_the_complete_harms_nothing(
    world: World,
) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    grant = world.grant(upload)
    await world.lose_row(upload)
    gate = Gate()
    world.storage.before("abort", gate)
    sweeping = asyncio.create_task(sweep(world, LONG))
    await gate.reached.wait()
    done = await world.complete(upload)
    gate.open()
    assert of(grant, await sweeping) == [(Action.ABORT, True)]
    assert (await world.complete(upload)).object == done.object


async def test_two_sweeps_at_once_agree(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    await world.lose_row(upload)
    world.clock.advance(LONG)
    await asyncio.gather(sweep(world), sweep(world))
    assert await left(world, world.grant(upload)) == []


# ---- dry run


class Noting:
    """Sessions that pass on every call and record its name."""

    def __init__(self, sessions: Any) -> None:
        self.calls: set[str] = set()
        self._sessions = sessions

    def __getattr__(self, name: str) -> Any:
        self.calls.add(name)
        return getattr(self._sessions, name)


async def test_a_dry_run_tells_all_and_changes_nothing(world: World) -> None:
    situations = [s for s in Situation if s is not Situation.EXPIRED]
    uploads = [await bring_to(world, situation, TWO_PARTS) for situation in situations]
    second, orphan = uploads[0], await world.initialize(TWO_PARTS)
    await world.storage.create(world.grant(second), {})
    await world.lose_row(orphan)
    world.clock.advance(LONG)
    grants = [world.grant(upload) for upload in (*uploads, orphan)]
    before = [(await world.sessions.get(g.sid), await left(world, g)) for g in grants]
    noting: Any = Noting(world.sessions)
    janitor, sweeper = (
        world.service.janitor,
        a_sweeper(world, second.object.bucket, sessions=noting),
    )
    janitor._sessions = noting
    world.storage.calls.clear()
    found: list[CleanupRecord] = []
    await one_pass.tidy(replace(world.service, sweeper=sweeper), report=found.append, dry_run=True)
    assert noting.calls == {"get", "peek_due"}
    assert set(world.storage.calls) <= {"unfinished", "head", "list_parts"}
    assert not any(finding.done or finding.error for finding in found)
    assert of(grants[-1], found) == [(Action.ABORT, False)]
    due = {f.key for f in found if f.kind is CleanupKind.UPLOAD}
    assert {grant.key for grant in grants[:-1]} <= due
    after = [(await world.sessions.get(g.sid), await left(world, g)) for g in grants]
    assert after == before
    assert len(await world.sessions.peek_due(100)) == len(uploads)


# ---- storage that cannot be inspected


async def test_a_row_that_cannot_be_read_is_not_one_that_is_missing(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    grant = world.grant(upload)

    class Away:
        async def get(self, sid: str) -> None:
            raise SessionsUnavailable

    world.clock.advance(LONG)
    with pytest.raises(SessionsUnavailable):
        await a_sweeper(world, grant.bucket, sessions=Away()).sweep()
    assert await left(world, grant) == [grant.multipart_id]


@pytest.mark.parametrize(
    "error", [StorageUnavailable(), StorageRefused("ListMultipartUploads", "AccessDenied")]
)
async def test_a_bucket_that_cannot_be_listed_keeps_no_other_from_it(
    clock: FakeClock, error: Exception
) -> None:
    async with a_memory_world(clock, policies=[Policy("away", "a-bucket")]) as world:
        upload = await world.initialize(TWO_PARTS)
        await world.lose_row(upload)
        world.storage.before("unfinished", failing(error))
        first, second = await sweep(world, LONG)
    assert (first.kind, first.bucket, bool(first.error)) == (CleanupKind.LISTING, "a-bucket", True)
    assert (second.kind, second.bucket, second.done) == (CleanupKind.MULTIPART, "uploads", True)


async def test_one_that_cannot_be_aborted_keeps_no_other_from_it(world: World) -> None:
    uploads = [await world.initialize(TWO_PARTS) for _ in range(2)]
    for upload in uploads:
        await world.lose_row(upload)
    world.clock.advance(LONG)
    world.storage.before("abort", failing(StorageRefused("AbortMultipartUpload", "AccessDenied")))
    assert len([f for f in await sweep(world) if "AccessDenied" in f.error]) == 1
    await sweep(world)
    for upload in uploads:
        assert await left(world, world.grant(upload)) == []


async def test_storage_that_lists_one_key_only_is_said_to(clock: FakeClock) -> None:
    storage = MemoryStorage(capabilities=replace(MEMORY, exact_key_listing_only=True))
    async with a_memory_world(clock, storage=storage) as world:
        await world.lose_row(await world.initialize(TWO_PARTS))
        (finding,) = await sweep(world, LONG)
        assert (finding.kind, finding.done) == (CleanupKind.LISTING, False)
        assert "one key only" in finding.reason
        assert "unfinished" not in world.storage.calls


# ---- repeated sweeps


@in_memory
async def test_it_goes_on_whatever_becomes_of_one_sweep(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()

    async def end() -> None:
        stop.set()

    world.storage.before(
        "unfinished",
        failing(RuntimeError("a bug")),
        failing(SessionsUnavailable()),
        failing(StorageUnavailable()),
        end,
    )
    await world.service.sweeper.run(0.001, stop)
    printed = [r.levelname for r in caplog.records if r.name == "partway_server.cleanup.orphans"]
    assert printed == ["ERROR", "WARNING", "WARNING"]


@in_memory
async def test_replicas_that_start_together_look_at_different_times(world: World) -> None:
    pauses: list[float] = []

    async def waited(stop: Any, pause: float) -> None:
        pauses.append(pause)
        stop.close()
        raise TimeoutError if len(pauses) % 2 else asyncio.CancelledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "wait_for", waited)
        for byte in (b"\x00", b"\x80", b"\xff"):
            sweeper = a_sweeper(world, "uploads", random_bytes=byte.__mul__)
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper.run(3600, asyncio.Event())
    assert [round(pause) for pause in pauses] == [30, 1800, 45, 2704, 60, 3600]


async def test_what_was_put_back_is_opened_and_then_expires(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await put_back(world, upload, State.INITIATING)
    await world.service.janitor.sweep()
    await sweep(world, EXPIRY_SECONDS + GRACE_SECONDS)
    for _ in range(3):
        world.clock.advance(301)
        await world.service.janitor.sweep()
    assert await left(world, world.grant(upload)) == []
