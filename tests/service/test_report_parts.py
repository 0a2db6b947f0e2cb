"""Tests that ReportParts records what callers say they sent, for Status and Watch alone."""

import asyncio
from typing import Any

import pytest
from google.rpc import error_details_pb2
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.upload import State

from tests.support.calls import call, ranges
from tests.support.storage import Gate
from tests.support.upload_situations import LEASE, Situation, bring_to
from tests.support.world import PART, World, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

NOTHING = upload_pb2.Progress(missing=ranges((1, 3)))


def parts(*numbers: int, **fields: Any) -> list[upload_pb2.Part]:
    """Return parts of the upload that `world.initialize` opens, as they are planned."""
    sizes = {1: PART, 2: PART, 3: 7}
    return [upload_pb2.Part(part_number=n, size_bytes=sizes.get(n, 0), **fields) for n in numbers]


async def report(
    world: World, upload: upload_pb2.Upload, *sent: upload_pb2.Part
) -> pb.ReportPartsResponse:
    request = pb.ReportPartsRequest(upload_id=upload.id, parts=sent)
    answer: pb.ReportPartsResponse = await call(world.stub, "ReportParts", request)
    return answer


async def reported(world: World, upload: upload_pb2.Upload) -> upload_pb2.Progress | None:
    """Return the upload's reported progress, as Status shows it."""
    answer = await call(world.stub, "Status", pb.StatusRequest(upload_id=upload.id))
    return answer.reported if answer.HasField("reported") else None


async def test_it_is_told_by_status_at_once_and_each_part_counts_once(world: World) -> None:
    upload = await world.initialize()
    assert await reported(world, upload) == NOTHING
    answer = await report(world, upload, *parts(3, 1))
    two = upload_pb2.Progress(parts_stored=2, bytes_stored=PART + 7, missing=ranges((2, 2)))
    assert answer.reported == two
    assert [(r.part_number, r.status.code) for r in answer.results] == [(3, 0), (1, 0)]
    assert await reported(world, upload) == two
    assert (await report(world, upload, *parts(1, 1, 3))).reported == two
    whole = upload_pb2.Progress(parts_stored=3, bytes_stored=2 * PART + 7)
    assert (await report(world, upload, *parts(1, 2))).reported == whole
    assert await reported(world, upload) == whole


@in_memory
async def test_storage_is_not_asked(world: World) -> None:
    upload = await world.initialize()
    before = len(world.storage.calls)
    await report(world, upload, *parts(1))
    await reported(world, upload)
    assert world.storage.calls[before:] == []


@in_memory
async def test_what_is_wrong_with_a_part_is_in_its_own_result(world: World) -> None:
    upload = await world.initialize()
    wrong = upload_pb2.Part(part_number=2, size_bytes=7, etag="e" * 129)
    answer = await report(world, upload, *parts(1, 9), wrong, *parts(3, etag='"abc"'))
    assert [r.part_number for r in answer.results] == [1, 9, 2, 3]
    assert [r.status.code for r in answer.results] == [0, 3, 3, 0]
    assert answer.reported.missing == ranges((2, 2))
    fields = [fields_of(r) for r in answer.results]
    assert fields[1:3] == [["parts[1].part_number"], ["parts[2].size_bytes", "parts[2].etag"]]


def fields_of(result: pb.PartResult) -> list[str]:
    """Return the fields that a part's status names; require the details of a call's error."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in result.status.details:
        assert detail.Unpack(info) or detail.Unpack(bad)
    if result.status.code:
        assert (info.reason, info.domain) == ("ERROR_REASON_INVALID_REQUEST", "partway")
        assert result.status.message
    return [violation.field for violation in bad.field_violations]


@in_memory
async def test_parts_that_are_all_wrong_change_nothing(world: World) -> None:
    upload = await world.initialize()
    answer = await report(world, upload, *parts(9, 10))
    assert all(result.status.code == 3 for result in answer.results)
    assert answer.reported == NOTHING


@in_memory
@pytest.mark.parametrize(("checksum", "code"), [(b"crc!", 0), (b"", 0), (b"x" * 32, 3)])
async def test_a_checksum_is_of_the_uploads_kind(world: World, checksum: bytes, code: int) -> None:
    crc32c = upload_pb2.CHECKSUM_ALGORITHM_CRC32C
    upload = await world.initialize(checksum_algorithm=crc32c)
    answer = await report(world, upload, *parts(1, checksum=checksum))
    assert [result.status.code for result in answer.results] == [code]


@in_memory
async def test_the_only_part_of_an_empty_file_can_be_reported(world: World) -> None:
    upload = await world.initialize(0)
    answer = await report(world, upload, upload_pb2.Part(part_number=1))
    assert answer.reported == upload_pb2.Progress(parts_stored=1)


@in_memory
async def test_ten_thousand_parts_are_reported_a_thousand_at_a_time(world: World) -> None:
    upload = await world.initialize(10_000 * PART)
    for first in range(1, 10_001, 1000):
        numbers = range(first, first + 1000)
        sent = [upload_pb2.Part(part_number=n, size_bytes=PART) for n in numbers]
        answer = await report(world, upload, *sent)
    whole = upload_pb2.Progress(parts_stored=10_000, bytes_stored=10_000 * PART)
    assert answer.reported == whole
    assert await reported(world, upload) == whole


async def test_complete_takes_nobodys_word(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload, [1])
    await report(world, upload, *parts(1, 2, 3))
    failed = await failure(world.complete(upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "PARTS_MISSING")
    # Nor does Complete take back any of the reports.
    assert await reported(world, upload) == upload_pb2.Progress(
        parts_stored=3, bytes_stored=2 * PART + 7
    )
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert await reported(world, upload) is None


async def test_a_row_that_was_lost_begins_from_nothing(world: World) -> None:
    upload = await world.initialize()
    await report(world, upload, *parts(1, 2))
    await world.lose_row(upload)
    assert await reported(world, upload) == NOTHING
    assert (await report(world, upload, *parts(3))).reported.parts_stored == 1


@in_memory
async def test_a_row_that_is_lost_in_the_middle_is_to_be_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await world.initialize()
    written = world.sessions.report

    async def lost(*arguments: Any) -> Any:
        monkeypatch.setattr(world.sessions, "report", written)
        await world.lose_row(upload)
        return await written(*arguments)

    monkeypatch.setattr(world.sessions, "report", lost)
    failed = await failure(report(world, upload, *parts(1)))
    assert (failed.code, failed.reason) == ("ABORTED", "UPLOAD_BUSY")
    assert (await report(world, upload, *parts(1))).reported.parts_stored == 1


@in_memory
async def test_an_upload_under_way_to_its_end_still_tells(world: World) -> None:
    upload = await world.initialize()
    await report(world, upload, *parts(2))
    await world.send(upload)
    gate = Gate()
    world.storage.before("complete", gate)
    completing = asyncio.create_task(world.complete(upload))
    await gate.reached.wait()
    assert await world.state(upload) == "COMPLETING"
    middle = await reported(world, upload)
    assert middle is not None and middle.missing == ranges((1, 1), (3, 3))
    gate.open()
    await completing


@in_memory
async def test_a_half_aborted_upload_tells_and_an_aborted_one_does_not(world: World) -> None:
    upload = await world.initialize()
    await report(world, upload, *parts(2))
    await world.sessions.claim(world.grant(upload).sid, State.ABORTING, LEASE)
    assert await reported(world, upload) is not None
    world.clock.advance(LEASE.total_seconds() + 1)
    await world.abort(upload)
    assert await reported(world, upload) is None


@in_memory
@pytest.mark.promise("ReportParts", "NOT_FOUND")
async def test_an_unknown_id_is_not_found(world: World) -> None:
    failed = await failure(report(world, upload_pb2.Upload(id="x" * 100), *parts(1)))
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")


@in_memory
@pytest.mark.promise("ReportParts", "FAILED_PRECONDITION")
@pytest.mark.parametrize(
    "situation",
    [Situation.EXPIRED, Situation.COMPLETING, Situation.COMPLETED, Situation.ABORTED],
    ids=lambda s: s.name,
)
async def test_only_an_active_upload_is_reported_to(world: World, situation: Situation) -> None:
    upload = await bring_to(world, situation, PART + 7)
    part = upload_pb2.Part(part_number=2, size_bytes=7)
    failed = await failure(report(world, upload, part))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")


@in_memory
@pytest.mark.promise("ReportParts", "FAILED_PRECONDITION")
async def test_what_ended_in_the_middle_is_no_longer_reported_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await world.initialize()
    written = world.sessions.report

    async def late(*arguments: Any) -> Any:
        await world.abort(upload)
        return await written(*arguments)

    monkeypatch.setattr(world.sessions, "report", late)
    failed = await failure(report(world, upload, *parts(1)))
    assert (failed.reason, failed.metadata["state"]) == (
        "UPLOAD_NOT_ACTIVE",
        "UPLOAD_STATE_ABORTED",
    )


@in_memory
@pytest.mark.promise("ReportParts", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("field", "outside"),
    [
        ("upload_id", {"upload_id": ""}),
        ("upload_id", {"upload_id": "x" * 8193}),
        ("parts", {"parts": []}),
        ("parts", {"parts": parts(1) * 1001}),
    ],
)
async def test_the_limit_of_each_field_is_where_the_contract_says(
    world: World, field: str, outside: dict[str, Any]
) -> None:
    upload = await world.initialize()
    request = pb.ReportPartsRequest(**{"upload_id": upload.id, "parts": parts(1)} | outside)
    failed = await failure(call(world.stub, "ReportParts", request))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == [field]
    assert await reported(world, upload) == NOTHING
