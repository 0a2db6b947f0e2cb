"""Tests that Abort answers only once storage is seen to have nothing left of the upload."""

import asyncio
from dataclasses import replace

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import SessionsUnavailable, StorageUnavailable
from partway_server.domain.upload import State
from partway_server.storage.base import CompleteUnknown

from tests.support.calls import call
from tests.support.storage import Gate, failing
from tests.support.upload_situations import LEASE, Situation, bring_to
from tests.support.world import PART, World, content, failure

TWO_PARTS = PART + 7

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)


async def test_the_parts_are_gone(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload, [1, 3])
    aborted = await world.abort(upload)
    assert aborted.state == upload_pb2.UPLOAD_STATE_ABORTED
    assert aborted.abort_reason == upload_pb2.ABORT_REASON_REQUESTED
    assert aborted.id == upload.id
    assert await world.storage.list_multiparts(world.grant(upload)) == []
    assert await world.storage.head(world.grant(upload)) is None


@pytest.mark.usefixtures("ended_uploads")
async def test_a_url_of_an_aborted_upload_is_worth_nothing(world: World) -> None:
    upload = await world.initialize()
    (part,) = await world.presigned(upload, [3])
    await world.abort(upload)
    reply = await world.put(part.url, content(3, 7), part.headers)
    assert reply.status == 404


async def test_aborting_again_does_nothing(world: World) -> None:
    upload = await world.initialize()
    first = await world.abort(upload)
    before = len(world.storage.calls)
    assert await world.abort(upload) == first
    assert world.storage.calls[before:] == []


async def test_an_abort_that_is_repeated_and_broken_off_is_no_step_back(world: World) -> None:
    upload = await world.initialize()
    first = await world.abort(upload)
    # As a second Abort does that read the session record earlier, or the janitor at its end.
    claimed, granted = await world.sessions.claim(world.grant(upload).sid, State.ABORTING, LEASE)
    assert granted and claimed is not None
    status = await call(world.stub, "Status", pb.StatusRequest(upload_id=upload.id))
    assert status.upload == first
    found = await failure(call(world.stub, "ListParts", pb.ListPartsRequest(upload_id=upload.id)))
    assert found.metadata["state"] == "UPLOAD_STATE_ABORTED"


async def test_several_at_once_agree(world: World) -> None:
    upload = await world.initialize()
    calls = [world.abort(upload) for _ in range(5)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    good = [answer for answer in answers if isinstance(answer, upload_pb2.Upload)]
    last = await world.abort(upload)
    assert good and all(answer == last for answer in good)
    assert await world.state(upload) == "ABORTED"


async def test_a_lost_reply_is_asked_for_again(world: World) -> None:
    upload = await world.initialize()
    world.storage.after("abort", failing(StorageUnavailable()))
    failed = await failure(world.abort(upload))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert await world.state(upload) == "ABORTING"
    assert (await world.abort(upload)).state == upload_pb2.UPLOAD_STATE_ABORTED


async def test_an_abort_looks_before_it_discards(world: World) -> None:
    """Cover a store that still lists an object's parts, and keeps its bytes in them."""
    upload = await bring_to(world, Situation.COMPLETING, TWO_PARTS)
    grant = world.grant(upload)
    await world.storage.complete(grant, await world.storage.list_parts(grant))
    world.clock.advance(LEASE.total_seconds() + 1)
    failed = await failure(world.abort(upload))
    assert failed.metadata["state"] == "UPLOAD_STATE_COMPLETED"
    assert "abort" not in world.storage.calls


@in_memory
async def test_redis_away_in_the_middle_loses_nothing(world: World) -> None:
    upload = await world.initialize()
    world.storage.after("abort", failing(SessionsUnavailable()))
    assert (await failure(world.abort(upload))).reason == "SESSIONS_UNAVAILABLE"
    world.clock.advance(31)
    assert (await world.abort(upload)).state == upload_pb2.UPLOAD_STATE_ABORTED


async def test_redis_that_forgets_in_the_middle_does_not_change_it(world: World) -> None:
    upload = await world.initialize()

    async def forget() -> None:
        await world.lose_row(upload)

    world.storage.after("abort", forget)
    assert (await world.abort(upload)).state == upload_pb2.UPLOAD_STATE_ABORTED
    assert await world.state(upload) == "ABORTED"


@pytest.mark.promise("Abort", "FAILED_PRECONDITION")
async def test_a_completed_upload_cannot_be_aborted(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    done = await world.complete(upload)
    failed = await failure(world.abort(upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert failed.metadata == {
        "upload": world.grant(upload).sid,
        "state": "UPLOAD_STATE_COMPLETED",
    }
    assert await world.complete(upload) == done


async def test_a_completing_upload_cannot_be_aborted(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    gate = Gate()
    world.storage.before("complete", gate)
    completing = asyncio.create_task(world.complete(upload))
    await gate.reached.wait()
    failed = await failure(world.abort(upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert failed.metadata["state"] == "UPLOAD_STATE_COMPLETING"
    gate.open()
    assert (await completing).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_a_complete_that_came_first_is_found_out(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    # The worker dies right after storage made the object.
    world.storage.after("complete", failing(CompleteUnknown()))
    world.storage.before("head", failing(RuntimeError()))
    assert (await failure(world.complete(upload))).code == "INTERNAL"
    world.clock.advance(31)
    failed = await failure(world.abort(upload))
    assert (failed.code, failed.metadata["state"]) == (
        "FAILED_PRECONDITION",
        "UPLOAD_STATE_COMPLETED",
    )
    assert await world.storage.head(world.grant(upload)) is not None
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_a_caller_that_goes_away_does_not_stop_it(world: World) -> None:
    upload = await world.initialize()
    gate = Gate()
    world.storage.before("abort", gate)
    aborting = asyncio.create_task(world.abort(upload))
    await gate.reached.wait()
    aborting.cancel()
    await asyncio.wait({aborting})
    gate.open()
    await world.service.tasks.drain(10)
    assert await world.state(upload) == "ABORTED"


@pytest.mark.promise("Abort", "ABORTED")
async def test_an_abort_beside_another_is_told_to_come_again(world: World) -> None:
    upload = await world.initialize()
    sid = world.grant(upload).sid
    await world.sessions.claim(sid, State.ABORTING, LEASE)
    failed = await failure(world.abort(upload))
    assert (failed.code, failed.reason) == ("ABORTED", "UPLOAD_BUSY")
    assert failed.metadata == {"upload": sid}
    assert failed.details["RetryInfo"].retry_delay.seconds > 0
    world.clock.advance(31)
    assert (await world.abort(upload)).state == upload_pb2.UPLOAD_STATE_ABORTED


@pytest.mark.usefixtures("single_puts")
async def test_an_object_of_somebody_else_at_the_key_stays(world: World) -> None:
    upload = await world.initialize()
    other = await world.initialize(1000)
    (part,) = await world.presigned(other, [1])
    await world.put(part.url, content(1, 1000), part.headers)
    await world.abort(upload)
    assert await world.storage.head(world.grant(other)) is not None


@pytest.mark.usefixtures("single_puts")
@pytest.mark.parametrize("stale", [False, True])
async def test_an_object_that_comes_after_the_abort_is_removed_and_changes_no_answer(
    world: World, stale: bool
) -> None:
    upload = await world.initialize(1000)
    (part,) = await world.presigned(upload, [1])
    aborted = await world.abort(upload)
    assert (await world.put(part.url, content(1, 1000), part.headers)).status == 200
    if stale:
        # As after a restart of Redis: the record may not be the latest, so storage is asked.
        row = await world.sessions.get(world.grant(upload).sid)
        assert row is not None
        await world.lose_row(upload)
        old = replace(row, epoch=0)
        assert (await world.sessions.insert(old, world.clock.now() + LEASE))[1]
    assert await world.state(upload) == "ABORTED"
    assert (await failure(world.complete(upload))).metadata["state"] == "UPLOAD_STATE_ABORTED"
    assert await world.storage.head(world.grant(upload)) is None
    assert await world.abort(upload) == aborted


@pytest.mark.promise("Abort", "NOT_FOUND")
@in_memory
async def test_an_unknown_id_is_not_found(world: World) -> None:
    failed = await failure(world.abort(upload_pb2.Upload(id="x" * 100)))
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")


@pytest.mark.promise("Abort", "INVALID_ARGUMENT")
@in_memory
@pytest.mark.parametrize("upload_id", ["", "x" * 8193])
async def test_an_id_out_of_bounds_is_refused(world: World, upload_id: str) -> None:
    failed = await failure(call(world.stub, "Abort", pb.AbortRequest(upload_id=upload_id)))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == ["upload_id"]
