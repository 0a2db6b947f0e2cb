"""Tests that no upload is lost or part sent twice when Redis loses data or goes back in time."""

import asyncio
import uuid
from dataclasses import replace
from typing import Any

import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import StorageUnavailable
from partway_server.domain.upload import State

from tests.support.calls import ABOUT_AN_UPLOAD, call
from tests.support.storage import failing
from tests.support.upload_situations import (
    EXPIRY_SECONDS,
    LAST_EXPIRY_SECONDS,
    LEASE,
    Situation,
    bring_to,
    put_back,
)
from tests.support.world import PART, World, content, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

TWO_PARTS = PART + 7


async def test_an_upload_goes_on_after_each_loss(world: World) -> None:
    upload = await world.initialize()
    await world.lose_row(upload)
    await world.send(upload, [2])
    await world.lose_row(upload)
    left = await world.presigned(upload)
    assert [part.part_number for part in left] == [1, 3]
    await world.lose_row(upload)
    answer = await call(world.stub, "ListParts", pb.ListPartsRequest(upload_id=upload.id))
    assert [part.part_number for part in answer.parts] == [2]
    await world.send(upload, [1, 3])
    await world.lose_row(upload)
    done = await world.complete(upload)
    await world.lose_row(upload)
    assert await world.complete(upload) == done
    await world.lose_row(upload)
    assert (await failure(world.abort(upload))).metadata["state"] == "UPLOAD_STATE_COMPLETED"


@pytest.mark.parametrize("name", ABOUT_AN_UPLOAD)
@in_memory
async def test_each_call_rebuilds_the_row(world: World, name: str) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    await world.lose_row(upload)
    await call(world.stub, name, ABOUT_AN_UPLOAD[name](upload.id))
    row = await world.sessions.get(world.grant(upload).sid)
    assert row is not None
    expected = {"Complete": State.COMPLETED, "Abort": State.ABORTED}
    assert row.state is expected.get(name, State.ACTIVE)


async def test_a_rebuilt_upload_still_expires(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await world.lose_row(upload)
    assert await world.state(upload) == "ACTIVE"
    # Until then an ID could have been in use whose later deadline Redis lost.
    world.clock.advance(LAST_EXPIRY_SECONDS + 1)
    await world.service.janitor.sweep()
    assert await world.state(upload) == "ABORTED"
    assert await world.storage.list_multiparts(world.grant(upload)) == []


async def test_all_calls_at_once_rebuild_one_row(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    await world.lose_row(upload)
    answers = await asyncio.gather(
        *(call(world.stub, "Status", pb.StatusRequest(upload_id=upload.id)) for _ in range(8)),
        world.complete(upload),
    )
    states = {answer.upload.state for answer in answers[:-1]}
    assert states <= {
        upload_pb2.UPLOAD_STATE_ACTIVE,
        upload_pb2.UPLOAD_STATE_COMPLETING,
        upload_pb2.UPLOAD_STATE_COMPLETED,
    }
    assert answers[-1].state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert world.storage.calls.count("complete") == 1


@pytest.mark.usefixtures("single_puts")
async def test_a_single_put_that_was_sent_counts_as_completed(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, 1000)
    await world.lose_row(upload)
    assert await world.state(upload) == "COMPLETED"
    assert (await world.complete(upload)).object.size_bytes == 1000


async def test_a_single_put_that_was_not_sent_goes_on(world: World) -> None:
    upload = await world.initialize(1000)
    await world.lose_row(upload)
    assert await world.state(upload) == "ACTIVE"
    await world.lose_row(upload)
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@pytest.mark.parametrize("size", [1000, TWO_PARTS])
@pytest.mark.usefixtures("ended_uploads")
async def test_a_completed_upload_stays_so(world: World, size: int) -> None:
    upload = await bring_to(world, Situation.COMPLETED, size)
    done = await world.complete(upload)
    for name in ABOUT_AN_UPLOAD:
        await world.lose_row(upload)
        if name in ("Complete", "Status"):
            answer = await call(world.stub, name, ABOUT_AN_UPLOAD[name](upload.id))
            assert answer.upload.object == done.object
            assert answer.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
        else:
            failed = await failure(call(world.stub, name, ABOUT_AN_UPLOAD[name](upload.id)))
            assert failed.metadata["state"] == "UPLOAD_STATE_COMPLETED"


@pytest.mark.usefixtures("ended_uploads")
async def test_an_aborted_upload_stays_so(world: World) -> None:
    upload = await bring_to(world, Situation.ABORTED, TWO_PARTS)
    for name in ABOUT_AN_UPLOAD:
        await world.lose_row(upload)
        if name in ("Abort", "Status"):
            answer = await call(world.stub, name, ABOUT_AN_UPLOAD[name](upload.id))
            assert answer.upload.state == upload_pb2.UPLOAD_STATE_ABORTED
            assert answer.upload.abort_reason == upload_pb2.ABORT_REASON_LOST
        else:
            failed = await failure(call(world.stub, name, ABOUT_AN_UPLOAD[name](upload.id)))
            assert (failed.code, failed.metadata["state"]) == (
                "FAILED_PRECONDITION",
                "UPLOAD_STATE_ABORTED",
            )


@pytest.mark.usefixtures("ended_uploads")
async def test_an_upload_that_expired_while_redis_was_empty_is_told_so(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    world.clock.advance(EXPIRY_SECONDS + 1)
    await world.service.janitor.sweep()
    await world.lose_row(upload)
    failed = await failure(world.complete(upload))
    assert failed.metadata["abort_reason"] == "ABORT_REASON_EXPIRED"


@pytest.mark.parametrize("situation", [Situation.COMPLETING, Situation.ABORTING])
async def test_a_claim_that_was_lost_is_no_hindrance(world: World, situation: Situation) -> None:
    upload = await bring_to(world, situation, TWO_PARTS)
    await world.lose_row(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@in_memory
async def test_storage_that_is_down_while_redis_is_empty_is_unavailable(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    await world.lose_row(upload)
    world.storage.before("list_parts", failing(StorageUnavailable()))
    request = pb.StatusRequest(upload_id=upload.id)
    failed = await failure(call(world.stub, "Status", request))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert await world.state(upload) == "ACTIVE"


# ---- a session record restored from an older copy


@pytest.mark.parametrize("old", [State.INITIATING, State.ACTIVE])
@pytest.mark.parametrize("sent", [False, True])
async def test_an_active_upload_goes_on_with_an_older_row(
    world: World, old: State, sent: bool
) -> None:
    upload = await world.initialize(TWO_PARTS)
    if sent:
        await world.send(upload)
    await put_back(world, upload, old)
    assert [p.part_number for p in await world.presigned(upload)] == ([] if sent else [1, 2])
    await put_back(world, upload, old)
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@pytest.mark.parametrize("old", [State.INITIATING, State.ACTIVE])
async def test_a_completed_upload_is_found_out_with_an_older_row(world: World, old: State) -> None:
    upload = await bring_to(world, Situation.COMPLETED, TWO_PARTS)
    done = await world.complete(upload)
    await put_back(world, upload, old)
    assert (await world.complete(upload)).object == done.object
    await put_back(world, upload, old)
    assert (await failure(world.abort(upload))).metadata["state"] == "UPLOAD_STATE_COMPLETED"
    assert await world.storage.head(world.grant(upload)) is not None
    assert world.storage.calls.count("complete") == 1


@pytest.mark.parametrize("old", [State.INITIATING, State.ACTIVE])
@pytest.mark.usefixtures("ended_uploads")
async def test_an_aborted_upload_is_found_out_with_an_older_row(world: World, old: State) -> None:
    upload = await bring_to(world, Situation.ABORTED, TWO_PARTS)
    await put_back(world, upload, old)
    request = pb.StatusRequest(upload_id=upload.id, view=pb.STATUS_VIEW_PROGRESS)
    answer = await call(world.stub, "Status", request)
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_ABORTED
    await put_back(world, upload, old)
    assert (await failure(world.complete(upload))).metadata["state"] == "UPLOAD_STATE_ABORTED"
    await put_back(world, upload, old)
    assert (await world.abort(upload)).state == upload_pb2.UPLOAD_STATE_ABORTED


async def test_an_older_row_meets_the_janitor_first(world: World) -> None:
    upload = await bring_to(world, Situation.COMPLETED, TWO_PARTS)
    done = await world.complete(upload)
    await put_back(world, upload, State.INITIATING)
    world.clock.advance(10 * LEASE.total_seconds())
    await world.service.janitor.sweep()
    assert (await world.complete(upload)).object == done.object


# ---- Initialize repeated after the loss


async def test_both_ids_of_a_repeated_initialize_go_on_by_themselves(world: World) -> None:
    request_id = str(uuid.uuid4())
    first = await world.initialize(TWO_PARTS, request_id=request_id)
    await world.send(first, [1])
    await world.lose_row(first)
    again = await world.initialize(TWO_PARTS, request_id=request_id)
    assert again.object.key != first.object.key
    assert [part.part_number for part in await world.presigned(first)] == [2]
    for upload in (first, again):
        await world.send(upload)
        done = await world.complete(upload)
        assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
        assert done.object.key == upload.object.key
        assert (await world.complete(upload)).object == done.object


async def test_a_repeated_initialize_takes_no_answer_back(world: World) -> None:
    request_id = str(uuid.uuid4())
    first = await world.initialize(TWO_PARTS, request_id=request_id)
    await world.send(first)
    done = await world.complete(first)
    await world.lose_row(first)
    again = await world.initialize(TWO_PARTS, request_id=request_id)
    assert (await world.complete(first)).object == done.object
    assert (await failure(world.abort(first))).metadata["state"] == "UPLOAD_STATE_COMPLETED"
    assert await world.state(again) == "ACTIVE"
    assert (await world.abort(again)).state == upload_pb2.UPLOAD_STATE_ABORTED
    assert (await world.complete(first)).object == done.object


async def test_the_first_id_goes_on_where_the_repeat_died_half_way(world: World) -> None:
    request_id = str(uuid.uuid4())
    first = await world.initialize(TWO_PARTS, request_id=request_id)
    await world.send(first, [1])
    await world.lose_row(first)
    world.storage.before("create", failing(StorageUnavailable()))
    await failure(world.initialize(TWO_PARTS, request_id=request_id))
    assert [part.part_number for part in await world.presigned(first)] == [2]
    await world.send(first)
    assert (await world.complete(first)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert await world.state(first) == "COMPLETED"


async def test_an_upload_that_was_never_opened_is_opened_by_a_later_repeat(world: World) -> None:
    request_id = str(uuid.uuid4())
    world.storage.before("create", failing(StorageUnavailable()))
    await failure(world.initialize(TWO_PARTS, request_id=request_id))
    for seconds in (6, 400):
        world.clock.advance(seconds)
        await world.service.janitor.sweep()
    upload = await world.initialize(TWO_PARTS, request_id=request_id)
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_a_blip_at_create_does_not_end_the_request(world: World) -> None:
    request_id = str(uuid.uuid4())
    world.storage.before("create", failing(StorageUnavailable()))
    await failure(world.initialize(TWO_PARTS, request_id=request_id))
    world.clock.advance(6)
    await world.service.janitor.sweep()
    again = await world.initialize(TWO_PARTS, request_id=request_id)
    assert again.state == upload_pb2.UPLOAD_STATE_ACTIVE


async def test_an_object_of_another_size_with_our_token_proves_nothing(world: World) -> None:
    upload = await world.initialize(1000)
    grant = world.grant(upload)
    other = replace(grant, plan=replace(grant.plan, size_bytes=999))
    presigner = await world.storage.presigner(other, LEASE, world.clock.now())
    (part,) = presigner.sign([1], {})
    assert (await world.put(part.url, content(1, 999), part.headers)).status == 200
    await world.lose_row(upload)
    assert await world.state(upload) == "ACTIVE"
    assert (await failure(world.complete(upload))).reason == "PARTS_MISMATCH"


@pytest.mark.parametrize("held", ["claim_active", "insert"])
@pytest.mark.parametrize("verb", ["complete", "abort"])
@in_memory
async def test_no_call_takes_the_upload_of_a_request_initialized_anew(
    world: World, monkeypatch: pytest.MonkeyPatch, held: str, verb: str
) -> None:
    # A call claims the upload, or finds no session record and rebuilds it. Before it claims or
    # inserts the record, Redis loses it and Initialize is repeated: now another upload has the sid.
    request_id = str(uuid.uuid4())
    upload = await world.initialize(TWO_PARTS, request_id=request_id)
    await world.send(upload)
    others: list[upload_pb2.Upload] = []
    method = getattr(world.sessions, held)

    async def late(*arguments: Any, **named: Any) -> Any:
        monkeypatch.undo()
        if held == "claim_active":
            await world.lose_row(upload)
        others.append(await world.initialize(TWO_PARTS, request_id=request_id))
        await world.send(others[0])
        return await method(*arguments, **named)

    if held == "insert":
        await world.lose_row(upload)
    monkeypatch.setattr(world.sessions, held, late)
    call_it = world.complete if verb == "complete" else world.abort
    try:
        ended = await call_it(upload)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.ABORTED
        ended = await call_it(upload)
    assert await world.state(others[0]) == "ACTIVE"
    assert await world.storage.head(world.grant(others[0])) is None
    if verb == "complete":
        assert ended.object.key == world.grant(upload).key
    else:
        assert ended.state == upload_pb2.UPLOAD_STATE_ABORTED
    assert (await world.complete(others[0])).object.key == world.grant(others[0]).key


@in_memory
async def test_what_is_initialized_again_after_it_was_complete_is_still_complete(
    world: World,
) -> None:
    # Complete makes the object; Redis is restored from a copy made before the upload was open; the
    # same Initialize comes again. It opens nothing at the object's key, but starts over.
    request_id = str(uuid.uuid4())
    upload = await world.initialize(TWO_PARTS, request_id=request_id)
    await world.send(upload)
    done = await world.complete(upload)
    await put_back(world, upload, State.INITIATING)
    busy = await failure(world.initialize(TWO_PARTS, request_id=request_id))
    assert busy.reason == "UPLOAD_BUSY"
    assert (await world.initialize(TWO_PARTS, request_id=request_id)).id != upload.id
    again = await world.complete(upload)
    assert again.object == done.object
    assert again.state == upload_pb2.UPLOAD_STATE_COMPLETED


@in_memory
async def test_an_old_row_is_not_believed_because_it_was_just_claimed(world: World) -> None:
    done = await world.initialize(TWO_PARTS)
    await world.send(done)
    await world.complete(done)
    aborted = await world.initialize(TWO_PARTS)
    await world.abort(aborted)
    for upload, state in ((done, "COMPLETED"), (aborted, "ABORTED")):
        await put_back(world, upload, State.INITIATING)
        assert await world.state(upload) == state
