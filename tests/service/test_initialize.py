"""Tests that Initialize opens one upload per request_id, planned as policy and storage allow."""

import asyncio
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.key_marks import KeyMarks
from partway_server.domain.part_plan import GIB, MIB
from partway_server.domain.policy import Policy
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.memory import MemoryStorage

from tests.support.clock import FakeClock
from tests.support.storage import Gate, failing
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, BOB, PART, SEALING_KEY, World, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)


def a_request_id() -> str:
    return str(uuid.uuid4())


async def initialize(world: World, caller: Any = ALICE, **fields: Any) -> pb.InitializeResponse:
    request = pb.InitializeRequest(**{"size_bytes": 2 * PART + 7, "part_size_bytes": PART} | fields)
    return await world.stub.Initialize(request, metadata=caller)


async def test_the_upload_is_told_whole(world: World) -> None:
    response = await initialize(
        world, file_name="Ferien film.mp4", content_type="video/mp4", fingerprint="abc"
    )
    upload = response.upload
    assert upload.state == upload_pb2.UPLOAD_STATE_ACTIVE
    assert (upload.policy, upload.content_type) == ("default", "video/mp4")
    assert (upload.size_bytes, upload.fingerprint) == (2 * PART + 7, "abc")
    assert (upload.part_count, upload.part_size_bytes, upload.last_part_size_bytes) == (3, PART, 7)
    assert upload.create_time.ToDatetime(world.clock.now().tzinfo) == world.clock.now().replace(
        microsecond=0
    )
    assert upload.expire_time.seconds - upload.create_time.seconds == 6 * 24 * 3600
    day = world.clock.now().strftime("%Y/%m/%d")
    grant = world.grant(upload)
    mark = KeyMarks([SEALING_KEY]).read(grant.bucket, grant.key)
    assert mark is not None
    # Not the deadline, but the last one that an extension can give.
    last = grant.create_time + timedelta(days=30)
    assert (mark.sid, mark.expire_time) == (grant.sid, last)
    stamp = f"{grant.write_token[:8]}{int(last.timestamp()):08x}[0-9a-f]{{12}}"
    expected = f"acme/{day}/{grant.sid}-{stamp}/Ferien_film[.]mp4"
    assert re.fullmatch(expected, upload.object.key)
    assert upload.object.uri == f"s3://{upload.object.bucket}/{upload.object.key}"
    assert (upload.object.etag, upload.object.size_bytes) == ("", 0)
    assert response.limits == pb.Limits(
        max_batch_parts=1000, max_url_lifetime=response.limits.max_url_lifetime
    )
    assert response.limits.max_url_lifetime.ToTimedelta() == timedelta(hours=1)
    assert not response.parts


@in_memory
async def test_defaults_are_filled_in(world: World) -> None:
    upload = (await initialize(world, part_size_bytes=0, size_bytes=100 * MIB)).upload
    assert (upload.policy, upload.content_type) == ("default", "application/octet-stream")
    assert (upload.part_size_bytes, upload.part_count) == (16 * MIB, 7)
    assert upload.object.key.endswith("/file")
    assert upload.checksum_algorithm == upload_pb2.CHECKSUM_ALGORITHM_NONE


async def test_storage_keeps_type_and_metadata(clock: FakeClock) -> None:
    storage = MemoryStorage()
    async with a_memory_world(clock, storage=storage) as world:
        for size in (1000, PART + 7):
            upload = await world.initialize(
                size, content_type="image/png", metadata={"camera": "x 100"}
            )
            await world.send(upload)
            await world.complete(upload)
            stored = storage.objects["uploads", upload.object.key]
            assert stored.content_type == "image/png"
            assert stored.metadata == {"camera": "x 100"}
            assert stored.disposition == "attachment"


# ---- single PUT or multipart


@in_memory
@pytest.mark.parametrize(
    ("size", "wanted", "single", "parts"),
    [
        (0, 0, True, 1),
        (0, PART, True, 1),
        (1, 0, True, 1),
        (16 * MIB, 0, True, 1),
        (16 * MIB + 1, 0, False, 2),
        (PART, PART, True, 1),
        (PART + 1, PART, False, 2),
        (1000, 1, False, 1),
        (1000, 1000, True, 1),
    ],
)
async def test_a_small_file_is_one_put(
    world: World, size: int, wanted: int, single: bool, parts: int
) -> None:
    upload = (await initialize(world, size_bytes=size, part_size_bytes=wanted)).upload
    assert (world.grant(upload).single, upload.part_count) == (single, parts)
    assert world.storage.calls.count("create") == (0 if single else 1)
    await world.send(upload)
    assert (await world.complete(upload)).object.size_bytes == size


async def test_a_file_may_be_sent_in_parts_however_small_it_is(world: World) -> None:
    for size in (1, 1000, PART):
        upload = (await initialize(world, size_bytes=size, mode=MULTIPART)).upload
        assert not world.grant(upload).single
        [part] = await world.presigned(upload)
        assert not part.headers
        await world.send(upload)
        assert (await world.complete(upload)).object.size_bytes == size


async def test_an_empty_file_has_no_parts_to_send_it_in(world: World) -> None:
    failed = await failure(initialize(world, size_bytes=0, mode=MULTIPART))
    assert [v.field for v in failed.details["BadRequest"].field_violations] == ["mode"]


async def test_a_repeat_in_another_mode_is_another_request(world: World) -> None:
    request_id = "5e0c7a52-6d3e-4f4b-9a0f-8a3c1d2e4b5a"
    first = (await initialize(world, request_id=request_id, mode=MULTIPART)).upload
    assert (await initialize(world, request_id=request_id, mode=MULTIPART)).upload == first
    failed = await failure(initialize(world, request_id=request_id))
    assert failed.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("backend", ["wasabi", "ceph"])
async def test_a_put_that_could_be_replayed_or_say_more_than_was_signed_is_not_handed_out(
    clock: FakeClock, backend: str
) -> None:
    storage = MemoryStorage(capabilities=KNOWN[backend])
    async with a_memory_world(clock, storage=storage) as world:
        for size, single in ((0, True), (1, False), (1000, False)):
            upload = await world.initialize(size)
            assert world.grant(upload).single is single
            await world.send(upload)
            assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_one_put_is_no_larger_than_storage_takes_in_one(clock: FakeClock) -> None:
    large = Policy("large", "uploads", single_put_max_bytes=100 * GIB)
    async with a_memory_world(clock, policies=[large]) as world:
        upload = (
            await initialize(world, policy="large", size_bytes=6 * GIB, part_size_bytes=0)
        ).upload
        assert not world.grant(upload).single


# ---- first parts in the response


@in_memory
@pytest.mark.parametrize(
    ("size", "wanted", "numbers"),
    [(2 * PART + 7, 2, [1, 2]), (2 * PART + 7, 1000, [1, 2, 3]), (0, 5, [1]), (1000, 1, [1])],
)
async def test_the_first_parts_come_with_the_answer(
    world: World, size: int, wanted: int, numbers: list[int]
) -> None:
    response = await initialize(world, size_bytes=size, presign_parts=wanted)
    assert [part.part_number for part in response.parts] == numbers
    assert list(response.parts) == await world.presigned(response.upload, numbers)


@in_memory
async def test_no_parts_come_with_the_answer_where_each_needs_its_checksum(world: World) -> None:
    response = await initialize(
        world, presign_parts=3, checksum_algorithm=upload_pb2.CHECKSUM_ALGORITHM_CRC32C
    )
    assert response.upload.state == upload_pb2.UPLOAD_STATE_ACTIVE
    assert not response.parts


@in_memory
@pytest.mark.parametrize("end", ["complete", "abort", "expire"])
async def test_no_parts_come_with_the_repeat_once_the_upload_is_over(
    world: World, end: str
) -> None:
    request_id = a_request_id()
    first = (await initialize(world, request_id=request_id, presign_parts=1)).upload
    await world.send(first)
    if end == "expire":
        world.clock.advance(6 * 24 * 3600)
    else:
        await getattr(world, end)(first)
    again = await initialize(world, request_id=request_id, presign_parts=1)
    assert again.upload.id == first.id
    assert not again.parts


# ---- request_id


@pytest.mark.parametrize("size", [1000, 2 * PART + 7])
async def test_a_repeat_returns_the_first_upload(world: World, size: int) -> None:
    request_id = a_request_id()
    first = await initialize(world, size_bytes=size, request_id=request_id)
    world.clock.advance(60)
    again = await initialize(world, size_bytes=size, request_id=request_id.upper())
    assert again == first
    assert world.storage.calls.count("create") <= 1


@in_memory
async def test_without_a_request_id_a_repeat_opens_another(world: World) -> None:
    assert (await initialize(world)).upload.id != (await initialize(world)).upload.id


@in_memory
async def test_a_request_id_is_each_callers_own(world: World) -> None:
    request_id = a_request_id()
    first = (await initialize(world, request_id=request_id)).upload
    other = (await initialize(world, BOB, request_id=request_id)).upload
    assert world.grant(first).sid != world.grant(other).sid


@in_memory
@pytest.mark.parametrize(
    "other",
    [
        {"size_bytes": 2 * PART + 8},
        {"file_name": "other"},
        {"content_type": "image/png"},
        {"metadata": {"a": "b"}},
        {"part_size_bytes": 6 * MIB},
        {"fingerprint": "other"},
        {"checksum_algorithm": upload_pb2.CHECKSUM_ALGORITHM_SHA256},
        {"policy": "second"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_a_request_id_with_other_values_is_refused(
    world: World, clock: FakeClock, other: dict[str, Any]
) -> None:
    async with a_memory_world(clock, policies=[Policy("second", "uploads")]) as world:
        request_id = a_request_id()
        first = (await initialize(world, request_id=request_id)).upload
        failed = await failure(initialize(world, request_id=request_id, **other))
        assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
        assert failed.metadata == {"request_id": request_id}
        assert (await initialize(world, request_id=request_id)).upload == first


@pytest.mark.promise("Initialize", "ABORTED")
async def test_a_second_call_at_once_is_told_to_come_again(world: World) -> None:
    gate = Gate()
    request_id = a_request_id()
    world.storage.before("create", gate)
    first = asyncio.create_task(initialize(world, request_id=request_id))
    await gate.reached.wait()
    failed = await failure(initialize(world, request_id=request_id))
    assert (failed.code, failed.reason) == ("ABORTED", "UPLOAD_BUSY")
    assert failed.details["RetryInfo"].retry_delay.ToTimedelta() > timedelta()
    gate.open()
    opened = (await first).upload
    assert failed.metadata == {"upload": world.grant(opened).sid}
    assert (await initialize(world, request_id=request_id)).upload == opened
    assert world.storage.calls.count("create") == 1


async def test_many_at_once_open_one_upload(world: World) -> None:
    request_id = a_request_id()
    calls = [initialize(world, request_id=request_id) for _ in range(8)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    opened = (await initialize(world, request_id=request_id)).upload
    good = [a.upload for a in answers if isinstance(a, pb.InitializeResponse)]
    assert good and all(upload == opened for upload in good)
    assert world.storage.calls.count("create") == 1


async def test_an_attempt_whose_reply_from_storage_was_lost_is_carried_on(world: World) -> None:
    request_id = a_request_id()
    world.storage.after("create", failing(StorageUnavailable()))
    failed = await failure(initialize(world, request_id=request_id))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    upload = (await initialize(world, request_id=request_id)).upload
    assert world.storage.calls.count("create") == 1
    assert await world.storage.list_multiparts(world.grant(upload)) == [
        world.grant(upload).multipart_id
    ]
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_an_attempt_that_died_is_carried_on_once_its_lease_is_over(world: World) -> None:
    request_id = a_request_id()
    world.storage.after("create", failing(RuntimeError("the worker dies here")))
    assert (await failure(initialize(world, request_id=request_id))).code == "INTERNAL"
    assert (await failure(initialize(world, request_id=request_id))).reason == "UPLOAD_BUSY"
    world.clock.advance(31)
    upload = (await initialize(world, request_id=request_id)).upload
    assert world.storage.calls.count("create") == 1
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_of_several_strays_of_earlier_attempts_one_is_used(world: World) -> None:
    request_id = a_request_id()
    world.storage.after("create", failing(StorageUnavailable()))
    await failure(initialize(world, request_id=request_id))
    world.clock.advance(60)
    (sid,) = await world.sessions.take_due(10, timedelta(minutes=5))
    row = await world.sessions.get(sid)
    assert row is not None
    await world.storage.create(row.grant, {})
    upload = (await initialize(world, request_id=request_id)).upload
    assert await world.storage.list_multiparts(world.grant(upload)) == [
        world.grant(upload).multipart_id
    ]
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_a_repeat_that_is_held_up_past_its_lease_creates_nothing(world: World) -> None:
    # The first attempt dies after recording its intent. A repeat takes over, lists what is open at
    # the key, and is delayed there until the janitor has forgotten the intent.
    request_id, gate = a_request_id(), Gate()
    world.storage.before("create", failing(RuntimeError("the worker dies here")))
    await failure(initialize(world, request_id=request_id))
    world.clock.advance(121)
    world.storage.after("list_multiparts", gate)
    repeat = asyncio.ensure_future(failure(initialize(world, request_id=request_id)))
    await gate.reached.wait()
    world.clock.advance(36)
    (sid,) = await world.service.janitor.sweep()
    assert await world.sessions.get(sid) is None
    gate.open()
    assert (await repeat).reason == "UPLOAD_BUSY"
    # The only create is that of the dead worker.
    assert world.storage.calls.count("create") == 1


async def test_storage_that_is_down_at_first_does_no_harm(world: World) -> None:
    request_id = a_request_id()
    world.storage.before("create", failing(StorageUnavailable()))
    failed = await failure(initialize(world, request_id=request_id))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert failed.details["RetryInfo"].retry_delay.ToTimedelta() > timedelta()
    upload = (await initialize(world, request_id=request_id)).upload
    assert upload.state == upload_pb2.UPLOAD_STATE_ACTIVE


@in_memory
async def test_storage_that_refuses_the_service_is_told_as_such(world: World) -> None:
    world.storage.before("create", failing(StorageRefused("CreateMultipartUpload", "AccessDenied")))
    failed = await failure(initialize(world))
    assert (failed.code, failed.reason) == ("INTERNAL", "STORAGE_REFUSED")
    assert failed.metadata == {
        "operation": "CreateMultipartUpload",
        "storage_code": "AccessDenied",
        "backend": "default",
        "bucket": "uploads",
    }


@in_memory
async def test_a_repeat_after_redis_lost_all_still_ends_in_one_object(world: World) -> None:
    request_id = a_request_id()
    first = (await initialize(world, request_id=request_id)).upload
    await world.send(first, [1])
    await world.lose_row(first)
    assert await world.state(first) == "ACTIVE"  # This call rebuilds the session record.
    again = (await initialize(world, request_id=request_id)).upload
    assert again.id == first.id
    failed = await failure(initialize(world, request_id=request_id, size_bytes=1))
    assert failed.reason == "REQUEST_ID_REUSED"


# ---- limits of policy and storage


@in_memory
@pytest.mark.promise("Initialize", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"policy": "strict", "size_bytes": 100 * MIB + 1}, "size_bytes"),
        ({"policy": "strict", "content_type": "text/html"}, "content_type"),
        ({"policy": "strict", "content_type": "image/svg+xml; charset=utf-8"}, "content_type"),
        ({"policy": "nobodys"}, "policy"),
        ({"policy": "huge", "size_bytes": 10_000 * 5 * GIB + 1}, "size_bytes"),
    ],
)
async def test_what_the_policy_does_not_allow_is_refused(
    world: World, clock: FakeClock, fields: dict[str, Any], field: str
) -> None:
    strict = Policy(
        "strict", "uploads", max_size_bytes=100 * MIB, content_types=("image/png", "video/*")
    )
    huge = Policy("huge", "uploads", max_size_bytes=2**63 - 1)
    async with a_memory_world(clock, policies=[strict, huge]) as world:
        failed = await failure(initialize(world, **{"content_type": "image/png"} | fields))
        assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
        assert [v.field for v in failed.details["BadRequest"].field_violations] == [field]
        assert world.storage.calls == []
        allowed = {"policy": "strict", "size_bytes": 100 * MIB, "content_type": "Video/MP4; a=b"}
        assert (await initialize(world, **allowed)).upload.policy == "strict"


async def test_all_that_is_wrong_is_told_at_once(clock: FakeClock) -> None:
    strict = Policy("strict", "uploads", max_size_bytes=1, content_types=("image/png",))
    async with a_memory_world(clock, policies=[strict]) as world:
        failed = await failure(initialize(world, policy="strict", content_type="text/html"))
        fields = [v.field for v in failed.details["BadRequest"].field_violations]
        assert fields == ["size_bytes", "content_type"]


@pytest.mark.parametrize("algorithm", ["CRC32C", "SHA256", "CRC64NVME"])
@pytest.mark.parametrize("backend", ["aws", "r2", "wasabi"])
async def test_a_checksum_that_storage_cannot_verify_is_refused(
    clock: FakeClock, backend: str, algorithm: str
) -> None:
    capabilities = KNOWN[backend]
    value = upload_pb2.ChecksumAlgorithm.Value(f"CHECKSUM_ALGORITHM_{algorithm}")
    async with a_memory_world(clock, storage=MemoryStorage(capabilities=capabilities)) as world:
        if algorithm.lower() in capabilities.checksums:
            upload = (await initialize(world, checksum_algorithm=value)).upload
            assert upload.checksum_algorithm == value
        else:
            failed = await failure(initialize(world, checksum_algorithm=value))
            fields = [v.field for v in failed.details["BadRequest"].field_violations]
            assert fields == ["checksum_algorithm"]


async def test_many_policies_do_not_make_an_answer_too_large(clock: FakeClock) -> None:
    many = [Policy(f"{n:03}-{'x' * 60}", "uploads") for n in range(500)]
    async with a_memory_world(clock, policies=many) as world:
        failed = await failure(initialize(world, policy="nobodys"))
        assert failed.reason == "INVALID_REQUEST"
        assert failed.details["BadRequest"].ByteSize() < 4000


# ---- limits of the fields

MULTIPART = pb.UPLOAD_MODE_MULTIPART

INSIDE_AND_OUTSIDE = [
    ("policy", {"policy": "default"}, {"policy": "Default"}),
    ("policy", {"policy": ""}, {"policy": "a" * 65}),
    ("policy", {"policy": "default"}, {"policy": "a b"}),
    ("policy", {"policy": "default"}, {"policy": "default\n"}),
    ("file_name", {"file_name": "é" * 1024}, {"file_name": "é" * 1025}),
    ("file_name", {"file_name": "\0\r\n/\\"}, {"file_name": "a" * 10_000}),
    ("size_bytes", {"size_bytes": 0}, {"size_bytes": -1}),
    ("size_bytes", {"size_bytes": 5 * 1024 * GIB}, {"size_bytes": 5 * 1024 * GIB + 1}),
    ("size_bytes", {"size_bytes": 1}, {"size_bytes": 2**63 - 1}),
    ("content_type", {"content_type": "a/" + "b" * 253}, {"content_type": "a/" + "b" * 254}),
    ("content_type", {"content_type": "a/b;c=d"}, {"content_type": "a"}),
    ("content_type", {"content_type": "a/b ;"}, {"content_type": "a/b\r\nx: y"}),
    ("content_type", {"content_type": "a/b; c=~"}, {"content_type": "a/b; c=é"}),
    ("content_type", {"content_type": "a/b"}, {"content_type": "a/b\n"}),
    ("content_type", {"content_type": "a/b"}, {"content_type": "/b"}),
    (
        "metadata",
        {"metadata": {f"k{n}": "v" for n in range(32)}},
        {"metadata": {f"k{n}": "v" for n in range(33)}},
    ),
    ("metadata", {"metadata": {"k": "v" * 2047}}, {"metadata": {"k": "v" * 2048}}),
    ("metadata", {"metadata": {"k" * 64: "v"}}, {"metadata": {"k" * 65: "v"}}),
    ("metadata", {"metadata": {"a-1": ""}}, {"metadata": {"": "v"}}),
    ("metadata", {"metadata": {"a": "b c"}}, {"metadata": {"a": "b\tc"}}),
    ("metadata", {"metadata": {"a": "b"}}, {"metadata": {"a": " b"}}),
    ("metadata", {"metadata": {"a": "b"}}, {"metadata": {"a": "b "}}),
    ("metadata", {"metadata": {"a": "b"}}, {"metadata": {"a": "é"}}),
    ("metadata", {"metadata": {"a": "b"}}, {"metadata": {"a": "b\r\nc: d"}}),
    ("metadata", {"metadata": {"a": "b"}}, {"metadata": {"A": "b"}}),
    ("metadata", {"metadata": {"a": "b"}}, {"metadata": {"a_b": "c"}}),
    ("metadata", {"metadata": {"partway": "b"}}, {"metadata": {"partway-token": "b"}}),
    ("part_size_bytes", {"part_size_bytes": 0}, {"part_size_bytes": -1}),
    ("part_size_bytes", {"part_size_bytes": 5 * GIB}, {"part_size_bytes": 5 * GIB + 1}),
    ("checksum_algorithm", {"checksum_algorithm": 6}, {"checksum_algorithm": 7}),
    ("checksum_algorithm", {"checksum_algorithm": 0}, {"checksum_algorithm": -1}),
    ("fingerprint", {"fingerprint": "~" * 128}, {"fingerprint": "~" * 129}),
    ("fingerprint", {"fingerprint": " "}, {"fingerprint": "\x7f"}),
    ("fingerprint", {"fingerprint": ""}, {"fingerprint": "é"}),
    ("fingerprint", {"fingerprint": "a"}, {"fingerprint": "a\n"}),
    ("request_id", {"request_id": a_request_id()}, {"request_id": a_request_id()[:-1]}),
    ("request_id", {"request_id": ""}, {"request_id": a_request_id() + "\n"}),
    (
        "request_id",
        {"request_id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12},
        {"request_id": "x" * 36},
    ),
    ("mode", {"mode": 1}, {"mode": 2}),
    ("mode", {"mode": 0}, {"mode": -1}),
    ("size_bytes", {}, {"size_bytes": None}),
    ("presign_parts", {"presign_parts": 1000}, {"presign_parts": 1001}),
    ("presign_parts", {"presign_parts": 0}, {"presign_parts": -1}),
]


@in_memory
@pytest.mark.parametrize(("field", "inside", "outside"), INSIDE_AND_OUTSIDE)
async def test_the_limit_of_each_field_is_where_the_contract_says(
    world: World, field: str, inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    await initialize(world, **inside)
    failed = await failure(initialize(world, **outside))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == [field]
