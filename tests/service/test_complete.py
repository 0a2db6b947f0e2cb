"""Tests that Complete loses nothing, doubles nothing and claims nothing without proof."""

import asyncio

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import SessionsUnavailable, StorageUnavailable
from partway_server.storage.base import CompleteRefused, CompleteUnknown, KeyContested, KeyTaken

from tests.support.storage import Gate, failing
from tests.support.world import ALICE, PART, World, failure


async def test_the_object_is_told_with_its_proof(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    done = await world.complete(upload)
    assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert done.object.size_bytes == 2 * PART + 7
    assert done.object.etag.endswith("-3")
    assert done.object.uri == f"s3://{done.object.bucket}/{done.object.key}"
    head = await world.storage.head(world.grant(upload))
    assert head is not None and head.write_token == world.grant(upload).write_token


@pytest.mark.parametrize("size", [0, 1, 1000])
async def test_a_small_file_is_the_same_three_calls(world: World, size: int) -> None:
    upload = await world.initialize(size)
    assert upload.part_count == 1
    await world.send(upload)
    done = await world.complete(upload)
    assert (done.state, done.object.size_bytes) == (upload_pb2.UPLOAD_STATE_COMPLETED, size)


async def test_completing_again_gives_the_same_object(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    first = await world.complete(upload)
    assert await world.complete(upload) == first
    assert world.storage.calls.count("complete") == 1


async def test_two_at_once_end_with_the_same_object_and_one_request(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    first, second = await asyncio.gather(world.complete(upload), world.complete(upload))
    first = (
        first if first.state == upload_pb2.UPLOAD_STATE_COMPLETED else await world.complete(upload)
    )
    assert await world.complete(upload) == first
    assert second.object.key == first.object.key
    assert world.storage.calls.count("complete") == 1


@pytest.mark.promise("Complete", "FAILED_PRECONDITION")
async def test_missing_parts_are_named_and_the_upload_goes_on(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload, [2])
    failed = await failure(world.complete(upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "PARTS_MISSING")
    assert failed.metadata["missing_count"] == "2"
    subjects = [v.subject for v in failed.details["PreconditionFailure"].violations]
    assert subjects == ["parts/1-1", "parts/3-3"]
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_a_missing_single_part_is_named(world: World) -> None:
    upload = await world.initialize(1000)
    failed = await failure(world.complete(upload))
    assert failed.reason == "PARTS_MISSING"
    assert await world.state(upload) == "ACTIVE"


async def test_an_entity_tag_that_differs_from_the_callers_is_refused(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    failed = await failure(
        world.complete(upload, parts=[upload_pb2.Part(part_number=2, etag="0" * 32)])
    )
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "PARTS_MISMATCH")
    assert [v.subject for v in failed.details["PreconditionFailure"].violations] == ["parts/2-2"]
    assert await world.state(upload) == "ACTIVE"


@pytest.mark.parametrize("spelling", ['"{}"', 'W/"{}"', "{}"])
async def test_the_spelling_of_an_entity_tag_does_not_matter(world: World, spelling: str) -> None:
    upload = await world.initialize()
    await world.send(upload)
    listed = await world.stub.ListParts(pb.ListPartsRequest(upload_id=upload.id), metadata=ALICE)
    tags = {part.part_number: part.etag for part in listed.parts}
    named = [
        upload_pb2.Part(part_number=number, etag=spelling.format(tag.upper()))
        for number, tag in tags.items()
    ]
    assert (await world.complete(upload, parts=named)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    # A repeat that spells them otherwise names the same parts.
    bare = [upload_pb2.Part(part_number=number, etag=tag) for number, tag in tags.items()]
    again = await world.complete(upload, parts=bare)
    assert again.state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_other_parts_than_it_was_completed_with_are_refused(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    await world.complete(upload, parts=[upload_pb2.Part(part_number=1, size_bytes=PART)])
    failed = await failure(
        world.complete(upload, parts=[upload_pb2.Part(part_number=1, etag="0" * 32)])
    )
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "COMPLETED_OTHERWISE")


async def test_a_lost_reply_is_no_failure(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.after("complete", failing(CompleteUnknown()))
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert world.storage.calls.count("complete") == 1


async def test_a_lost_request_is_sent_again(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.before("complete", failing(CompleteUnknown()))
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert world.storage.calls.count("complete") == 2


async def test_storage_that_falls_silent_after_the_request_leaves_it_to_the_next_call(
    world: World,
) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.after("complete", failing(CompleteUnknown()))
    world.storage.before("head", failing(StorageUnavailable()))
    failed = await failure(world.complete(upload))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert failed.details["RetryInfo"].retry_delay.seconds > 0
    assert await world.state(upload) == "COMPLETING"
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert world.storage.calls.count("complete") == 1


async def test_an_object_of_somebody_else_at_the_key_proves_nothing(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.before("complete", failing(KeyTaken()))
    failed = await failure(world.complete(upload))
    assert (failed.code, failed.reason) == ("ALREADY_EXISTS", "OBJECT_EXISTS")
    assert await world.state(upload) == "ABORTED"


@pytest.mark.promise("Complete", "ALREADY_EXISTS")
async def test_a_taken_key_is_told_again_as_an_aborted_upload(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.before("complete", failing(KeyTaken()))
    assert (await failure(world.complete(upload))).code == "ALREADY_EXISTS"
    failed = await failure(world.complete(upload))
    assert failed.reason == "UPLOAD_NOT_ACTIVE"
    assert failed.metadata["state"] == "UPLOAD_STATE_ABORTED"
    assert failed.metadata["abort_reason"] == "ABORT_REASON_OBJECT_EXISTS"


async def test_a_key_taken_by_ourselves_is_a_success(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.after("complete", failing(KeyTaken()))
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@pytest.mark.promise("Complete", "ABORTED")
async def test_a_contested_key_ends_the_upload(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.before("complete", failing(KeyContested()))
    failed = await failure(world.complete(upload))
    assert (failed.code, failed.reason) == ("ABORTED", "UPLOAD_CONFLICT")
    assert await world.state(upload) == "ABORTED"


async def test_parts_that_storage_refuses_leave_the_upload_active(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.before("complete", failing(CompleteRefused("InvalidPart")))
    failed = await failure(world.complete(upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "PARTS_REFUSED")
    assert failed.metadata["storage_code"] == "InvalidPart"
    assert await world.state(upload) == "ACTIVE"
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_a_caller_that_goes_away_does_not_stop_it(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    gate = Gate()
    world.storage.before("complete", gate)
    call = asyncio.create_task(world.complete(upload))
    await gate.reached.wait()
    call.cancel()
    await asyncio.wait({call})
    gate.open()
    await world.service.tasks.drain(10)
    assert await world.state(upload) == "COMPLETED"
    assert world.storage.calls.count("complete") == 1


async def test_redis_that_loses_the_outcome_does_not_change_it(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    done = await world.complete(upload)
    await world.lose_row(upload)
    assert await world.state(upload) == "COMPLETED"
    assert (await world.complete(upload)).object == done.object


async def test_redis_that_forgets_in_the_middle_does_not_change_it(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)

    async def forget() -> None:
        await world.lose_row(upload)

    world.storage.after("complete", forget)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert await world.state(upload) == "COMPLETED"


@pytest.mark.usefixtures("ended_uploads")
async def test_an_upload_that_storage_lost_is_told_so(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    await world.storage.abort(world.grant(upload))
    failed = await failure(world.complete(upload))
    assert failed.metadata["abort_reason"] == "ABORT_REASON_LOST"
    assert await world.state(upload) == "ABORTED"


@pytest.mark.promise("Complete", "NOT_FOUND")
async def test_an_unknown_id_is_not_found(world: World) -> None:
    failed = await failure(world.complete(upload_pb2.Upload(id="x" * 100)))
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")


@pytest.mark.promise("Complete", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([upload_pb2.Part(part_number=0)], "parts[0].part_number"),
        ([upload_pb2.Part(part_number=4)], "parts[0].part_number"),
        ([upload_pb2.Part(part_number=1)] * 2, "parts[1].part_number"),
        ([upload_pb2.Part(part_number=1, size_bytes=-1)], "parts[0].size_bytes"),
        ([upload_pb2.Part(part_number=1, etag="e" * 129)], "parts[0].etag"),
        ([upload_pb2.Part(part_number=1, checksum=b"abc")], "parts[0].checksum"),
    ],
)
async def test_parts_out_of_bounds_are_refused(
    world: World, parts: list[upload_pb2.Part], field: str
) -> None:
    upload = await world.initialize()
    failed = await failure(world.complete(upload, parts=parts))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == [field]
    assert await world.state(upload) == "ACTIVE"


async def test_a_part_sent_twice_counts_once(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    await world.send(upload, [2])
    done = await world.complete(upload)
    assert done.object.size_bytes == 2 * PART + 7


async def test_redis_away_after_the_request_loses_nothing(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.after("complete", failing(SessionsUnavailable()))
    failed = await failure(world.complete(upload))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "SESSIONS_UNAVAILABLE")
    world.clock.advance(31)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert world.storage.calls.count("complete") == 1


async def test_the_janitor_does_not_complete_with_parts_that_the_caller_refused(
    world: World,
) -> None:
    upload = await world.initialize()
    await world.send(upload)
    named = [upload_pb2.Part(part_number=2, etag="0" * 32)]
    # The worker that found the difference dies before it can report it.
    world.storage.after("list_parts", failing(RuntimeError("the worker dies here")))
    assert (await failure(world.complete(upload, parts=named))).code == "INTERNAL"
    world.clock.advance(60)
    await world.service.janitor.sweep()
    assert await world.state(upload) == "ACTIVE"
    assert (await failure(world.complete(upload, parts=named))).reason == "PARTS_MISMATCH"


async def test_a_request_of_our_own_that_is_still_at_work_is_no_rival(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    # The first request gets no answer; the second learns that another call is at work.
    world.storage.before("complete", failing(CompleteUnknown()), failing(KeyContested()))
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert "abort" not in world.storage.calls
