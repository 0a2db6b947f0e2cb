"""Tests that PresignParts and BatchPresignParts sign requested parts for exactly those bytes."""

import base64
import hashlib
import zlib
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_client._transport.compact_parts import expand
from partway_server.domain.errors import StorageUnavailable
from partway_server.domain.policy import Policy

from tests.support.calls import call, ranges
from tests.support.clock import FakeClock
from tests.support.storage import failing
from tests.support.twins import a_memory_world
from tests.support.world import PART, World, content, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

BOTH = ["PresignParts", "BatchPresignParts"]
both = pytest.mark.parametrize("name", BOTH)

REQUESTS: dict[str, Any] = {
    "PresignParts": pb.PresignPartsRequest,
    "BatchPresignParts": pb.BatchPresignPartsRequest,
}

CRC32C = upload_pb2.CHECKSUM_ALGORITHM_CRC32C
SHA256 = upload_pb2.CHECKSUM_ALGORITHM_SHA256
CRC64NVME = upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME


async def presign(
    world: World, name: str, upload: upload_pb2.Upload, **fields: Any
) -> list[upload_pb2.PresignedPart]:
    answer = await call(world.stub, name, REQUESTS[name](upload_id=upload.id, **fields))
    messages = answer if name == "PresignParts" else [answer]
    return [part for message in messages for part in message.parts]


def sha256(number: int, size: int) -> pb.PartChecksum:
    digest = hashlib.sha256(content(number, size)).digest()
    return pb.PartChecksum(part_number=number, checksum=digest)


@both
async def test_each_part_says_what_to_send_where(world: World, name: str) -> None:
    upload = await world.initialize()
    parts = await presign(world, name, upload)
    assert [(p.part_number, p.offset_bytes, p.size_bytes) for p in parts] == [
        (1, 0, PART),
        (2, PART, PART),
        (3, 2 * PART, 7),
    ]
    for part in parts:
        assert part.method == "PUT"
        assert not part.headers
        reply = await world.put(part.url, content(part.part_number, part.size_bytes), part.headers)
        assert reply.status == 200


@in_memory
@both
async def test_a_repeat_gives_the_same_parts(world: World, name: str) -> None:
    upload = await world.initialize()
    assert await presign(world, name, upload) == await presign(world, name, upload)


@in_memory
@both
async def test_selected_parts_come_in_the_order_of_the_request(world: World, name: str) -> None:
    upload = await world.initialize(9 * PART)
    await world.send(upload, [5])
    selected = ranges((7, 9), (1, 2), (5, 5), (2, 2))
    parts = await presign(world, name, upload, ranges=selected)
    assert [part.part_number for part in parts] == [7, 8, 9, 1, 2, 5, 2]


@both
async def test_without_a_selection_come_the_parts_that_storage_does_not_hold(
    world: World, name: str
) -> None:
    upload = await world.initialize()
    await world.send(upload, [1, 3])
    assert [part.part_number for part in await presign(world, name, upload)] == [2]
    await world.send(upload)
    assert await presign(world, name, upload) == []


@in_memory
async def test_a_stream_of_nothing_is_one_message_that_says_so(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    request = pb.PresignPartsRequest(upload_id=upload.id)
    assert await call(world.stub, "PresignParts", request) == [pb.PresignPartsResponse()]


@in_memory
@both
async def test_selected_parts_cost_no_question_to_storage(world: World, name: str) -> None:
    upload = await world.initialize()
    before = len(world.storage.calls)
    await presign(world, name, upload, ranges=ranges((1, 3)))
    assert world.storage.calls[before:] == ["presigner"]


@in_memory
async def test_a_batch_without_a_selection_is_at_most_1000_parts(world: World) -> None:
    upload = await world.initialize(1500 * PART)
    parts = await presign(world, "BatchPresignParts", upload)
    assert [part.part_number for part in parts] == list(range(1, 1001))


@both
async def test_other_bytes_than_those_signed_are_refused(world: World, name: str) -> None:
    upload = await world.initialize()
    (part,) = await presign(world, name, upload, ranges=ranges((3, 3)))
    for size in (6, 8):
        headers = {**part.headers, "content-length": str(size)}
        reply = await world.put(part.url, b"." * size, headers)
        assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")


# ---- lifetime of URLs


@in_memory
@both
@pytest.mark.parametrize(("wanted", "seconds"), [(None, 900), (120, 120), (3600, 3600)])
async def test_urls_work_as_long_as_is_wanted(
    world: World, name: str, wanted: int | None, seconds: int
) -> None:
    upload = await world.initialize()
    fields = {} if wanted is None else {"url_lifetime": Duration(seconds=wanted)}
    end = int(world.clock.now().timestamp()) + seconds
    parts = await presign(world, name, upload, **fields)
    assert {part.expire_time.seconds for part in parts} == {end}


@in_memory
@both
async def test_the_policy_caps_the_lifetime(world: World, name: str) -> None:
    upload = await world.initialize()
    failed = await failure(presign(world, name, upload, url_lifetime=Duration(seconds=3601)))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == ["url_lifetime"]


async def test_a_policy_that_was_removed_leaves_its_uploads_short_urls(clock: FakeClock) -> None:
    async with a_memory_world(clock, policies=[Policy("old", "uploads")]) as before:
        upload = await before.initialize(policy="old")
        row = await before.sessions.get(before.grant(upload).sid)
    assert row is not None
    async with a_memory_world(clock) as after:
        await after.sessions.insert(row, clock.now() + timedelta(days=1))
        parts = await presign(after, "PresignParts", upload, ranges=ranges((1, 3)))
        assert parts[0].expire_time.seconds == int(clock.now().timestamp()) + 900
        failed = await failure(
            presign(
                after,
                "PresignParts",
                upload,
                ranges=ranges((1, 1)),
                url_lifetime=Duration(seconds=7 * 24 * 3600),
            )
        )
        assert failed.reason == "INVALID_REQUEST"


# ---- checksums


@both
@pytest.mark.parametrize("size", [1000, PART + 7])
@pytest.mark.usefixtures("verified_checksums")
async def test_a_signed_checksum_is_verified_by_storage(world: World, name: str, size: int) -> None:
    upload = await world.initialize(size, checksum_algorithm=SHA256)
    sizes = {n: min(PART, size - (n - 1) * PART) for n in range(1, upload.part_count + 1)}
    parts = await presign(world, name, upload, checksums=[sha256(*item) for item in sizes.items()])
    for part in parts:
        digest = base64.b64encode(sha256(part.part_number, part.size_bytes).checksum).decode()
        assert part.headers["x-amz-checksum-sha256"] == digest
        other = await world.put(part.url, b"x" * part.size_bytes, part.headers)
        assert other.status == 400, other
        right = content(part.part_number, part.size_bytes)
        assert (await world.put(part.url, right, part.headers)).status == 200
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@in_memory
@both
@pytest.mark.parametrize(
    ("algorithm", "numbers", "given"),
    [
        (SHA256, (1, 3), []),
        (SHA256, (1, 3), [1, 2]),
        (SHA256, (1, 2), [1, 2, 3]),
        (0, (1, 1), [1]),
    ],
)
async def test_there_is_one_checksum_for_each_selected_part(
    world: World, name: str, algorithm: int, numbers: tuple[int, int], given: list[int]
) -> None:
    upload = await world.initialize(checksum_algorithm=algorithm)
    checksums = [pb.PartChecksum(part_number=n, checksum=b"x" * 32) for n in given]
    failed = await failure(
        presign(world, name, upload, ranges=ranges(numbers), checksums=checksums)
    )
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == ["checksums"]


@in_memory
@both
@pytest.mark.parametrize(("algorithm", "size"), [(CRC32C, 4), (CRC64NVME, 8), (SHA256, 32)])
async def test_a_checksum_is_as_long_as_its_algorithm_says(
    world: World, name: str, algorithm: int, size: int
) -> None:
    upload = await world.initialize(checksum_algorithm=algorithm)

    def ask(length: int) -> Any:
        checksums = [pb.PartChecksum(part_number=1, checksum=b"x" * length)]
        return presign(world, name, upload, ranges=ranges((1, 1)), checksums=checksums)

    assert len(await ask(size)) == 1
    for length in (0, size - 1, size + 1):
        failed = await failure(ask(length))
        assert [v.field for v in failed.details["BadRequest"].field_violations] == ["checksums"]


@in_memory
async def test_a_part_that_was_sent_needs_no_checksum_any_more(world: World) -> None:
    upload = await world.initialize(PART + 7, checksum_algorithm=SHA256)
    first, second = sha256(1, PART), sha256(2, 7)
    (part,) = await presign(world, "PresignParts", upload, ranges=ranges((1, 1)), checksums=[first])
    assert (await world.put(part.url, content(1, PART), part.headers)).status == 200
    (part,) = await presign(world, "PresignParts", upload, checksums=[second])
    assert part.part_number == 2


# ---- errors


@in_memory
@both
async def test_storage_that_does_not_answer_is_unavailable(world: World, name: str) -> None:
    upload = await world.initialize()
    world.storage.before("list_parts", failing(StorageUnavailable()))
    failed = await failure(presign(world, name, upload))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert len(await presign(world, name, upload)) == 3


@both
async def test_an_upload_that_storage_lost_is_told_so(world: World, name: str) -> None:
    upload = await world.initialize()
    await world.storage.abort(world.grant(upload))
    failed = await failure(presign(world, name, upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert failed.metadata == {
        "upload": world.grant(upload).sid,
        "state": "UPLOAD_STATE_ABORTED",
        "abort_reason": "ABORT_REASON_LOST",
    }


@in_memory
@pytest.mark.promise("PresignParts", "FAILED_PRECONDITION")
@pytest.mark.promise("BatchPresignParts", "FAILED_PRECONDITION")
@both
async def test_an_upload_that_is_over_has_no_parts(world: World, name: str) -> None:
    upload = await world.initialize()
    await world.abort(upload)
    failed = await failure(presign(world, name, upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert failed.metadata == {
        "upload": world.grant(upload).sid,
        "state": "UPLOAD_STATE_ABORTED",
        "abort_reason": "ABORT_REASON_REQUESTED",
    }


@in_memory
@pytest.mark.promise("PresignParts", "NOT_FOUND")
@pytest.mark.promise("BatchPresignParts", "NOT_FOUND")
@both
async def test_an_unknown_id_is_not_found(world: World, name: str) -> None:
    failed = await failure(presign(world, name, upload_pb2.Upload(id="x" * 100)))
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
    assert failed.metadata == {}


def numbered(first: int, last: int) -> list[pb.PartChecksum]:
    return [
        pb.PartChecksum(part_number=n, checksum=zlib.crc32(b"%d" % n).to_bytes(4, "big"))
        for n in range(first, last + 1)
    ]


# (name, the field that is wrong, a request just inside, a request just outside)
INSIDE_AND_OUTSIDE = [
    *(
        (name, field, inside, outside)
        for name in BOTH
        for field, inside, outside in (
            ("upload_id", {}, {"upload_id": ""}),
            ("upload_id", {}, {"upload_id": "x" * 8193}),
            ("ranges[0]", {"ranges": ranges((1, 1))}, {"ranges": ranges((0, 1))}),
            ("ranges[0]", {"ranges": ranges((2, 2))}, {"ranges": ranges((2, 1))}),
            ("ranges[0]", {"ranges": ranges((10_000, 10_000))}, {"ranges": ranges((1, 10_001))}),
            ("ranges[1]", {"ranges": ranges((1, 1))}, {"ranges": ranges((1, 1), (-5, -1))}),
            ("ranges[0]", {"ranges": ranges((1, 1))}, {"ranges": ranges((-(2**31), 2**31 - 1))}),
            (
                "url_lifetime",
                {"url_lifetime": Duration(seconds=120)},
                {"url_lifetime": Duration(seconds=119, nanos=999_999_999)},
            ),
            (
                "url_lifetime",
                {"url_lifetime": Duration(seconds=604_800)},
                {"url_lifetime": Duration(seconds=604_801)},
            ),
            ("url_lifetime", {}, {"url_lifetime": Duration()}),
            ("url_lifetime", {}, {"url_lifetime": Duration(seconds=-(2**63))}),
            (
                "checksums[1].part_number",
                {"ranges": ranges((1, 2)), "checksums": numbered(1, 2)},
                {"ranges": ranges((1, 2)), "checksums": numbered(1, 1) * 2},
            ),
            ("checksums[0].part_number", {}, {"checksums": numbered(0, 0)}),
            ("checksums[0].part_number", {}, {"checksums": numbered(10_001, 10_001)}),
        )
    ),
    (
        "PresignParts",
        "ranges",
        {"ranges": ranges((1, 1)) * 1000},
        {"ranges": ranges((1, 1)) * 1001},
    ),
    (
        "PresignParts",
        "ranges",
        {"ranges": ranges((1, 10_000))},
        {"ranges": ranges((1, 10_000), (1, 1))},
    ),
    ("BatchPresignParts", "ranges", {"ranges": ranges((1, 1000))}, {"ranges": ranges((1, 1001))}),
    ("PresignParts", "checksums", {"checksums": numbered(1, 10_000)}, None),
    (
        "BatchPresignParts",
        "checksums",
        {"ranges": ranges((1, 1000)), "checksums": numbered(1, 1000)},
        {"ranges": ranges((1, 1000)), "checksums": numbered(1, 1001)},
    ),
]


@pytest.mark.promise("PresignParts", "INVALID_ARGUMENT")
@pytest.mark.promise("BatchPresignParts", "INVALID_ARGUMENT")
@pytest.mark.parametrize(("name", "field", "inside", "outside"), INSIDE_AND_OUTSIDE)
async def test_the_limit_of_each_field_is_where_the_contract_says(
    clock: FakeClock,
    name: str,
    field: str,
    inside: dict[str, Any],
    outside: dict[str, Any] | None,
) -> None:
    week = Policy("week", "uploads", max_url_seconds=604_800)
    async with a_memory_world(clock, policies=[week]) as world:
        with_checksums = CRC32C if "checksums" in inside else 0
        upload = await world.initialize(
            10_000 * PART, policy="week", checksum_algorithm=with_checksums
        )
        await call(world.stub, name, REQUESTS[name](**{"upload_id": upload.id} | inside))
        if outside is None:
            return
        request = REQUESTS[name](**{"upload_id": upload.id} | outside)
        failed = await failure(call(world.stub, name, request))
        assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
        fields = [v.field for v in failed.details["BadRequest"].field_violations]
        assert field in fields[:2], fields


@in_memory
@both
async def test_a_range_past_the_last_part_is_refused(world: World, name: str) -> None:
    upload = await world.initialize()
    selected = ranges((1, 3), (3, 4))
    failed = await failure(presign(world, name, upload, ranges=selected))
    assert [v.field for v in failed.details["BadRequest"].field_violations] == ["ranges[1]"]


# ---- the compact form


@both
async def test_compact_parts_are_the_same_parts(world: World, name: str) -> None:
    upload = await world.initialize(3 * PART + 7)
    selected = ranges((3, 4), (1, 1))
    plain = await presign(world, name, upload, ranges=selected)
    request = REQUESTS[name](upload_id=upload.id, ranges=selected, compact=True)
    answer = await call(world.stub, name, request)
    messages = answer if name == "PresignParts" else [answer]
    # Storage in memory does not sign, so its URLs have no signature to tell apart.
    if plain[0].url.startswith("memory:"):
        assert [part for message in messages for part in message.parts] == plain
        return
    assert not any(message.parts for message in messages)
    parts = [part for message in messages for part in expand(message.compact_parts, {})]
    assert [(p.part_number, p.offset_bytes, p.size_bytes) for p in parts] == [
        (p.part_number, p.offset_bytes, p.size_bytes) for p in plain
    ]
    for part in parts:
        body = content(part.part_number, part.size_bytes)
        assert (await world.put(part.url, body, part.headers)).status == 200


@both
async def test_compact_parts_with_checksums_are_accepted_by_storage(
    world: World, name: str
) -> None:
    upload = await world.initialize(checksum_algorithm=SHA256)
    named = [sha256(1, PART), sha256(2, PART)]
    request = REQUESTS[name](
        upload_id=upload.id, ranges=ranges((1, 2)), checksums=named, compact=True
    )
    answer = await call(world.stub, name, request)
    messages = answer if name == "PresignParts" else [answer]
    for message in messages:
        checksums = {each.part_number: each.checksum for each in named}
        for part in expand(message.compact_parts, checksums):
            body = content(part.part_number, part.size_bytes)
            assert (await world.put(part.url, body, part.headers)).status == 200


@both
async def test_a_single_put_has_no_compact_form(world: World, name: str) -> None:
    upload = await world.initialize(7)
    request = REQUESTS[name](upload_id=upload.id, compact=True)
    answer = await call(world.stub, name, request)
    [message] = answer if name == "PresignParts" else [answer]
    assert not message.HasField("compact_parts")
    [part] = message.parts
    assert (await world.put(part.url, content(1, 7), part.headers)).status == 200


@in_memory
async def test_a_compact_stream_of_nothing_ends(world: World) -> None:
    upload = await world.initialize(PART + 7)
    await world.send(upload, [1, 2])
    request = pb.PresignPartsRequest(upload_id=upload.id, compact=True)
    [message] = await call(world.stub, "PresignParts", request)
    assert message == pb.PresignPartsResponse()
