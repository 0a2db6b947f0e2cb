"""Tests that the janitor ends abandoned uploads and touches nothing else."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from partway.v1 import upload_pb2
from partway_server.cleanup.expiry import GIVE_UP, Janitor
from partway_server.domain.errors import SessionsUnavailable, StorageRefused, StorageUnavailable
from partway_server.domain.upload import AbortReason, State
from partway_server.observability.metrics import Metrics
from partway_server.storage.base import CompleteUnknown
from partway_server.workflow.background_tasks import Tasks
from partway_server.workflow.deps import COMPLETED_RETENTION
from partway_server.workflow.leases import LONGEST_PUT

from tests.support.storage import Gate, failing
from tests.support.upload_situations import EXPIRY_SECONDS, LEASE, Situation, bring_to, put_back
from tests.support.world import PART, World, content, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

TWO_PARTS = PART + 7
TOMBSTONE = timedelta(hours=1) + LONGEST_PUT


async def sweep(world: World, after: float = 0) -> None:
    """Sweep after some seconds have passed."""
    world.clock.advance(after)
    await world.service.janitor.sweep()


async def row_state(world: World, upload: upload_pb2.Upload) -> str | None:
    row = await world.sessions.get(world.grant(upload).sid)
    return row.state.name if row else None


async def in_storage(world: World, upload: upload_pb2.Upload) -> tuple[int, bool]:
    """Count the multipart uploads at the key, and return whether there is an object."""
    grant = world.grant(upload)
    open_ones = await world.storage.list_multiparts(grant)
    return len(open_ones), await world.storage.head(grant) is not None


# ---- expiry


@pytest.mark.parametrize("size", [1000, TWO_PARTS])
async def test_an_upload_past_its_deadline_is_aborted(world: World, size: int) -> None:
    upload = await world.initialize(size)
    await sweep(world, EXPIRY_SECONDS - 1)
    assert await row_state(world, upload) == "ACTIVE"
    await sweep(world, 2)
    assert await in_storage(world, upload) == (0, False)
    failed = await failure(world.complete(upload))
    assert failed.metadata["abort_reason"] == "ABORT_REASON_EXPIRED"
    assert await world.state(upload) == "ABORTED"


@pytest.mark.usefixtures("single_puts")
async def test_a_single_put_that_arrived_is_no_loss_when_it_expires(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, 1000)
    await sweep(world, EXPIRY_SECONDS + 1)
    assert await world.state(upload) == "COMPLETED"
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_an_upload_that_is_active_again_still_expires(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    assert (await failure(world.complete(upload))).reason == "PARTS_MISSING"
    await sweep(world, EXPIRY_SECONDS + 1)
    assert await world.state(upload) == "ABORTED"


async def test_what_ends_while_the_janitor_comes_to_it_is_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = await world.initialize(TWO_PARTS), await world.initialize()
    await world.send(kept)
    await world.complete(kept)
    await world.abort(gone)
    sids = [world.grant(upload).sid for upload in (kept, gone)]

    async def taken_before(limit: int, again: timedelta) -> list[str]:
        return sids

    monkeypatch.setattr(world.sessions, "take_due", taken_before)
    await sweep(world)

    assert [await row_state(world, upload) for upload in (kept, gone)] == ["COMPLETED", "ABORTED"]


# ---- left by a dead worker


async def test_what_a_broken_off_initialize_created_is_kept_to_its_deadline(
    world: World,
) -> None:
    world.storage.after("create", failing(RuntimeError("the worker dies here")))
    request_id = "0b5a9a3e-1111-4222-8333-444455556666"
    assert (await failure(world.initialize(TWO_PARTS, request_id=request_id))).code == "INTERNAL"
    world.clock.advance(4 * LEASE.total_seconds() + 1)
    (sid,) = await world.sessions.take_due(10, timedelta())
    row = await world.sessions.get(sid)
    assert row is not None and row.state is State.INITIATING
    assert len(await world.storage.list_multiparts(row.grant)) == 1
    await sweep(world, 301)
    # The session record could be an old copy, and its caller may have had the ID for long.
    upload = await world.initialize(TWO_PARTS, request_id=request_id)
    assert await row_state(world, upload) == "ACTIVE"
    await sweep(world, EXPIRY_SECONDS + 1)
    assert await world.storage.list_multiparts(row.grant) == []
    assert await row_state(world, upload) == "ABORTED"


async def test_an_initialize_that_created_nothing_is_forgotten(world: World) -> None:
    world.storage.before("create", failing(StorageUnavailable()))
    request_id = "0b5a9a3e-1111-4222-8333-444455556666"
    await failure(world.initialize(TWO_PARTS, request_id=request_id))
    world.clock.advance(4 * LEASE.total_seconds() + 1)
    (sid,) = await world.sessions.take_due(10, timedelta())
    await sweep(world)
    assert await world.sessions.get(sid) is None


async def test_a_caller_who_comes_back_while_the_janitor_looks_loses_nothing(
    world: World,
) -> None:
    world.storage.before("create", failing(StorageUnavailable()))
    request_id = "0b5a9a3e-1111-4222-8333-444455556666"
    await failure(world.initialize(TWO_PARTS, request_id=request_id))
    gate = Gate()
    world.storage.after("list_multiparts", gate)
    looking = asyncio.create_task(sweep(world, 4 * LEASE.total_seconds() + 1))
    await gate.reached.wait()
    busy = await failure(world.initialize(TWO_PARTS, request_id=request_id))
    assert busy.reason == "UPLOAD_BUSY"
    gate.open()
    await looking
    upload = await world.initialize(TWO_PARTS, request_id=request_id)
    await sweep(world, 301)
    assert await world.state(upload) == "ACTIVE"
    assert (await in_storage(world, upload))[0] == 1


async def test_a_row_put_back_before_any_part_was_sent_keeps_its_upload(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await put_back(world, upload, State.INITIATING)
    await sweep(world, 10 * LEASE.total_seconds())
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_of_two_that_were_created_the_one_with_parts_is_kept(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    orphans = [await world.storage.create(world.grant(upload), {}) for _ in range(3)]
    await world.send(upload, [1])
    await put_back(world, upload, State.INITIATING)
    await sweep(world, 10 * LEASE.total_seconds())
    row = await world.sessions.get(world.grant(upload).sid)
    assert row is not None and row.grant.multipart_id not in orphans


async def test_a_row_put_back_after_the_object_was_made_is_forgotten(world: World) -> None:
    upload = await bring_to(world, Situation.COMPLETED, TWO_PARTS)
    await put_back(world, upload, State.INITIATING)
    await sweep(world, 10 * LEASE.total_seconds())
    assert await world.sessions.get(world.grant(upload).sid) is None
    assert await world.state(upload) == "COMPLETED"


async def test_an_orphan_is_left_alone_while_its_caller_may_come_back(world: World) -> None:
    world.storage.after("create", failing(StorageUnavailable()))
    request_id = "0b5a9a3e-1111-4222-8333-444455556666"
    await failure(world.initialize(TWO_PARTS, request_id=request_id))
    await sweep(world)
    upload = await world.initialize(TWO_PARTS, request_id=request_id)
    await sweep(world, 4 * LEASE.total_seconds() + 1)
    assert await world.state(upload) == "ACTIVE"
    assert world.storage.calls.count("create") == 1


async def test_a_row_put_back_as_initiating_is_not_taken_for_an_orphan(world: World) -> None:
    upload = await bring_to(world, Situation.PUT_BACK, TWO_PARTS)
    await sweep(world, 10 * LEASE.total_seconds())
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@pytest.mark.parametrize("sent", [False, True])
async def test_a_complete_that_was_left_is_carried_on(world: World, sent: bool) -> None:
    upload = await bring_to(world, Situation.COMPLETING, TWO_PARTS)
    if sent:
        grant = world.grant(upload)
        await world.storage.complete(grant, await world.storage.list_parts(grant))
    await sweep(world, LEASE.total_seconds() + 1)
    assert (
        await row_state(world, upload) == "COMPLETING"
    )  # Its own worker may still be working on it.
    await sweep(world, 10)
    assert await row_state(world, upload) == "COMPLETED"
    assert (await world.complete(upload)).object.size_bytes == TWO_PARTS


async def test_a_complete_without_its_parts_is_given_back(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await world.sessions.claim(world.grant(upload).sid, State.COMPLETING, LEASE)
    await sweep(world, LEASE.total_seconds() + 10)
    assert await world.state(upload) == "ACTIVE"
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_an_abort_that_was_left_is_carried_on(world: World) -> None:
    upload = await bring_to(world, Situation.ABORTING, TWO_PARTS)
    await sweep(world, LEASE.total_seconds() + 10)
    assert await row_state(world, upload) == "ABORTED"
    assert await in_storage(world, upload) == (0, False)


async def test_an_abort_that_was_left_after_a_complete_finds_the_object(world: World) -> None:
    upload = await bring_to(world, Situation.COMPLETING, TWO_PARTS)
    grant = world.grant(upload)
    await world.storage.complete(grant, await world.storage.list_parts(grant))
    world.clock.advance(LEASE.total_seconds() + 1)
    await world.sessions.claim(grant.sid, State.ABORTING, LEASE)
    await sweep(world, LEASE.total_seconds() + 10)
    assert await row_state(world, upload) == "COMPLETED"
    assert await in_storage(world, upload) == (0, True)


# ---- tombstones


async def test_a_tombstone_stays_until_the_last_transfer_must_be_over(world: World) -> None:
    upload = await bring_to(world, Situation.ABORTED, TWO_PARTS)
    await sweep(world, TOMBSTONE.total_seconds() - 1)
    assert await row_state(world, upload) == "ABORTED"
    await sweep(world, 2)
    assert await row_state(world, upload) is None


@pytest.mark.usefixtures("single_puts")
async def test_an_object_that_came_after_the_abort_is_removed(world: World) -> None:
    upload = await world.initialize(1000)
    (part,) = await world.presigned(upload)
    await world.abort(upload)
    assert (await world.put(part.url, content(1, 1000), part.headers)).status == 200
    assert await in_storage(world, upload) == (0, True)
    await sweep(world, TOMBSTONE.total_seconds() + 1)
    assert await in_storage(world, upload) == (0, False)
    assert await row_state(world, upload) is None
    assert await world.state(upload) in ("ABORTED", "ACTIVE")


@pytest.mark.usefixtures("single_puts")
async def test_a_burial_that_was_overtaken_removes_nothing(world: World) -> None:
    upload = await world.initialize(1000)
    (part,) = await world.presigned(upload)
    # Not by a caller or at its deadline: then it stays aborted.
    claimed, _ = await world.sessions.claim(world.grant(upload).sid, State.COMPLETING, LEASE)
    assert claimed is not None
    await world.sessions.finish(claimed.aborted(AbortReason.LOST), world.clock.now() + TOMBSTONE)
    await world.put(part.url, content(1, 1000), part.headers)
    gate = Gate()
    world.storage.after("head", gate)
    burying = asyncio.create_task(sweep(world, TOMBSTONE.total_seconds() + 1))
    await gate.reached.wait()
    world.clock.advance(LEASE.total_seconds() + 1)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    gate.open()
    await burying
    assert await in_storage(world, upload) == (0, True)
    assert await world.state(upload) == "COMPLETED"


@pytest.mark.usefixtures("single_puts")
async def test_storage_down_at_the_burial_brings_no_object_back(world: World) -> None:
    upload = await world.initialize(1000)
    (part,) = await world.presigned(upload)
    await world.abort(upload)
    await world.put(part.url, content(1, 1000), part.headers)
    world.storage.before("delete", failing(StorageUnavailable()))
    await sweep(world, TOMBSTONE.total_seconds() + 1)
    assert await in_storage(world, upload) == (0, True)
    await sweep(world, 600)
    assert await in_storage(world, upload) == (0, False)
    assert await row_state(world, upload) is None


async def test_storage_down_at_the_burial_does_not_change_why(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await world.storage.abort(world.grant(upload))
    assert (await failure(world.complete(upload))).metadata["abort_reason"].endswith("LOST")
    world.storage.before("abort", failing(StorageUnavailable()))
    await sweep(world, TOMBSTONE.total_seconds() + 1)
    await failure(world.complete(upload))
    failed = await failure(world.complete(upload))
    assert failed.metadata["abort_reason"] == "ABORT_REASON_LOST"


async def test_an_object_of_somebody_else_at_the_key_stays(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await world.abort(upload)
    grant = world.grant(upload)
    other = replace(grant, write_token="ab" * 16)
    other = other.with_multipart(await world.storage.create(other, {}))
    presigner = await world.storage.presigner(other, timedelta(minutes=15), world.clock.now())
    for part in presigner.sign([1, 2], {}):
        body = content(part.number, grant.plan.size(part.number))
        assert (await world.put(part.url, body, part.headers)).status == 200
    await world.storage.complete(other, await world.storage.list_parts(other))
    await sweep(world, TOMBSTONE.total_seconds() + 1)
    assert await in_storage(world, upload) == (0, True)
    assert await row_state(world, upload) is None


async def test_a_create_that_landed_late_leaves_nothing_for_ever(world: World) -> None:
    """Cover a create that storage runs long after its reply was given up and another was made."""
    completed = await world.initialize(TWO_PARTS)
    await world.storage.create(world.grant(completed), {})
    await world.send(completed)
    await world.complete(completed)
    aborted = await world.initialize(TWO_PARTS)
    await world.storage.create(world.grant(aborted), {})
    await world.abort(aborted)
    await sweep(world, COMPLETED_RETENTION.total_seconds() + 1)
    assert await in_storage(world, completed) == (0, True)
    assert await in_storage(world, aborted) == (0, False)
    assert await row_state(world, completed) is await row_state(world, aborted) is None


# ---- completed session records


@pytest.mark.parametrize("size", [1000, TWO_PARTS])
async def test_a_completed_row_is_forgotten_and_the_answer_stays(world: World, size: int) -> None:
    upload = await bring_to(world, Situation.COMPLETED, size)
    done = await world.complete(upload)
    await sweep(world, COMPLETED_RETENTION.total_seconds() - 1)
    assert await row_state(world, upload) == "COMPLETED"
    await sweep(world, 2)
    assert await row_state(world, upload) is None
    assert await world.state(upload) == "COMPLETED"
    assert (await world.complete(upload)).object == done.object


# ---- other uploads, and failures


async def test_nothing_at_another_key_is_touched(world: World) -> None:
    bystander = await world.initialize(TWO_PARTS)
    expiring = await world.initialize(TWO_PARTS)
    grant = world.grant(expiring)
    # A key that begins with ours, and one that is a prefix of ours.
    longer = replace(grant, key=grant.key + ".bak")
    shorter = replace(grant, key=grant.key[:-1])
    strangers = [
        stranger.with_multipart(await world.storage.create(stranger, {}))
        for stranger in (longer, shorter)
    ]
    await world.sessions.claim(grant.sid, State.ABORTING, LEASE)
    await sweep(world, 5 * LEASE.total_seconds())
    assert await row_state(world, expiring) == "ABORTED"
    assert await in_storage(world, expiring) == (0, False)
    for stranger in strangers:
        assert list(await world.storage.list_multiparts(stranger)) == [stranger.multipart_id]
    assert await in_storage(world, bystander) == (1, False)


async def test_two_janitors_at_once_share_the_work(world: World) -> None:
    uploads = [await world.initialize(TWO_PARTS) for _ in range(4)]
    world.clock.advance(EXPIRY_SECONDS + 1)
    first, second = await asyncio.gather(
        world.service.janitor.sweep(), world.service.janitor.sweep()
    )
    assert not set(first) & set(second)
    assert len(first) + len(second) == 4
    assert world.storage.calls.count("abort") == 4
    for upload in uploads:
        assert await row_state(world, upload) == "ABORTED"


async def test_a_caller_and_the_janitor_at_once_agree(world: World) -> None:
    upload = await bring_to(world, Situation.EXPIRED, TWO_PARTS)
    answer, _ = await asyncio.gather(
        world.complete(upload), world.service.janitor.sweep(), return_exceptions=True
    )
    state = await row_state(world, upload)
    assert state in ("COMPLETED", "ABORTED")
    assert isinstance(answer, upload_pb2.Upload) == (state == "COMPLETED")
    assert await in_storage(world, upload) == (0, state == "COMPLETED")


async def test_storage_that_is_down_is_tried_again(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    world.storage.before("abort", failing(StorageUnavailable()))
    await sweep(world, EXPIRY_SECONDS + 1)
    assert await row_state(world, upload) == "ABORTING"
    assert await in_storage(world, upload) == (1, False)
    await sweep(world, 301)
    assert await row_state(world, upload) == "ABORTED"
    assert await in_storage(world, upload) == (0, False)


async def test_a_complete_that_stays_unknown_is_tried_again(world: World) -> None:
    upload = await bring_to(world, Situation.COMPLETING_LEFT, TWO_PARTS)
    world.storage.before("complete", *[failing(CompleteUnknown())] * 4)
    await sweep(world, 10)
    assert await row_state(world, upload) == "COMPLETING"
    await sweep(world, 301)
    assert await row_state(world, upload) == "COMPLETED"


async def test_a_complete_that_storage_refuses_is_given_up_a_day_past_its_deadline(
    world: World,
) -> None:
    upload = await bring_to(world, Situation.COMPLETING_LEFT, TWO_PARTS)
    refusal = StorageRefused("CompleteMultipartUpload", "AccessDenied")
    for wait in (EXPIRY_SECONDS, 301, GIVE_UP.total_seconds() - 700):
        world.storage.before("complete", failing(refusal))
        await sweep(world, wait)
        assert await row_state(world, upload) == "COMPLETING"
        assert await in_storage(world, upload) == (1, False)
    world.storage.before("complete", failing(refusal))
    await sweep(world, 700)
    assert await row_state(world, upload) == "ABORTED"
    assert await in_storage(world, upload) == (0, False)


async def test_a_complete_that_landed_unseen_is_not_given_up(world: World) -> None:
    upload = await bring_to(world, Situation.COMPLETING_LEFT, TWO_PARTS)
    world.storage.after("complete", failing(CompleteUnknown()))
    world.storage.before("head", failing(StorageUnavailable()))
    await sweep(world, EXPIRY_SECONDS + GIVE_UP.total_seconds() + 1)
    assert await row_state(world, upload) == "COMPLETED"
    assert await in_storage(world, upload) == (0, True)


@in_memory
async def test_one_upload_that_cannot_be_dealt_with_holds_up_no_other(world: World) -> None:
    first, second = await world.initialize(TWO_PARTS), await world.initialize(TWO_PARTS)
    world.storage.before("abort", failing(RuntimeError("a bug")))
    await sweep(world, EXPIRY_SECONDS + 1)
    states = {await row_state(world, first), await row_state(world, second)}
    assert states == {"ABORTING", "ABORTED"}
    await sweep(world, 301)
    assert {await row_state(world, u) for u in (first, second)} == {"ABORTED"}


@in_memory
async def test_an_upload_that_hangs_holds_up_no_other(world: World) -> None:
    uploads = [await world.initialize(TWO_PARTS) for _ in range(9)]
    world.clock.advance(EXPIRY_SECONDS + 1)
    gate, others = asyncio.Event(), asyncio.Event()
    aborted = 0

    async def count() -> None:
        nonlocal aborted
        aborted += 1
        if aborted == 8:
            others.set()

    world.storage.before("abort", gate.wait)
    world.storage.after("abort", *[count] * 9)
    sweeping = asyncio.create_task(world.service.janitor.sweep())
    await others.wait()
    assert not sweeping.done()
    gate.set()
    await sweeping
    assert {await row_state(world, upload) for upload in uploads} == {"ABORTED"}


@in_memory
async def test_what_a_cancelled_sweep_began_is_drained(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    world.clock.advance(EXPIRY_SECONDS + 1)
    gate = Gate()
    world.storage.before("abort", gate)
    running = asyncio.create_task(world.service.janitor.run(3600, asyncio.Event()))
    await gate.reached.wait()
    running.cancel()
    await asyncio.wait({running})
    assert await row_state(world, upload) == "ABORTING"
    gate.open()
    await world.service.tasks.drain(5)
    assert await row_state(world, upload) == "ABORTED"


class Failing:
    """Sessions whose `take_due` fails, in a different way each time, and finally sets `stop`."""

    def __init__(self, stop: asyncio.Event, *errors: Exception) -> None:
        self._stop = stop
        self._errors = list(errors)

    async def take_due(self, limit: int, again: timedelta) -> list[str]:
        if self._errors:
            raise self._errors.pop(0)
        self._stop.set()
        return []

    async def reconcile_usage(self, limit: int) -> int:
        return 0

    async def first_due(self) -> None:
        return None


async def test_a_sweep_that_fails_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    stop = asyncio.Event()
    outage = [SessionsUnavailable() for _ in range(5)]
    sessions: Any = Failing(stop, RuntimeError("a bug"), *outage)
    metrics = Metrics()
    deps: Any = SimpleNamespace(sessions=sessions, tasks=Tasks(), clock=None, metrics=metrics)
    unused: Any = SimpleNamespace(leases=None, discard=None)
    janitor = Janitor(deps, unused)
    caplog.set_level("INFO")
    await janitor.run(0, stop)
    # Only the beginning and the end of an outage are logged, however long it was.
    assert [(r.levelname, bool(r.exc_info)) for r in caplog.records] == [
        ("ERROR", True),
        ("WARNING", False),
        ("INFO", False),
    ]
    failures = metrics.registry.get_sample_value
    assert failures("partway_cleanup_failures_total", {"task": "janitor"}) == 6


@in_memory
async def test_what_an_outage_of_redis_cut_off_is_attempted_again_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cover a failover between two commands of a sweep: no one waits five minutes for it."""
    upload = await world.initialize(TWO_PARTS)
    world.clock.advance(EXPIRY_SECONDS + 1)
    with monkeypatch.context() as outage:
        outage.setattr(world.sessions, "get", AsyncMock(side_effect=SessionsUnavailable()))
        await world.service.janitor.sweep()
    assert await row_state(world, upload) == "ACTIVE"
    await world.service.janitor.sweep()
    assert await row_state(world, upload) == "ABORTED"


@in_memory
async def test_more_than_a_batch_is_dealt_with_in_one_round(world: World) -> None:
    uploads = [await world.initialize(1000) for _ in range(210)]
    world.clock.advance(EXPIRY_SECONDS + 1)
    stop = asyncio.Event()

    async def go_on() -> None:
        pass

    async def last() -> None:
        stop.set()

    world.storage.before("head", *[go_on] * 209, last)
    await world.service.janitor.run(3600, stop)
    assert {await row_state(world, upload) for upload in uploads} == {"ABORTED"}


@in_memory
async def test_a_live_upload_is_left_alone(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    before = len(world.storage.calls)
    for _ in range(50):
        await sweep(world, 3600)
    assert world.storage.calls[before:] == []
    assert await world.state(upload) == "ACTIVE"
