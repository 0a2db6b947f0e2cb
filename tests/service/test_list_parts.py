"""Tests that ListParts returns what storage has now, page by page."""

import hashlib
from typing import Any

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import StorageUnavailable
from partway_server.rpc.page_tokens import encode as token_of
from partway_server.storage.memory import MemoryStorage

from tests.support.calls import call, ranges
from tests.support.clock import FakeClock
from tests.support.storage import failing
from tests.support.twins import a_memory_world
from tests.support.world import PART, World, content, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)


async def list_parts(
    world: World, upload: upload_pb2.Upload, **fields: Any
) -> pb.ListPartsResponse:
    request = pb.ListPartsRequest(**{"upload_id": upload.id} | fields)
    answer: pb.ListPartsResponse = await call(world.stub, "ListParts", request)
    return answer


async def test_parts_are_told_as_storage_holds_them(world: World) -> None:
    upload = await world.initialize()
    assert (await list_parts(world, upload)).parts == []
    etags = {}
    for part in await world.presigned(upload, [3, 1]):
        body = content(part.part_number, part.size_bytes)
        etags[part.part_number] = (await world.put(part.url, body, part.headers)).etag
    answer = await list_parts(world, upload)
    assert answer.next_page_token == ""
    assert [(p.part_number, p.size_bytes, p.etag) for p in answer.parts] == [
        (1, PART, etags[1]),
        (3, 7, etags[3]),
    ]
    assert await list_parts(world, upload) == answer


async def test_a_part_sent_again_is_told_once(world: World) -> None:
    upload = await world.initialize()
    (part,) = await world.presigned(upload, [3])
    sent = [await world.put(part.url, body, part.headers) for body in (b"1111111", b"2222222")]
    (reported,) = (await list_parts(world, upload)).parts
    # SeaweedFS lists both, with times in whole seconds: either may appear to be the newest.
    assert reported.etag in [reply.etag for reply in sent]


async def test_a_single_put_is_one_part(world: World) -> None:
    upload = await world.initialize(1000)
    assert (await list_parts(world, upload)).parts == []
    await world.send(upload)
    (part,) = (await list_parts(world, upload)).parts
    assert (part.part_number, part.size_bytes) == (1, 1000)
    assert (await list_parts(world, upload, page_token=token_of("1"))).parts == []


@in_memory
async def test_checksums_are_told_where_storage_tells_them(world: World) -> None:
    algorithm = upload_pb2.CHECKSUM_ALGORITHM_SHA256
    upload = await world.initialize(checksum_algorithm=algorithm)
    digest = hashlib.sha256(content(3, 7)).digest()
    request = pb.BatchPresignPartsRequest(
        upload_id=upload.id,
        ranges=ranges((3, 3)),
        checksums=[pb.PartChecksum(part_number=3, checksum=digest)],
    )
    (part,) = (await call(world.stub, "BatchPresignParts", request)).parts
    assert (await world.put(part.url, content(3, 7), part.headers)).status == 200
    assert [p.checksum for p in (await list_parts(world, upload)).parts] == [digest]


async def test_pages_join_without_gap_or_repeat(world: World) -> None:
    upload = await world.initialize(2 * PART + 7)
    await world.send(upload)
    pages = []
    token = ""
    while True:
        answer = await list_parts(world, upload, page_size=1, page_token=token)
        pages.append([part.part_number for part in answer.parts])
        token = answer.next_page_token
        if not token:
            break
    assert pages == [[1], [2], [3]]


async def test_a_page_larger_than_the_limit_is_as_large_as_that(clock: FakeClock) -> None:
    storage = MemoryStorage()
    async with a_memory_world(clock, storage=storage) as world:
        upload = await world.initialize(1001 * PART, part_size_bytes=PART)
        request = pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges((1, 1001)))
        for message in await call(world.stub, "PresignParts", request):
            for part in message.parts:
                storage.put(part.url, part.size_bytes, part.headers)
        assert len((await list_parts(world, upload, page_size=2**31 - 1)).parts) == 1000


async def test_a_page_past_the_end_is_empty(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload, [1])
    for token in ("1", "3", "9999", "10000"):
        answer = await list_parts(world, upload, page_token=token_of(token))
        assert answer == pb.ListPartsResponse()


@in_memory
async def test_storage_that_does_not_answer_is_unavailable(world: World) -> None:
    upload = await world.initialize()
    world.storage.before("list_parts", failing(StorageUnavailable()))
    failed = await failure(list_parts(world, upload))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")


async def test_an_upload_that_was_completed_behind_the_back_is_told_so(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    grant = world.grant(upload)
    await world.storage.complete(grant, await world.storage.list_parts(grant))
    failed = await failure(list_parts(world, upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert failed.metadata["state"] == "UPLOAD_STATE_COMPLETED"


@pytest.mark.promise("ListParts", "FAILED_PRECONDITION")
async def test_an_upload_that_is_over_lists_no_parts(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    await world.complete(upload)
    failed = await failure(list_parts(world, upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert failed.metadata == {
        "upload": world.grant(upload).sid,
        "state": "UPLOAD_STATE_COMPLETED",
    }


@in_memory
@pytest.mark.promise("ListParts", "NOT_FOUND")
async def test_an_unknown_id_is_not_found(world: World) -> None:
    failed = await failure(list_parts(world, upload_pb2.Upload(id="x" * 100)))
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")


@in_memory
@pytest.mark.promise("ListParts", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("field", "inside", "outside"),
    [
        ("upload_id", {}, {"upload_id": ""}),
        ("upload_id", {}, {"upload_id": "x" * 8193}),
        ("page_size", {"page_size": 0}, {"page_size": -1}),
        (
            "page_token",
            {"page_token": token_of("1")},
            {"page_token": token_of("0")},
        ),
        (
            "page_token",
            {"page_token": token_of("10000")},
            {"page_token": token_of("10001")},
        ),
        ("page_token", {"page_token": ""}, {"page_token": token_of("-1")}),
        ("page_token", {"page_token": ""}, {"page_token": "1\n"}),
        ("page_token", {"page_token": ""}, {"page_token": "١"}),
        ("page_token", {"page_token": ""}, {"page_token": "x" * 100_000}),
    ],
)
async def test_the_limit_of_each_field_is_where_the_contract_says(
    world: World, field: str, inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    upload = await world.initialize()
    await list_parts(world, upload, **inside)
    failed = await failure(list_parts(world, upload, **outside))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == [field]
