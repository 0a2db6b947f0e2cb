"""Tests PutPart: what it shares with UploadPart, and the form of its own messages."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.policy import Policy

from tests.support.calls import ranges, send_part
from tests.support.clock import FakeClock
from tests.support.processes import until
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, BOB, PART, World, content, failure

CHUNK = 256 * 1024
MOST = 1024 * 1024

POLICIES = [
    Policy("open", "uploads", via_service=True),
    Policy("multipart", "uploads", via_service=True, single_put_max_bytes=0),
    Policy("default", "uploads"),
]


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    async with a_memory_world(clock, policies=POLICIES) as started:
        yield started


def message(data: bytes = b"", **named: Any) -> pb.PutPartRequest:
    return pb.PutPartRequest(body=HttpBody(data=data), **named)


def messages(
    upload: upload_pb2.Upload, number: int, body: bytes, checksum: bytes = b""
) -> Iterator[pb.PutPartRequest]:
    """Yield a part as a gateway does: the names with the first bytes, then bytes alone."""
    named = {"upload_id": upload.id, "part_number": number, "checksum": checksum}
    yield message(body[:CHUNK], **named)
    for at in range(CHUNK, len(body), CHUNK):
        yield message(body[at : at + CHUNK])


async def ask(world: World, sent: Iterable[pb.PutPartRequest], caller: Any = ALICE) -> Any:
    return await send_part(world.stub.PutPart(iter(sent), metadata=caller))


async def held_parts(world: World, upload: upload_pb2.Upload) -> list[int]:
    return [part.number for part in await world.storage.list_parts(world.grant(upload))]


@pytest.mark.parametrize("policy", ["open", "multipart"])
@pytest.mark.parametrize("size", [0, 1, CHUNK, PART, 2 * PART + 7])
async def test_parts_that_are_put_make_an_object(world: World, policy: str, size: int) -> None:
    upload = await world.initialize(size, policy=policy)
    for number in range(1, upload.part_count + 1):
        last = number == upload.part_count
        body = content(number, upload.last_part_size_bytes if last else PART)
        answer = await ask(world, messages(upload, number, body))
        assert (answer.part.part_number, answer.part.size_bytes) == (number, len(body))
    assert (await world.complete(upload)).object.size_bytes == size


async def test_the_first_message_may_have_no_bytes(world: World) -> None:
    upload = await world.initialize(5, policy="open")
    sent = [message(upload_id=upload.id, part_number=1), message(b"12345")]
    assert (await ask(world, sent)).part.size_bytes == 5


@pytest.mark.promise("PutPart", "ABORTED")
async def test_a_part_is_kept_only_if_its_checksum_matches(world: World) -> None:
    algorithm = upload_pb2.CHECKSUM_ALGORITHM_SHA256
    upload = await world.initialize(PART, policy="open", checksum_algorithm=algorithm)
    body = content(1, PART)
    checksum = hashlib.sha256(body).digest()
    failed = await failure(ask(world, messages(upload, 1, body[:-1] + b"!", checksum)))
    assert (failed.code, failed.reason) == ("ABORTED", "PART_CHANGED")
    assert await held_parts(world, upload) == []
    await ask(world, messages(upload, 1, body, checksum))
    assert (await world.complete(upload)).object.size_bytes == PART


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ([], ["upload_id", "part_number"]),
        ([message(b"1")], ["upload_id", "part_number"]),
        ([message(bytes(MOST + 1), upload_id="x", part_number=1)], ["body.data"]),
        ([None, message(bytes(MOST + 1))], ["body.data"]),
        ([None, message()], ["body.data"]),
        ([None, message(b"1", upload_id="x")], ["upload_id"]),
        ([None, message(b"1", part_number=1)], ["part_number"]),
        ([None, message(b"1", checksum=b"1234")], ["checksum"]),
        ([message(upload_id="x", part_number=10_001)], ["part_number"]),
        ([message(upload_id="x", part_number=1, checksum=b"1")], ["checksum"]),
    ],
    ids=[
        "nothing",
        "no name",
        "a large first",
        "a large second",
        "an empty second",
        "two uploads",
        "two parts",
        "two checksums",
        "no such part",
        "no checksum",
    ],
)
async def test_a_stream_of_another_form_is_refused(
    world: World, sent: list[pb.PutPartRequest | None], fields: list[str]
) -> None:
    upload = await world.initialize(PART, policy="open")
    first = message(b"1", upload_id=upload.id, part_number=1)
    failed = await failure(ask(world, [each or first for each in sent]))
    assert failed.reason == "INVALID_REQUEST"
    violations = failed.details["BadRequest"].field_violations
    assert [violation.field for violation in violations] == fields
    assert await held_parts(world, upload) == []


@pytest.mark.promise("PutPart", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("number", "size", "checksum", "field"),
    [
        (1, 9, b"", "body"),
        (1, 11, b"", "body"),
        (2, 1, b"", "part_number"),
        (1, 10, b"1234", "checksum"),
    ],
)
async def test_what_does_not_fit_the_plan_is_named_by_the_fields_of_the_request(
    world: World, number: int, size: int, checksum: bytes, field: str
) -> None:
    upload = await world.initialize(10, policy="open")
    failed = await failure(ask(world, messages(upload, number, bytes(size), checksum)))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    [violation] = failed.details["BadRequest"].field_violations
    assert violation.field == field
    assert await held_parts(world, upload) == []


@pytest.mark.promise("PutPart", "FAILED_PRECONDITION")
@pytest.mark.promise("PutPart", "NOT_FOUND")
async def test_it_is_refused_where_upload_part_is(world: World) -> None:
    closed, upload = await world.initialize(9), await world.initialize(9, policy="open")
    world.storage.calls.clear()
    failed = await failure(ask(world, messages(closed, 1, b"123456789")))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "VIA_SERVICE_OFF")
    failed = await failure(ask(world, messages(upload, 1, b"123456789"), BOB))
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
    assert world.storage.calls == []
    await world.abort(upload)
    failed = await failure(ask(world, messages(upload, 1, b"123456789")))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")


async def test_a_token_puts_parts_of_its_range_alone(world: World) -> None:
    upload = await world.initialize(2 * PART, policy="open")

    async def holder(action: "pb.UploadAction.ValueType") -> Any:
        spec = pb.UploadTokenSpec(actions=[action], parts=ranges((2, 2))[0])
        request = pb.CreateUploadTokenRequest(upload_id=upload.id, spec=spec)
        token = (await world.stub.CreateUploadToken(request, metadata=ALICE)).upload_token
        return (("authorization", f"Partway {token.token}"),)

    by_token = await holder(pb.UPLOAD_ACTION_UPLOAD_PART)
    failed = await failure(ask(world, messages(upload, 1, content(1, PART)), by_token))
    assert failed.reason == "INVALID_REQUEST"
    await ask(world, messages(upload, 2, content(2, PART)), by_token)
    for_presigning = await holder(pb.UPLOAD_ACTION_PRESIGN)
    failed = await failure(ask(world, messages(upload, 2, content(2, PART)), for_presigning))
    assert failed.code == "PERMISSION_DENIED"
    other = await world.initialize(PART, policy="open")
    failed = await failure(ask(world, messages(other, 1, content(1, PART)), by_token))
    assert failed.reason == "UPLOAD_NOT_FOUND"


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("max_via_service", "OVERLOADED"), ("tenant_via_service", "QUOTA_EXCEEDED")],
)
async def test_both_ways_share_the_limits_of_parts(
    clock: FakeClock, limit: str, reason: str
) -> None:
    limits: dict[str, Any] = {limit: 1}
    async with a_memory_world(clock, policies=POLICIES, **limits) as world:
        upload = await world.initialize(PART, policy="open")
        first = world.stub.UploadPart(metadata=ALICE)
        header = pb.UploadPartHeader(upload_id=upload.id, part_number=1)
        await first.write(pb.UploadPartRequest(header=header))
        await until(lambda: _passing(world) == 1)
        failed = await failure(ask(world, messages(upload, 1, content(1, PART))))
        assert (failed.code, failed.reason) == ("RESOURCE_EXHAUSTED", reason)
        first.cancel()
        await until(lambda: _passing(world) == 0)
        await ask(world, messages(upload, 1, content(1, PART)))


def _passing(world: World) -> float:
    value = world.service.metrics.registry.get_sample_value("partway_via_service_in_progress")
    return value or 0.0
