"""Tests upload tokens: what they allow, to whom, and for how long."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_client._transport.part_stream import RemoteStatus
from partway_server.domain.grant import Caller
from partway_server.domain.policy import Policy
from partway_server.domain.principal import Principal, Scope
from partway_server.domain.upload import State

from tests.support.calls import ranges
from tests.support.clock import FakeClock
from tests.support.twins import a_memory_world
from tests.support.upload_situations import LEASE
from tests.support.world import ALICE, BOB, EVE, PART, World, content, failure, failure_of

SIX_DAYS = 6 * 24 * 3600

Spec = pb.UploadTokenSpec
Holder = tuple[tuple[str, str], ...]


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    policy = Policy("default", "uploads", via_service=True)
    async with a_memory_world(clock, policies=[policy]) as started:
        yield started


def holder_of(token: pb.UploadToken) -> Holder:
    return (("authorization", f"Partway {token.token}"),)


async def made(
    world: World, upload: upload_pb2.Upload, caller: Any = ALICE, **fields: Any
) -> pb.UploadToken:
    request = pb.CreateUploadTokenRequest(upload_id=upload.id, spec=Spec(**fields))
    return (await world.stub.CreateUploadToken(request, metadata=caller)).upload_token


async def presigned(
    world: World, upload: upload_pb2.Upload, holder: Holder, *runs: tuple[int, int]
) -> list[int]:
    """Return the numbers of the parts that a stream presigns."""
    request = pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges(*runs))
    stream = world.stub.PresignParts(request, metadata=holder)
    return [part.part_number async for message in stream for part in message.parts]


async def upload_part(world: World, upload: upload_pb2.Upload, number: int, holder: Holder) -> Any:
    async def messages() -> AsyncIterator[pb.UploadPartRequest]:
        header = pb.UploadPartHeader(upload_id=upload.id, part_number=number)
        yield pb.UploadPartRequest(header=header)
        body = content(number, PART if number < upload.part_count else upload.last_part_size_bytes)
        for at in range(0, len(body), 1024 * 1024):
            yield pb.UploadPartRequest(chunk=body[at : at + 1024 * 1024])

    call = world.stub.UploadPart(messages(), metadata=holder)
    reported = RemoteStatus(call)
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        # If the status arrives during a write, grpc.aio reports only a status of its own.
        raise await reported.failure() or error from None


def limited(world: World, monkeypatch: pytest.MonkeyPatch, *scopes: Scope) -> None:
    """Let every call be alice's, with these scopes."""

    async def principal(context: Any) -> Principal:
        return Principal(Caller("acme", "alice"), frozenset(scopes))

    monkeypatch.setattr(world.service.identity, "principal", principal)


async def test_the_holder_of_an_id_and_a_token_needs_nothing_else(world: World) -> None:
    request = pb.InitializeRequest(
        size_bytes=2 * PART + 7, part_size_bytes=PART, upload_token=Spec()
    )
    answer = await world.stub.Initialize(request, metadata=ALICE)
    upload, holder = answer.upload, holder_of(answer.upload_token)
    assert answer.upload_token.expire_time == upload.expire_time
    assert list(answer.upload_token.actions) == list(pb.UploadAction.values())[1:]
    assert len(answer.upload_token.token) <= 512

    batch = await world.stub.BatchPresignParts(
        pb.BatchPresignPartsRequest(upload_id=upload.id, ranges=ranges((1, 2))), metadata=holder
    )
    for part in batch.parts:
        body = content(part.part_number, part.size_bytes)
        assert (await world.put(part.url, body, part.headers)).status == 200
    await upload_part(world, upload, 3, holder)
    parts = [upload_pb2.Part(part_number=1, size_bytes=PART)]
    await world.stub.ReportParts(
        pb.ReportPartsRequest(upload_id=upload.id, parts=parts), metadata=holder
    )
    listed = await world.stub.ListParts(pb.ListPartsRequest(upload_id=upload.id), metadata=holder)
    assert [part.part_number for part in listed.parts] == [1, 2, 3]
    done = await world.stub.Complete(pb.CompleteRequest(upload_id=upload.id), metadata=holder)
    assert done.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED

    # It ended, and its token shows how until its own end.
    status = await world.stub.Status(pb.StatusRequest(upload_id=upload.id), metadata=holder)
    assert status.upload == done.upload
    watch = world.stub.Watch(pb.WatchRequest(upload_id=upload.id), metadata=holder)
    assert [message.upload.state async for message in watch] == [done.upload.state]
    failed = await failure(presigned(world, upload, holder, (1, 1)))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    world.clock.advance(SIX_DAYS)
    failed = await failure(
        world.stub.Status(pb.StatusRequest(upload_id=upload.id), metadata=holder)
    )
    assert failed.reason == "UPLOAD_TOKEN_EXPIRED"


async def test_a_token_that_ran_out_is_replaced(world: World) -> None:
    upload = await world.initialize()
    first = holder_of(await made(world, upload, lifetime=Duration(seconds=60)))
    assert await presigned(world, upload, first) == [1, 2, 3]
    world.clock.advance(60)
    failed = await failure(presigned(world, upload, first))
    assert (failed.code, failed.reason) == ("UNAUTHENTICATED", "UPLOAD_TOKEN_EXPIRED")
    again = await made(world, upload, lifetime=Duration(seconds=60))
    assert await presigned(world, upload, holder_of(again)) == [1, 2, 3]


async def test_a_token_is_made_without_a_call_to_storage(world: World) -> None:
    upload = await world.initialize()
    world.storage.calls.clear()
    await made(world, upload)
    assert world.storage.calls == []


async def test_abort_by_token(world: World) -> None:
    upload = await world.initialize()
    token = await made(world, upload, actions=["UPLOAD_ACTION_ABORT"])
    assert list(token.actions) == [pb.UPLOAD_ACTION_ABORT]
    request = pb.AbortRequest(upload_id=upload.id)
    answer = await world.stub.Abort(request, metadata=holder_of(token))
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_ABORTED


@pytest.mark.parametrize("scheme", ["Partway", "partway", "PARTWAY", "Partway  "])
@pytest.mark.parametrize("others", [(), ALICE, BOB, EVE])
async def test_a_token_says_who_calls_whatever_comes_with_it(
    world: World, scheme: str, others: Holder
) -> None:
    upload = await world.initialize()
    token = await made(world, upload)
    metadata = (*others, ("authorization", f"{scheme} {token.token}"))
    assert await presigned(world, upload, metadata) == [1, 2, 3]
    failed = await failure(world.stub.ListUploads(pb.ListUploadsRequest(), metadata=metadata))
    assert (failed.code, failed.metadata) == ("PERMISSION_DENIED", {"needed": "read"})


async def test_a_token_works_where_every_call_is_anonymous(clock: FakeClock) -> None:
    async with a_memory_world(clock, identity="none") as world:
        answer = await world.stub.Initialize(
            pb.InitializeRequest(size_bytes=1, upload_token=Spec(actions=[pb.UPLOAD_ACTION_STATUS]))
        )
        holder = holder_of(answer.upload_token)
        status = pb.StatusRequest(upload_id=answer.upload.id)
        assert (await world.stub.Status(status, metadata=holder)).upload == answer.upload
        failed = await failure(presigned(world, answer.upload, holder))
        assert failed.metadata == {"needed": "UPLOAD_ACTION_PRESIGN"}


# The part range.


async def test_a_part_range_limits_what_is_presigned(world: World) -> None:
    upload = await world.initialize(5 * PART)
    await world.send(upload, [3])
    holder = holder_of(await made(world, upload, parts=ranges((2, 4))[0]))
    assert await presigned(world, upload, holder) == [2, 4]
    assert await presigned(world, upload, holder, (2, 4)) == [2, 3, 4]
    request = pb.BatchPresignPartsRequest(upload_id=upload.id)
    batch = await world.stub.BatchPresignParts(request, metadata=holder)
    assert [part.part_number for part in batch.parts] == [2, 4]


@pytest.mark.parametrize("run", [(1, 1), (1, 2), (4, 5), (5, 5), (1, 5)])
async def test_a_part_outside_the_range_is_not_presigned(
    world: World, run: tuple[int, int]
) -> None:
    upload = await world.initialize(5 * PART)
    holder = holder_of(await made(world, upload, parts=ranges((2, 4))[0]))
    batch = pb.BatchPresignPartsRequest(upload_id=upload.id, ranges=ranges((2, 2), run))
    for call in (
        presigned(world, upload, holder, (2, 2), run),
        world.stub.BatchPresignParts(batch, metadata=holder),
    ):
        failed = await failure(call)
        [violation] = failed.details["BadRequest"].field_violations
        assert (failed.code, violation.field) == ("INVALID_ARGUMENT", "ranges[1]")
        assert violation.description == "the upload token is for parts 2 to 4"


async def test_a_part_outside_the_range_is_neither_sent_nor_counted(world: World) -> None:
    upload = await world.initialize()
    holder = holder_of(await made(world, upload, parts=ranges((2, 2))[0]))
    failed = await failure(upload_part(world, upload, 1, holder))
    [violation] = failed.details["BadRequest"].field_violations
    assert (failed.code, violation.field) == ("INVALID_ARGUMENT", "header.part_number")
    assert "put_part" not in world.storage.calls
    assert (await upload_part(world, upload, 2, holder)).part.part_number == 2
    parts = [upload_pb2.Part(part_number=n, size_bytes=PART) for n in (1, 2)]
    request = pb.ReportPartsRequest(upload_id=upload.id, parts=parts)
    answer = await world.stub.ReportParts(request, metadata=holder)
    assert [result.status.code for result in answer.results] == [3, 0]
    assert "parts[0].part_number" in answer.results[0].status.message
    assert answer.reported.parts_stored == 1


async def test_a_token_for_a_range_may_complete(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    holder = holder_of(await made(world, upload, parts=ranges((2, 2))[0]))
    request = pb.CompleteRequest(upload_id=upload.id)
    answer = await world.stub.Complete(request, metadata=holder)
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED


# The end of a token.


async def test_a_watch_shows_nothing_after_the_end_of_its_token(world: World) -> None:
    upload = await world.initialize()
    token = await made(world, upload, lifetime=Duration(seconds=60))
    request = pb.WatchRequest(upload_id=upload.id)
    watch = world.stub.Watch(request, metadata=holder_of(token))
    first: Any = await watch.read()
    assert first.upload.state == upload_pb2.UPLOAD_STATE_ACTIVE
    world.clock.advance(60)
    await world.abort(upload)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await watch.read()
    assert failure_of(raised.value).reason == "UPLOAD_TOKEN_EXPIRED"


# Never wider than its maker.


async def test_a_token_has_what_its_maker_may_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await world.initialize()
    limited(world, monkeypatch, Scope.UPLOAD)
    assert list((await made(world, upload)).actions) == [
        pb.UPLOAD_ACTION_PRESIGN,
        pb.UPLOAD_ACTION_REPORT,
        pb.UPLOAD_ACTION_COMPLETE,
        pb.UPLOAD_ACTION_ABORT,
    ]
    for action, needed in {"STATUS": "read", "UPLOAD_PART": "via_service"}.items():
        actions = ["UPLOAD_ACTION_PRESIGN", f"UPLOAD_ACTION_{action}"]
        failed = await failure(made(world, upload, actions=actions))
        assert (failed.code, failed.metadata) == ("PERMISSION_DENIED", {"needed": needed})


async def test_initialize_opens_nothing_if_the_token_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = pb.InitializeRequest(
        size_bytes=1, upload_token=Spec(parts=upload_pb2.PartRange(first=1, last=2))
    )
    failed = await failure(world.stub.Initialize(request, metadata=ALICE))
    [violation] = failed.details["BadRequest"].field_violations
    assert (violation.field, violation.description) == (
        "upload_token.parts",
        "the upload has parts 1 to 1",
    )
    limited(world, monkeypatch, Scope.UPLOAD)
    request = pb.InitializeRequest(
        size_bytes=PART, upload_token=Spec(actions=[pb.UPLOAD_ACTION_STATUS])
    )
    failed = await failure(world.stub.Initialize(request))
    assert (failed.code, failed.metadata) == ("PERMISSION_DENIED", {"needed": "read"})
    limited(world, monkeypatch, Scope.READ)
    assert not (await world.stub.ListUploads(pb.ListUploadsRequest())).uploads
    assert "create" not in world.storage.calls


# Initialize again.


async def test_a_repeated_initialize_returns_a_token_while_the_upload_is_active(
    world: World,
) -> None:
    request = pb.InitializeRequest(
        size_bytes=2 * PART, request_id=str(uuid4()), upload_token=Spec()
    )
    first = await world.stub.Initialize(request, metadata=ALICE)
    again = await world.stub.Initialize(request, metadata=ALICE)
    assert again.upload_token == first.upload_token and first.upload_token.token
    request.upload_token.actions.append(pb.UPLOAD_ACTION_STATUS)
    other = await world.stub.Initialize(request, metadata=ALICE)
    assert other.upload == first.upload
    assert list(other.upload_token.actions) == [pb.UPLOAD_ACTION_STATUS]
    await world.send(first.upload)
    await world.complete(first.upload)
    ended = await world.stub.Initialize(request, metadata=ALICE)
    assert ended.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert not ended.HasField("upload_token")


async def test_past_the_deadline_there_is_no_token(world: World) -> None:
    request = pb.InitializeRequest(
        size_bytes=2 * PART, request_id=str(uuid4()), upload_token=Spec()
    )
    first = await world.stub.Initialize(request, metadata=ALICE)
    world.clock.advance(SIX_DAYS + 1)
    again = await world.stub.Initialize(request, metadata=ALICE)
    assert again.upload.id == first.upload.id and not again.HasField("upload_token")


async def test_without_a_spec_initialize_returns_no_token(world: World) -> None:
    answer = await world.stub.Initialize(pb.InitializeRequest(size_bytes=1), metadata=ALICE)
    assert not answer.HasField("upload_token")


# What CreateUploadToken refuses.


WRONG: dict[str, Callable[[Spec], object]] = {
    "spec.actions[0]": lambda spec: spec.actions.append(pb.UPLOAD_ACTION_UNSPECIFIED),
    "spec.actions": lambda spec: spec.actions.extend([pb.UPLOAD_ACTION_ABORT] * 101),
    "spec.lifetime": lambda spec: spec.lifetime.FromMilliseconds(999),
    "spec.parts": lambda spec: spec.parts.MergeFrom(upload_pb2.PartRange(first=2, last=1)),
}


@pytest.mark.promise("CreateUploadToken", "INVALID_ARGUMENT")
@pytest.mark.parametrize("field", WRONG)
async def test_a_field_that_is_not_allowed_is_named(world: World, field: str) -> None:
    upload = await world.initialize()
    request = pb.CreateUploadTokenRequest(upload_id=upload.id)
    WRONG[field](request.spec)
    failed = await failure(world.stub.CreateUploadToken(request, metadata=ALICE))
    [violation] = failed.details["BadRequest"].field_violations
    assert (failed.code, violation.field) == ("INVALID_ARGUMENT", field)


@pytest.mark.promise("CreateUploadToken", "INVALID_ARGUMENT")
async def test_parts_that_the_upload_does_not_have_are_refused(world: World) -> None:
    upload = await world.initialize()
    failed = await failure(made(world, upload, parts=ranges((3, 4))[0]))
    [violation] = failed.details["BadRequest"].field_violations
    assert (violation.field, violation.description) == (
        "spec.parts",
        "the upload has parts 1 to 3",
    )


@pytest.mark.promise("CreateUploadToken", "NOT_FOUND")
@pytest.mark.parametrize("caller", [BOB, EVE])
async def test_a_token_for_anothers_upload_is_not_made(world: World, caller: Any) -> None:
    upload = await world.initialize()
    failed = await failure(made(world, upload, caller))
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")


@pytest.mark.promise("CreateUploadToken", "FAILED_PRECONDITION")
@pytest.mark.parametrize("end", ["completed", "aborted", "expired", "completing"])
async def test_a_token_for_an_upload_that_is_not_active_is_not_made(world: World, end: str) -> None:
    upload = await world.initialize()
    await world.send(upload)
    if end == "completed":
        await world.complete(upload)
    elif end == "aborted":
        await world.abort(upload)
    elif end == "completing":
        await world.sessions.claim(world.grant(upload).sid, State.COMPLETING, LEASE)
    else:
        world.clock.advance(SIX_DAYS + 1)
    failed = await failure(made(world, upload))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")


async def test_a_token_outlives_its_session_record(world: World) -> None:
    upload = await world.initialize()
    holder = holder_of(await made(world, upload))
    await world.lose_row(upload)
    assert await presigned(world, upload, holder) == [1, 2, 3]
    await world.lose_row(upload)
    assert (await made(world, upload)).token


async def test_a_lifetime_longer_than_the_upload_ends_with_it(world: World) -> None:
    upload = await world.initialize()
    century = Duration()
    century.FromTimedelta(timedelta(days=36_500))
    assert (await made(world, upload, lifetime=century)).expire_time == upload.expire_time
