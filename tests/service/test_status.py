"""Tests that Status returns the state of an upload and what storage has of it."""

import asyncio
from typing import Any

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import StorageUnavailable
from partway_server.storage.base import MultipartNotFound

from tests.support.calls import ABOUT_AN_UPLOAD, call, ranges
from tests.support.storage import failing
from tests.support.upload_situations import Situation, bring_to
from tests.support.world import PART, World, content, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)


async def status(world: World, upload: upload_pb2.Upload, **fields: Any) -> pb.StatusResponse:
    request = pb.StatusRequest(**{"upload_id": upload.id} | fields)
    answer: pb.StatusResponse = await call(world.stub, "Status", request)
    return answer


async def progress(world: World, upload: upload_pb2.Upload) -> upload_pb2.Progress:
    answer = await status(world, upload, view=pb.STATUS_VIEW_PROGRESS)
    assert answer.HasField("progress")
    return answer.progress


async def test_it_tells_the_upload_as_initialize_did(world: World) -> None:
    upload = await world.initialize(fingerprint="abc", content_type="video/mp4")
    answer = await status(world, upload)
    assert answer.upload == upload
    assert not answer.HasField("progress")
    assert await status(world, upload) == answer


@in_memory
async def test_without_progress_storage_is_not_asked(world: World) -> None:
    upload = await world.initialize()
    before = len(world.storage.calls)
    await status(world, upload)
    assert world.storage.calls[before:] == []


async def test_progress_is_what_storage_holds(world: World) -> None:
    upload = await world.initialize()
    assert await progress(world, upload) == upload_pb2.Progress(missing=ranges((1, 3)))
    await world.send(upload, [2])
    assert await progress(world, upload) == upload_pb2.Progress(
        parts_stored=1, bytes_stored=PART, missing=ranges((1, 1), (3, 3))
    )
    await world.send(upload)
    whole = upload_pb2.Progress(parts_stored=3, bytes_stored=2 * PART + 7)
    assert await progress(world, upload) == whole
    await world.complete(upload)
    assert await progress(world, upload) == whole


async def test_progress_of_a_single_put(world: World) -> None:
    upload = await world.initialize(1000)
    assert await progress(world, upload) == upload_pb2.Progress(missing=ranges((1, 1)))
    await world.send(upload)
    whole = upload_pb2.Progress(parts_stored=1, bytes_stored=1000)
    assert await progress(world, upload) == whole


@pytest.mark.parametrize(
    ("situation", "seconds"),
    [
        (Situation.ACTIVE, 0),
        (Situation.COMPLETING, 1),
        (Situation.COMPLETED, 0),
        (Situation.ABORTING, 1),
        (Situation.ABORTED, 0),
    ],
)
@in_memory
async def test_an_upload_that_is_worked_on_says_when_to_ask_again(
    world: World, situation: Situation, seconds: int
) -> None:
    upload = await bring_to(world, situation, PART + 7)
    found = (await status(world, upload)).upload
    assert found.retry_delay.ToSeconds() == seconds
    assert found.HasField("retry_delay") == bool(seconds)


async def test_an_aborted_upload_has_nothing_and_misses_nothing(world: World) -> None:
    upload = await bring_to(world, Situation.ABORTED, PART + 7)
    answer = await status(world, upload, view=pb.STATUS_VIEW_PROGRESS)
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_ABORTED
    assert answer.upload.abort_reason == upload_pb2.ABORT_REASON_REQUESTED
    assert answer.progress == upload_pb2.Progress()


async def test_the_object_is_told_once_it_is_proven(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    assert (await status(world, upload)).upload.object.etag == ""
    done = await world.complete(upload)
    assert (await status(world, upload)).upload == done


async def test_a_completed_upload_behind_the_back_is_found_out(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    grant = world.grant(upload)
    await world.storage.complete(grant, await world.storage.list_parts(grant))
    answer = await status(world, upload, view=pb.STATUS_VIEW_PROGRESS)
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert answer.progress.parts_stored == 3


async def test_an_upload_that_storage_lost_is_found_out(world: World) -> None:
    upload = await world.initialize()
    await world.storage.abort(world.grant(upload))
    answer = await status(world, upload, view=pb.STATUS_VIEW_PROGRESS)
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_ABORTED
    assert answer.upload.abort_reason == upload_pb2.ABORT_REASON_LOST


async def test_a_complete_in_between_is_no_error(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)

    async def complete() -> None:
        await world.complete(upload)

    # The session record said ACTIVE; before storage is asked, another call completes the upload.
    world.storage.before("list_parts", complete)
    answer = await status(world, upload, view=pb.STATUS_VIEW_PROGRESS)
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert answer.progress == upload_pb2.Progress(parts_stored=3, bytes_stored=2 * PART + 7)


async def test_an_abort_in_between_is_no_error(world: World) -> None:
    upload = await world.initialize()

    async def abort() -> None:
        await world.abort(upload)

    world.storage.before("list_parts", abort)
    answer = await status(world, upload, view=pb.STATUS_VIEW_PROGRESS)
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_ABORTED


@in_memory
async def test_storage_that_does_not_answer_is_unavailable(world: World) -> None:
    upload = await world.initialize()
    world.storage.before("list_parts", failing(StorageUnavailable()))
    failed = await failure(status(world, upload, view=pb.STATUS_VIEW_PROGRESS))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")


async def test_many_calls_at_once_agree(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload, [1])
    await world.lose_row(upload)
    answers = await asyncio.gather(*(progress(world, upload) for _ in range(10)))
    assert all(answer == answers[0] for answer in answers)


@in_memory
async def test_a_part_of_another_size_than_planned_counts_as_missing(world: World) -> None:
    upload = await world.initialize()
    other = await world.initialize(3 * PART)
    (part,) = await world.presigned(other, [3])
    # Storage that does not check the length against the signature accepts it.
    url = part.url.replace(world.grant(other).multipart_id, world.grant(upload).multipart_id)
    await world.put(url, content(3, PART), part.headers)
    assert await progress(world, upload) == upload_pb2.Progress(missing=ranges((1, 3)))
    await world.send(upload)
    assert (await progress(world, upload)).parts_stored == 3


@in_memory
@pytest.mark.promise("Status", "NOT_FOUND")
async def test_an_unknown_id_is_not_found(world: World) -> None:
    failed = await failure(status(world, upload_pb2.Upload(id="x" * 100)))
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")


@in_memory
@pytest.mark.promise("Status", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("field", "outside"),
    [
        ("upload_id", {"upload_id": ""}),
        ("upload_id", {"upload_id": "x" * 8193}),
        ("view", {"view": 2}),
        ("view", {"view": -1}),
    ],
)
async def test_the_limit_of_each_field_is_where_the_contract_says(
    world: World, field: str, outside: dict[str, Any]
) -> None:
    upload = await world.initialize()
    failed = await failure(status(world, upload, **outside))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == [field]


@in_memory
@pytest.mark.parametrize("name", ["Status", "ListParts", "PresignParts"])
async def test_storage_that_contradicts_itself_ends_nothing(world: World, name: str) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.storage.before("list_parts", failing(MultipartNotFound()))
    request = ABOUT_AN_UPLOAD[name](upload.id)
    failed = await failure(call(world.stub, name, request))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert await world.state(upload) == "ACTIVE"
    assert "complete" not in world.storage.calls
    await call(world.stub, name, request)
