"""Tests checksums of parts and of the whole object, from Initialize to Complete."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anycrc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.checksum import Checksum
from partway_server.domain.policy import Policy
from partway_server.domain.upload import Manifest, State
from partway_server.storage.base import CompleteUnknown
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.memory import MEMORY, MemoryStorage
from partway_server.storage.s3_codes import DAMAGED_CODES

from tests.support.clock import FakeClock
from tests.support.storage import failing
from tests.support.stores import DAMAGE
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, PART, World, content, failure

BEST = upload_pb2.CHECKSUM_ALGORITHM_BEST
NONE = upload_pb2.CHECKSUM_ALGORITHM_NONE
CRC64NVME = upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME
CRC32C = upload_pb2.CHECKSUM_ALGORITHM_CRC32C
SHA256 = upload_pb2.CHECKSUM_ALGORITHM_SHA256
MD5 = upload_pb2.CHECKSUM_ALGORITHM_MD5

SMALL = Policy("small", "uploads", single_put_max_bytes=0)
"""Makes even a small file a multipart upload, because the memory twin's CRCs are slow."""

WRONG = b"\1" * 8


def crc64nvme(body: bytes) -> bytes:
    value: int = anycrc.Model("CRC64-NVME").calc(body)
    return value.to_bytes(8)


COMPUTE: Mapping[int, Callable[[bytes], bytes]] = {
    CRC64NVME: crc64nvme,
    CRC32C: lambda body: anycrc.Model("CRC32C").calc(body).to_bytes(4),
    SHA256: lambda body: hashlib.sha256(body).digest(),
    MD5: lambda body: hashlib.md5(body).digest(),
}


def checksum_of(upload: upload_pb2.Upload, number: int = 1) -> bytes:
    last = number == upload.part_count
    size = upload.last_part_size_bytes if last else upload.part_size_bytes
    return COMPUTE[upload.checksum_algorithm](content(number, size))


def whole_of(upload: upload_pb2.Upload) -> bytes:
    parts = [content(n, upload.part_size_bytes) for n in range(1, upload.part_count)]
    return crc64nvme(b"".join([*parts, content(upload.part_count, upload.last_part_size_bytes)]))


async def signed(
    world: World, upload: upload_pb2.Upload, numbers: range
) -> list[upload_pb2.PresignedPart]:
    request = pb.BatchPresignPartsRequest(
        upload_id=upload.id,
        ranges=[upload_pb2.PartRange(first=numbers[0], last=numbers[-1])],
        checksums=[
            pb.PartChecksum(part_number=n, checksum=checksum_of(upload, n)) for n in numbers
        ],
    )
    return list((await world.stub.BatchPresignParts(request, metadata=ALICE)).parts)


async def send(world: World, upload: upload_pb2.Upload, flip: int = 0) -> None:
    """Send all parts with their checksums; alter a byte of part `flip`."""
    for part in await signed(world, upload, range(1, upload.part_count + 1)):
        body = bytearray(content(part.part_number, part.size_bytes))
        if part.part_number == flip:
            body[0] ^= 1
        reply = await world.put(part.url, bytes(body), part.headers)
        assert reply.status == 200, reply


def named(upload: upload_pb2.Upload) -> list[upload_pb2.Part]:
    return [
        upload_pb2.Part(part_number=n, checksum=checksum_of(upload, n))
        for n in range(1, upload.part_count + 1)
    ]


# ---- choice of the algorithm


@pytest.fixture
def world(world: World, request: pytest.FixtureRequest) -> World:
    """Skip the test of a checksum that storage does not verify: CRC64NVME, unless it names one."""
    named = request.node.callspec.params.get("algorithm", CRC64NVME)
    name = upload_pb2.ChecksumAlgorithm.Name(named).removeprefix("CHECKSUM_ALGORITHM_").lower()
    if name not in {str(each) for each in world.storage.capabilities_of("default").checksums}:
        pytest.skip(f"the record says that it does not verify {name}")
    return world


@pytest.mark.parametrize(
    ("checksums", "md5_etags", "chosen"),
    [
        ({Checksum.SHA256, Checksum.CRC32C, Checksum.MD5, Checksum.CRC64NVME}, True, CRC64NVME),
        ({Checksum.SHA256, Checksum.CRC32C, Checksum.MD5}, True, CRC32C),
        ({Checksum.SHA256, Checksum.MD5}, True, SHA256),
        ({Checksum.MD5}, False, MD5),
        (set(), True, MD5),
        (set(), False, NONE),
    ],
)
async def test_the_best_is_the_first_that_storage_can_do(
    clock: FakeClock, checksums: set[Checksum], md5_etags: bool, chosen: int
) -> None:
    can = replace(MEMORY, checksums=frozenset(checksums), md5_etags=md5_etags)
    async with a_memory_world(clock, storage=MemoryStorage(capabilities=can)) as world:
        upload = await world.initialize(checksum_algorithm=BEST)
        assert upload.checksum_algorithm == chosen
        unasked = await world.initialize()
        assert unasked.checksum_algorithm == NONE


async def test_the_best_is_the_same_when_asked_again(world: World) -> None:
    again: dict[str, Any] = {
        "request_id": "3f0c7a52-6d3e-4f4b-9a0f-8a3c1d2e4b5a",
        "checksum_algorithm": BEST,
    }
    first = await world.initialize(**again)
    assert first.checksum_algorithm == CRC64NVME
    assert await world.initialize(**again) == first
    failed = await failure(world.initialize(**{**again, "checksum_algorithm": CRC64NVME}))
    assert failed.reason == "REQUEST_ID_REUSED"
    failed = await failure(world.initialize(**again, checksum=WRONG))
    assert failed.reason == "REQUEST_ID_REUSED"


# ---- parts


@pytest.mark.parametrize("algorithm", COMPUTE, ids=upload_pb2.ChecksumAlgorithm.Name)
@pytest.mark.parametrize("size", [3000, PART + 7])
async def test_storage_refuses_other_bytes_than_were_signed_for(
    world: World, lacks: Mapping[str, str], algorithm: int, size: int
) -> None:
    upload = await world.initialize(size, checksum_algorithm=algorithm)
    last = upload.part_count
    [part] = await signed(world, upload, range(last, last + 1))
    body = content(last, part.size_bytes)
    refused = await world.put(part.url, b"?" + body[1:], part.headers)
    assert refused.status == 400
    assert DAMAGE in lacks or refused.code in DAMAGED_CODES
    assert (await world.put(part.url, body, part.headers)).status == 200


async def test_the_only_part_is_signed_at_once_with_the_checksum_of_the_whole(
    world: World,
) -> None:
    whole = crc64nvme(content(1, 3000))
    request = pb.InitializeRequest(
        file_name="a", size_bytes=3000, checksum_algorithm=BEST, checksum=whole, presign_parts=9
    )
    opened = await world.stub.Initialize(request, metadata=ALICE)
    [part] = opened.parts
    assert (await world.put(part.url, content(1, 3000), part.headers)).status == 200
    done = (await world.complete(opened.upload)).object
    assert (done.checksum, done.checksum_algorithm) == (whole, CRC64NVME)
    status = await world.stub.Status(pb.StatusRequest(upload_id=opened.upload.id), metadata=ALICE)
    assert status.upload.object == done


def unverifying(**changes: Any) -> Capabilities:
    return replace(MEMORY, checksums=frozenset(), whole_checksum=False, **changes)


@pytest.mark.parametrize("policy", ["default", "small"])
async def test_a_byte_that_storage_let_pass_is_found_by_the_entity_tag(
    clock: FakeClock, policy: str
) -> None:
    storage = MemoryStorage(capabilities=unverifying())
    async with a_memory_world(clock, storage=storage, policies=[SMALL]) as world:
        upload = await world.initialize(3000, policy=policy, checksum_algorithm=MD5)
        await send(world, upload, flip=1)
        failed = await failure(world.complete(upload, parts=named(upload)))
        assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "PARTS_MISMATCH")
        [wrong] = failed.details["PreconditionFailure"].violations
        assert (wrong.subject, wrong.description) == ("parts/1-1", "checksum differs")
        assert await world.state(upload) == "ACTIVE"
        await send(world, upload)
        done = await world.complete(upload, parts=named(upload))
        assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
        assert done.object == (await world.complete(upload, parts=named(upload))).object


async def test_of_several_parts_the_one_with_the_byte_is_named(clock: FakeClock) -> None:
    storage = MemoryStorage(capabilities=unverifying())
    async with a_memory_world(clock, storage=storage) as world:
        upload = await world.initialize(checksum_algorithm=MD5)
        await send(world, upload, flip=2)
        failed = await failure(world.complete(upload, parts=named(upload)))
        [wrong] = failed.details["PreconditionFailure"].violations
        assert wrong.subject == "parts/2-2"


@pytest.mark.parametrize("policy", ["default", "small"])
async def test_an_entity_tag_that_is_no_md5_refuses_nothing(clock: FakeClock, policy: str) -> None:
    storage = MemoryStorage()
    storage.encrypted = True
    async with a_memory_world(clock, storage=storage, policies=[SMALL]) as world:
        upload = await world.initialize(3000, policy=policy, checksum_algorithm=MD5)
        await send(world, upload)
        done = await world.complete(upload, parts=named(upload))
        assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
        assert world.storage.calls.count("etags_are_md5") == 1
        assert "delete" not in world.storage.calls


async def test_storage_is_asked_about_entity_tags_only_where_one_differs(world: World) -> None:
    upload = await world.initialize(3000, checksum_algorithm=MD5)
    await send(world, upload)
    await world.complete(upload, parts=named(upload))
    assert "etags_are_md5" not in world.storage.calls


# ---- the whole object


async def test_storage_verifies_the_whole_when_it_joins_the_parts(world: World) -> None:
    upload = await world.initialize(PART + 7, checksum_algorithm=CRC64NVME)
    await send(world, upload)
    failed = await failure(world.complete(upload, checksum=WRONG))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "PARTS_REFUSED")
    assert failed.metadata["storage_code"] == "BadDigest"
    assert await world.state(upload) == "ACTIVE"
    whole = whole_of(upload)
    done = await world.complete(upload, checksum=whole, parts=named(upload))
    assert (done.object.checksum, done.object.checksum_algorithm) == (whole, CRC64NVME)
    assert (await world.complete(upload, checksum=whole)).object == done.object
    assert (await world.complete(upload)).object == done.object


async def test_a_repeat_that_no_longer_knows_the_entity_tags_is_of_the_same_parts(
    world: World,
) -> None:
    """Cover parts named with a checksum: it identifies the bytes, so the ETag adds nothing."""
    upload = await world.initialize(PART + 7, checksum_algorithm=CRC64NVME)
    await send(world, upload)
    request = pb.ListPartsRequest(upload_id=upload.id)
    listed = await world.stub.ListParts(request, metadata=ALICE)
    tags = {part.part_number: part.etag for part in listed.parts}
    parts = named(upload)
    for part in parts:
        part.etag = tags[part.part_number]
    done = await world.complete(upload, parts=parts)
    assert (await world.complete(upload, parts=named(upload))).object == done.object
    parts[0].checksum = WRONG
    failed = await failure(world.complete(upload, parts=parts))
    assert failed.reason == "COMPLETED_OTHERWISE"


async def test_a_repeat_with_another_checksum_is_refused(world: World) -> None:
    upload = await world.initialize(3000, checksum_algorithm=CRC64NVME)
    await send(world, upload)
    await world.complete(upload)
    failed = await failure(world.complete(upload, checksum=WRONG))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "COMPLETED_OTHERWISE")
    await world.lose_row(upload)
    failed = await failure(world.complete(upload, checksum=WRONG))
    assert failed.reason == "COMPLETED_OTHERWISE"
    assert (await world.complete(upload)).object.checksum == whole_of(upload)


async def test_a_single_put_of_other_bytes_is_removed_so_that_it_can_be_sent_again(
    world: World,
) -> None:
    upload = await world.initialize(3000, checksum_algorithm=CRC64NVME)
    await send(world, upload)
    failed = await failure(world.complete(upload, checksum=WRONG))
    assert failed.reason == "PARTS_MISMATCH"
    assert await world.storage.head(world.grant(upload)) is None
    await send(world, upload)
    done = await world.complete(upload, checksum=whole_of(upload))
    assert done.object.checksum == whole_of(upload)


async def test_a_part_of_another_checksum_is_found_where_storage_lists_them(
    clock: FakeClock,
) -> None:
    async with a_memory_world(clock, policies=[SMALL]) as world:
        upload = await world.initialize(3000, policy="small", checksum_algorithm=CRC64NVME)
        await send(world, upload)
        failed = await failure(world.complete(upload, checksum=WRONG))
        assert failed.reason == "PARTS_MISMATCH"
        assert "complete" not in world.storage.calls


async def test_the_checksum_told_to_initialize_holds_for_every_complete(world: World) -> None:
    request = {"checksum_algorithm": CRC64NVME, "checksum": WRONG}
    upload = await world.initialize(PART + 7, **request)
    await send(world, upload)
    await world.lose_row(upload)
    assert (await failure(world.complete(upload))).metadata["storage_code"] == "BadDigest"
    failed = await failure(world.complete(upload, checksum=whole_of(upload)))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    [wrong] = failed.details["BadRequest"].field_violations
    assert (wrong.field, wrong.description) == (
        "checksum",
        "differs from the checksum given to Initialize",
    )


async def test_the_janitor_has_the_whole_verified_that_a_dead_worker_was_told(
    world: World,
) -> None:
    """Kill the worker before it calls storage; the session record remembers enough to resume."""
    for checksum, state in ((None, "COMPLETED"), (WRONG, "ACTIVE")):
        upload = await world.initialize(PART + 7, checksum_algorithm=CRC64NVME)
        await send(world, upload)
        world.storage.after("list_parts", failing(RuntimeError("the worker dies here")))
        reported = checksum or whole_of(upload)
        call = world.complete(upload, parts=named(upload), checksum=reported)
        assert (await failure(call)).code == "INTERNAL"
        world.clock.advance(60)
        await world.service.janitor.sweep()
        assert await world.state(upload) == state


async def test_who_takes_over_without_a_checksum_has_that_of_the_first_verified(
    world: World,
) -> None:
    upload = await world.initialize(PART + 7, checksum_algorithm=CRC64NVME)
    await send(world, upload)
    manifest = Manifest(checksum=WRONG).pack()
    sid = world.grant(upload).sid
    await world.sessions.claim(sid, State.COMPLETING, timedelta(seconds=30), manifest)
    world.clock.advance(60)
    assert (await failure(world.complete(upload))).metadata["storage_code"] == "BadDigest"
    # That Complete is over and forgotten: this one names no checksum.
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_a_lost_reply_to_the_join_gives_the_same_answer(world: World) -> None:
    upload = await world.initialize(PART + 7, checksum_algorithm=CRC64NVME)
    await send(world, upload)
    world.storage.after("complete", failing(CompleteUnknown()))
    done = await world.complete(upload, checksum=whole_of(upload))
    assert done.object.checksum == whole_of(upload)
    await world.lose_row(upload)
    assert (await world.complete(upload, checksum=whole_of(upload))).object == done.object


async def test_a_caller_whose_checksum_storage_contradicts_is_not_told_that_it_is_complete(
    clock: FakeClock,
) -> None:
    """Cover storage that joins parts without checking the checksum, but reports the true one."""
    storage = MemoryStorage()
    async with a_memory_world(clock, storage=storage) as world:
        upload = await world.initialize(2 * PART, checksum_algorithm=CRC64NVME)
        await send(world, upload)
        join = storage.complete

        async def careless(grant: Any, parts: Any, checksum: bytes = b"") -> None:
            await join(grant, parts)

        storage.complete = careless  # type: ignore[method-assign]
        failed = await failure(world.complete(upload, checksum=WRONG))
        assert failed.reason == "COMPLETED_OTHERWISE"
        assert (await failure(world.complete(upload, checksum=WRONG))).reason == failed.reason
        assert (await world.complete(upload, checksum=whole_of(upload))).object.etag


# ---- limits


@pytest.mark.parametrize(
    "fields",
    [
        {"checksum": b"1234567", "checksum_algorithm": CRC64NVME},
        {"checksum": WRONG},
        {"checksum": WRONG, "checksum_algorithm": SHA256},
    ],
)
async def test_initialize_takes_the_whole_checksum_only_by_crc64nvme(
    world: World, fields: dict[str, Any]
) -> None:
    failed = await failure(world.initialize(**fields))
    assert failed.reason == "INVALID_REQUEST"
    assert {v.field for v in failed.details["BadRequest"].field_violations} == {"checksum"}


@pytest.mark.parametrize(("algorithm", "checksum"), [(CRC64NVME, b"1"), (SHA256, WRONG)])
async def test_complete_takes_the_whole_checksum_only_by_crc64nvme(
    world: World, algorithm: int, checksum: bytes
) -> None:
    upload = await world.initialize(3000, checksum_algorithm=algorithm)
    failed = await failure(world.complete(upload, checksum=checksum))
    assert failed.reason == "INVALID_REQUEST"
    assert [v.field for v in failed.details["BadRequest"].field_violations] == ["checksum"]
    assert await world.state(upload) == "ACTIVE"


async def test_a_whole_checksum_that_another_algorithm_has_no_use_for_is_left(
    clock: FakeClock,
) -> None:
    can = replace(MEMORY, checksums=frozenset({Checksum.SHA256}))
    async with a_memory_world(clock, storage=MemoryStorage(capabilities=can)) as world:
        upload = await world.initialize(3000, checksum_algorithm=BEST, checksum=WRONG)
        await send(world, upload)
        assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
