"""Tests the service under too many requests, too little time, or something unexpected."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import grpc
import pytest
from google.protobuf.message import Message
from grpc_status import rpc_status
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.policy import Policy
from partway_server.storage.memory import MemoryStorage

from tests.support.calls import ABOUT_AN_UPLOAD, ALL, call, call_raw, ranges
from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, Gate, failing
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, PART, World, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)


@asynccontextmanager
async def held(storage: FaultyObjects, operation: str) -> AsyncIterator[asyncio.Event]:
    """Block the next such call until the end of the block; set the event once the call waits."""
    gate = Gate()
    storage.before(operation, gate)
    try:
        yield gate.reached
    finally:
        gate.open()


async def code_of(answer: Awaitable[Any]) -> str:
    """Return the code of a call, with its reason if the service gives one."""
    try:
        await answer
    except grpc.aio.AioRpcError as error:
        if rpc_status.from_call(cast(grpc.Call, error)) is None:
            return error.code().name
        failed = await failure(_raise(error))
        return f"{failed.code} {failed.reason}"
    return "OK"


async def _raise(error: Exception) -> None:
    raise error


# ---- admission


async def test_calls_beyond_the_limit_are_turned_away_and_let_in_again(clock: FakeClock) -> None:
    async with a_memory_world(clock, max_concurrent_calls=1) as world:
        async with held(world.storage, "create") as reached:
            first = asyncio.create_task(world.initialize())
            await reached.wait()
            for name, request in ALL.items():
                failed = await failure(call(world.stub, name, request))
                assert (failed.code, failed.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
                assert failed.details["QuotaFailure"].violations[0].subject == "service"
                assert failed.details["RetryInfo"].retry_delay.ToTimedelta() > timedelta()
        upload = await first
        assert await world.state(upload) == "ACTIVE"


async def test_a_failed_call_makes_room(clock: FakeClock) -> None:
    async with a_memory_world(clock, max_concurrent_calls=1) as world:
        upload = await world.initialize()
        for fault in (RuntimeError("a bug"), SessionsUnavailable()):
            world.storage.before("list_parts", failing(fault))
            await failure(call(world.stub, "Status", ABOUT_AN_UPLOAD["Status"](upload.id)))
        await failure(world.abort(upload_pb2.Upload(id="x")))
        assert await world.state(upload) == "ACTIVE"


async def test_a_caller_that_leaves_in_the_middle_of_a_stream_makes_room(clock: FakeClock) -> None:
    async with a_memory_world(clock, max_concurrent_calls=1) as world:
        upload = await world.initialize(10_000 * PART)
        request = pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges((1, 10_000)))
        for _ in range(20):
            stream = world.stub.PresignParts(request, metadata=ALICE)
            first: Any = await stream.read()
            assert first.parts
            stream.cancel()
            while (code := await code_of(world.state(upload))) != "OK":
                assert code == "RESOURCE_EXHAUSTED OVERLOADED"


async def test_callers_that_leave_while_storage_is_slow_make_room(clock: FakeClock) -> None:
    async with a_memory_world(clock, max_concurrent_calls=1) as world:
        upload = await world.initialize()
        for name in ("Status", "Complete", "PresignParts", "Abort"):
            async with held(world.storage, "abort" if name == "Abort" else "list_parts") as reached:
                asking = asyncio.create_task(
                    call(world.stub, name, ABOUT_AN_UPLOAD[name](upload.id))
                )
                await reached.wait()
                asking.cancel()
                await asyncio.wait({asking})
                while (code := await code_of(world.state(upload))) != "OK":
                    assert code == "RESOURCE_EXHAUSTED OVERLOADED"
            await world.service.tasks.drain(5)


# ---- deadlines


@in_memory
@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("Initialize", "create"),
        ("PresignParts", "list_parts"),
        ("BatchPresignParts", "list_parts"),
        ("Abort", "abort"),
        ("ListParts", "list_parts"),
        ("Status", "list_parts"),
    ],
)
async def test_a_deadline_that_passes_is_told_as_such(
    world: World, name: str, operation: str
) -> None:
    upload = await world.initialize()
    request: Message = pb.InitializeRequest(size_bytes=2 * PART, part_size_bytes=PART)
    if name != "Initialize":
        request = ABOUT_AN_UPLOAD[name](upload.id)
    async with held(world.storage, operation):
        code = await code_of(call(world.stub, name, request, seconds=0.3))
        assert code in ("UNAVAILABLE TIMED_OUT", "DEADLINE_EXCEEDED")


@in_memory
@pytest.mark.parametrize("name", ALL)
async def test_a_deadline_that_is_over_at_once_is_no_fault_of_ours(world: World, name: str) -> None:
    upload = await world.initialize()
    request = ABOUT_AN_UPLOAD[name](upload.id) if name in ABOUT_AN_UPLOAD else ALL[name]
    for timeout in (0.0001, 0.001, 0.002, 0.005, 0.01, 0.02):
        code = await code_of(call(world.stub, name, request, seconds=timeout))
        assert code.partition(" ")[0] in (
            "OK",
            "UNAVAILABLE",
            "DEADLINE_EXCEEDED",
            "FAILED_PRECONDITION",
            "ABORTED",
        ), code


async def test_without_a_deadline_the_services_own_counts(clock: FakeClock) -> None:
    async with a_memory_world(clock, call_timeout_seconds=0.2) as world:
        upload = await world.initialize()
        async with held(world.storage, "list_parts"):
            failed = await failure(call(world.stub, "Status", ABOUT_AN_UPLOAD["Status"](upload.id)))
            assert (failed.code, failed.reason) == ("UNAVAILABLE", "TIMED_OUT")
            assert failed.details["RetryInfo"].retry_delay.ToTimedelta() > timedelta()


@in_memory
async def test_an_initialize_that_took_too_long_is_there_for_the_repeat(world: World) -> None:
    request = pb.InitializeRequest(
        size_bytes=2 * PART,
        part_size_bytes=PART,
        request_id="0b5a9a3e-1111-4222-8333-444455556666",
    )
    async with held(world.storage, "create"):
        code = await code_of(call(world.stub, "Initialize", request, seconds=0.3))
        assert code in ("UNAVAILABLE TIMED_OUT", "DEADLINE_EXCEEDED")
    await world.service.tasks.drain(5)
    answer = await call(world.stub, "Initialize", request)
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_ACTIVE
    assert world.storage.calls.count("create") == 1


@in_memory
async def test_a_complete_that_takes_longer_than_the_call_goes_on(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    async with held(world.storage, "complete"):
        request = pb.CompleteRequest(upload_id=upload.id)
        answer = await call(world.stub, "Complete", request, seconds=1)
        assert answer.upload.state == upload_pb2.UPLOAD_STATE_COMPLETING
        assert not answer.upload.object.etag
        assert await world.state(upload) == "COMPLETING"
    await world.service.tasks.drain(5)
    assert await world.state(upload) == "COMPLETED"
    assert (await world.complete(upload)).object.size_bytes == 2 * PART + 7
    assert world.storage.calls.count("complete") == 1


@in_memory
async def test_a_listing_that_takes_longer_than_the_call_is_no_end(world: World) -> None:
    upload = await world.initialize()
    async with held(world.storage, "list_parts"):
        request = pb.CompleteRequest(upload_id=upload.id)
        answer = await call(world.stub, "Complete", request, seconds=1)
        assert answer.upload.state == upload_pb2.UPLOAD_STATE_COMPLETING
    await world.service.tasks.drain(5)
    assert await world.state(upload) == "ACTIVE"
    assert (await failure(world.complete(upload))).reason == "PARTS_MISSING"


@in_memory
async def test_an_answer_that_the_call_just_missed_is_never_a_wrong_state(world: World) -> None:
    """End the work, and make the session record ACTIVE again, just when the time is up."""
    upload = await world.initialize()

    async def just_too_long() -> None:
        # Real time, not the world's clock: the call waits for the work in real time.
        await asyncio.sleep(0.4)

    for timeout in (0.5, 0.52, 0.54, 0.56, 0.58, 0.6):
        world.storage.before("list_parts", just_too_long)
        request = pb.CompleteRequest(upload_id=upload.id)
        try:
            answer = await call(world.stub, "Complete", request, seconds=timeout)
        except grpc.aio.AioRpcError as error:
            assert error.code() in (
                grpc.StatusCode.FAILED_PRECONDITION,
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )
        else:
            assert answer.upload.state == upload_pb2.UPLOAD_STATE_COMPLETING
        await world.service.tasks.drain(5)


# ---- malformed requests


@in_memory
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "raw",
    [
        b"\xff",
        b"\x0a\xff",
        b"\x07",
        b"\x0a" + b"\xff" * 10,
        b"\x0b" * 20_000,
    ],
    ids=range(5),
)
async def test_what_cannot_be_decoded_is_an_invalid_argument(
    world: World, name: str, raw: bytes
) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel:
        failed = await failure(call_raw(channel, name, raw))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "UNDECODABLE_REQUEST")
    assert failed.metadata == {}
    assert failed.message == "the request cannot be decoded"


@in_memory
@pytest.mark.parametrize("name", ["Initialize", *ABOUT_AN_UPLOAD])
async def test_text_that_is_no_utf_8_is_an_invalid_argument(world: World, name: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel:
        failed = await failure(call_raw(channel, name, b"\x0a\x02\xc3\x28"))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "UNDECODABLE_REQUEST")


@in_memory
@pytest.mark.parametrize("method", ["DownloadPart", "Nope", "", "initialize"])
async def test_an_unknown_method_is_unimplemented(world: World, method: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel:
        for service in ("partway.v1.UploadService", "partway.v2.UploadService", "x"):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call_raw(channel, method, b"", service=service)
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


@in_memory
async def test_a_message_that_is_too_large_is_turned_away(world: World) -> None:
    request = pb.InitializeRequest(size_bytes=1, file_name="x" * (2 * 1024 * 1024))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(world.stub, "Initialize", request)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    upload = await world.initialize()
    assert await world.state(upload) == "ACTIVE"


@in_memory
async def test_unknown_fields_do_no_harm(world: World) -> None:
    raw = pb.InitializeRequest(size_bytes=1).SerializeToString() + b"\xfa\x3f\x03abc"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel:
        answer = pb.InitializeResponse.FromString(await call_raw(channel, "Initialize", raw))
    assert answer.upload.state == upload_pb2.UPLOAD_STATE_ACTIVE


# ---- large responses


async def test_the_largest_errors_arrive_whole(clock: FakeClock) -> None:
    """Cover details in trailers, which gRPC begins to drop, at random, from 8 kB on."""
    many = [Policy(f"{n:03}-{'x' * 60}", "uploads") for n in range(200)]
    types = Policy("types", "uploads", content_types=tuple(f"a{n}/{'x' * 60}" for n in range(200)))
    storage = MemoryStorage()
    async with a_memory_world(clock, storage=storage, policies=[*many, types]) as world:
        upload = await world.initialize(10_000 * PART)
        for part in await world.presigned(upload, range(1, 600, 2)):
            storage.put(part.url, PART, part.headers)
        wrong_ranges = ranges(*[(5, 4)] * 1000)
        parts = [upload_pb2.Part(part_number=-n, size_bytes=-1) for n in range(10_000)]
        etags = [
            upload_pb2.Part(part_number=n, size_bytes=2**62, etag="x" * 128) for n in range(1, 1000)
        ]
        whole = await world.initialize(1000 * PART)
        for part in await world.presigned(whole):
            storage.put(part.url, PART, part.headers)
        calls = [
            ("Initialize", pb.InitializeRequest(policy="nobodys"), "INVALID_REQUEST"),
            (
                "Initialize",
                pb.InitializeRequest(policy="types", content_type="b/c"),
                "INVALID_REQUEST",
            ),
            (
                "Initialize",
                pb.InitializeRequest(size_bytes=-1, metadata={"💥" * 100: "\n" * 3000}),
                "INVALID_REQUEST",
            ),
            (
                "PresignParts",
                pb.PresignPartsRequest(upload_id=upload.id, ranges=wrong_ranges),
                "INVALID_REQUEST",
            ),
            (
                "PresignParts",
                pb.PresignPartsRequest(
                    upload_id=whole.id, ranges=ranges(*[(9_999, 10_000)] * 1000)
                ),
                "INVALID_REQUEST",
            ),
            (
                "Complete",
                pb.CompleteRequest(upload_id=upload.id, parts=parts),
                "INVALID_REQUEST",
            ),
            ("Complete", pb.CompleteRequest(upload_id=upload.id), "PARTS_MISSING"),
            (
                "Complete",
                pb.CompleteRequest(upload_id=whole.id, parts=etags),
                "PARTS_MISMATCH",
            ),
        ]
        for name, request, reason in calls:
            for _ in range(10):
                failed = await failure(call(world.stub, name, request))
                assert failed.reason == reason, failed


# ---- unexpected failures

SECRET = "AKIAIOSFODNN7EXAMPLE https://storage/x?X-Amz-Signature=0123456789abcdef"

FORESEEN_BY_NOBODY = [
    ("Initialize", "create"),
    ("PresignParts", "presigner"),
    ("BatchPresignParts", "presigner"),
    ("Complete", "list_parts"),
    ("Abort", "abort"),
    ("ListParts", "list_parts"),
    ("Status", "list_parts"),
]


@in_memory
@pytest.mark.parametrize(("name", "operation"), FORESEEN_BY_NOBODY)
@pytest.mark.parametrize("kind", [RuntimeError, KeyError, OSError, AssertionError])
async def test_a_fault_is_told_without_its_text(
    world: World,
    caplog: pytest.LogCaptureFixture,
    name: str,
    operation: str,
    kind: type[Exception],
) -> None:
    upload = await world.initialize()
    request: Message = pb.InitializeRequest(size_bytes=2 * PART, part_size_bytes=PART)
    if name != "Initialize":
        request = ABOUT_AN_UPLOAD[name](upload.id)
    world.storage.before(operation, failing(kind(SECRET)))
    with caplog.at_level(logging.ERROR):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(world.stub, name, request)
    error = raised.value
    reported = f"{error.details()} {error.debug_error_string()} {error.trailing_metadata()!r}"
    assert "AKIA" not in reported and "Signature" not in reported and kind.__name__ not in reported
    failed = await failure(_raise(error))
    assert (failed.code, failed.reason) == ("INTERNAL", "INTERNAL")
    assert failed.message == "internal error"
    assert list(failed.metadata) == ["reference"]
    assert failed.metadata["reference"] in caplog.text
