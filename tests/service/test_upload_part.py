"""Tests that a part sent with UploadPart is whole and correct in storage, or not there at all."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import aiohttp
import anycrc
import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.devstack.servers import S3
from partway_server.domain.policy import Policy
from partway_server.domain.upload import State
from partway_server.runtime import app
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.base import KeyContested
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.memory import MemoryStorage
from partway_server.storage.s3 import S3Storage
from prometheus_client import generate_latest

from tests.support.bucket import Bucket, look_into
from tests.support.calls import send_part
from tests.support.clock import FakeClock
from tests.support.processes import until
from tests.support.relay import LOST, End, Fault, Relay
from tests.support.relay_valve import Valve
from tests.support.storage import FaultyObjects, Gate, error_answer, failing, put_by, put_into
from tests.support.twins import a_memory_world
from tests.support.wired import PUT, relay_to
from tests.support.world import ALICE, BOB, PART, World, a_world, content, failure

CHUNK = 256 * 1024

POLICIES = ("open", "multipart")

SUMS: dict[str, Callable[[bytes], bytes]] = {
    "CRC64NVME": lambda body: anycrc.Model("CRC64-NVME").calc(body).to_bytes(8, "big"),
    "CRC32C": lambda body: anycrc.Model("CRC32C").calc(body).to_bytes(4, "big"),
    "SHA256": lambda body: hashlib.sha256(body).digest(),
    "MD5": lambda body: hashlib.md5(body).digest(),
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC).replace(microsecond=0))


def policies(bucket: str) -> list[Policy]:
    """Return `open`, which passes parts through, and `multipart`, without single PUTs."""
    return [
        Policy("open", bucket, via_service=True),
        Policy("multipart", bucket, via_service=True, single_put_max_bytes=0),
    ]


@dataclass(frozen=True, slots=True)
class Real:
    """A service over real storage, with `relay` between the two."""

    world: World
    relay: Relay
    bucket: Bucket


@contextlib.asynccontextmanager
async def over_storage(
    clock: FakeClock, s3: S3, endpoint: str, put_seconds: float = 30
) -> AsyncIterator[World]:
    """Run a service that reaches real storage at `endpoint`."""
    storage = await S3Storage.open(
        name="default",
        capabilities=KNOWN["seaweedfs"],
        region=s3.region,
        endpoint_url=endpoint,
        public_endpoint_url=s3.endpoint,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        put_seconds=put_seconds,
    )

    async with (
        contextlib.aclosing(storage),
        aiohttp.ClientSession() as http,
        a_world(
            clock=clock,
            sessions=MemorySessionStore(clock),
            storage=FaultyObjects(storage),
            put=put_by(http),
            bucket=s3.bucket,
            policies=policies(s3.bucket),
        ) as world,
    ):
        yield world


@pytest.fixture
async def real(clock: FakeClock, s3: S3) -> AsyncIterator[Real]:
    async with relay_to(s3.endpoint) as relay:
        async with over_storage(clock, s3, f"http://{relay.address}") as world:
            with look_into(s3) as bucket:
                yield Real(world, relay, bucket)


@pytest.fixture
async def twin(clock: FakeClock) -> AsyncIterator[World]:
    async with a_memory_world(clock, policies=policies("uploads")) as world:
        yield world


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.s3)])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return request.getfixturevalue("twin")  # type: ignore[no-any-return]
    return request.getfixturevalue("real").world  # type: ignore[no-any-return]


def header(upload: upload_pb2.Upload, number: int, checksum: bytes = b"") -> pb.UploadPartRequest:
    named = pb.UploadPartHeader(upload_id=upload.id, part_number=number, checksum=checksum)
    return pb.UploadPartRequest(header=named)


def chunks(body: bytes, size: int = CHUNK) -> Iterator[pb.UploadPartRequest]:
    for at in range(0, len(body), size):
        yield pb.UploadPartRequest(chunk=body[at : at + size])


async def ask(world: World, messages: Iterable[pb.UploadPartRequest], caller: Any = ALICE) -> Any:
    return await send_part(world.stub.UploadPart(iter(messages), metadata=caller))


async def pass_part(
    world: World, upload: upload_pb2.Upload, number: int, body: bytes, checksum: bytes = b""
) -> upload_pb2.Part:
    """Send a part through the service; return the part as it is reported."""
    messages = [header(upload, number, checksum), *chunks(body)]
    part: upload_pb2.Part = (await ask(world, messages)).part
    return part


def size_of(upload: upload_pb2.Upload, number: int) -> int:
    last = number == upload.part_count
    return upload.last_part_size_bytes if last else upload.part_size_bytes


def metric(world: World, name: str) -> float:
    """Return the value of one time series, or 0 if it is missing."""
    for line in generate_latest(world.service.metrics.registry).decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


async def held_parts(world: World, upload: upload_pb2.Upload) -> list[int]:
    return [part.number for part in await world.storage.list_parts(world.grant(upload))]


# ---- parts that arrive


async def test_parts_that_pass_and_parts_that_do_not_make_one_object(world: World) -> None:
    upload = await world.initialize(3 * PART + 7, policy="open")
    await world.send(upload, [2])
    for number in (4, 1, 3):
        body = content(number, size_of(upload, number))
        part = await pass_part(world, upload, number, body)
        assert (part.part_number, part.size_bytes) == (number, len(body))
        assert part.etag == hashlib.md5(body).hexdigest()
    done = await world.complete(upload)
    assert done.object.size_bytes == 3 * PART + 7


@pytest.mark.s3
async def test_the_object_has_the_bytes_that_passed(real: Real) -> None:
    upload = await real.world.initialize(PART + 3, policy="open")
    bodies = [content(1, PART), content(2, 3)]
    for number, body in enumerate(bodies, 1):
        await pass_part(real.world, upload, number, body)
    done = await real.world.complete(upload)
    whole = hashlib.sha256(b"".join(bodies)).hexdigest()
    assert real.bucket.sha256(done.object.key) == whole


async def test_a_small_file_passes(world: World) -> None:
    for policy, size in product(POLICIES, (0, 1, 1000)):
        upload = await world.initialize(size, policy=policy)
        await pass_part(world, upload, 1, content(1, size))
        done = await world.complete(upload)
        assert (done.state, done.object.size_bytes) == (upload_pb2.UPLOAD_STATE_COMPLETED, size)


@pytest.mark.s3
async def test_what_was_promised_of_a_single_put_is_sent_with_it(real: Real) -> None:
    fields = {"policy": "open", "content_type": "image/png", "metadata": {"camera": "old"}}
    upload = await real.world.initialize(9, **fields)
    await pass_part(real.world, upload, 1, b"123456789")
    done = await real.world.complete(upload)
    head = real.bucket.client.head_object(Bucket=real.bucket.name, Key=done.object.key)
    assert (head["ContentType"], head["ContentDisposition"]) == ("image/png", "attachment")
    assert head["Metadata"]["camera"] == "old"


async def test_a_checksum_is_held_against_what_passes(world: World) -> None:
    body = content(1, CHUNK + 9)
    for policy, (algorithm, compute) in product(POLICIES, SUMS.items()):
        named = upload_pb2.ChecksumAlgorithm.Value(f"CHECKSUM_ALGORITHM_{algorithm}")
        upload = await world.initialize(len(body), policy=policy, checksum_algorithm=named)
        failed = await failure(pass_part(world, upload, 1, body[:-1] + b"!", compute(body)))
        assert (failed.code, failed.reason) == ("ABORTED", "PART_CHANGED")
        assert await held_parts(world, upload) == []
        part = await pass_part(world, upload, 1, body, compute(body))
        assert part.checksum in (b"", compute(body))
        await world.complete(upload)


@pytest.mark.promise("UploadPart", "ABORTED")
async def test_bytes_that_changed_on_the_way_are_to_be_sent_again(world: World) -> None:
    named = upload_pb2.CHECKSUM_ALGORITHM_CRC32C
    upload = await world.initialize(PART + 1, policy="open", checksum_algorithm=named)
    body = content(1, PART)
    changed = body[:100] + b"!" + body[101:]
    failed = await failure(pass_part(world, upload, 1, changed, SUMS["CRC32C"](body)))
    assert (failed.code, failed.reason) == ("ABORTED", "PART_CHANGED")
    assert failed.metadata["part_number"] == "1" and "RetryInfo" in failed.details
    assert await held_parts(world, upload) == []


async def test_a_part_may_be_sent_again(world: World) -> None:
    for policy in POLICIES:
        upload = await world.initialize(9, policy=policy)
        first = await pass_part(world, upload, 1, b"123456789")
        assert await pass_part(world, upload, 1, b"123456789") == first
        await world.complete(upload)


async def test_a_small_file_is_not_sent_again_as_another(world: World) -> None:
    named = upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME
    upload = await world.initialize(9, policy="open", checksum_algorithm=named)
    first, other = b"123456789", b"abcdefghi"
    await pass_part(world, upload, 1, first, SUMS["CRC64NVME"](first))
    failed = await failure(pass_part(world, upload, 1, other, SUMS["CRC64NVME"](other)))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "COMPLETED_OTHERWISE")
    assert (await world.complete(upload)).object.checksum == SUMS["CRC64NVME"](first)


# ---- parts that do not


@pytest.mark.promise("UploadPart", "INVALID_ARGUMENT")
async def test_more_or_fewer_bytes_than_the_part_has_are_not_stored(world: World) -> None:
    whole = 3 * CHUNK
    lengths = [(9, 8), (9, 10), (0, 1), (whole, 2 * CHUNK), (whole, whole - 1), (whole, whole + 1)]
    for policy, (planned, sent) in product(POLICIES, lengths):
        upload = await world.initialize(planned, policy=policy)
        failed = await failure(pass_part(world, upload, 1, content(1, sent)))
        assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
        assert await held_parts(world, upload) == []
        await pass_part(world, upload, 1, content(1, planned))
        await world.complete(upload)


@pytest.mark.parametrize(
    ("rest", "field"),
    [
        ([], "header"),
        ([pb.UploadPartRequest(chunk=b"1")], "header"),
        ([None, pb.UploadPartRequest(chunk=b"")], "chunk"),
        ([None, pb.UploadPartRequest()], "chunk"),
        ([None, pb.UploadPartRequest(chunk=bytes(1024 * 1024 + 1))], "chunk"),
        ([None, None], "chunk"),
    ],
    ids=["nothing", "no header", "empty", "neither", "too large", "two headers"],
)
async def test_a_stream_of_another_form_is_refused(
    twin: World, rest: list[pb.UploadPartRequest | None], field: str
) -> None:
    upload = await twin.initialize(PART, policy="open")
    failed = await failure(ask(twin, [m or header(upload, 1) for m in rest]))
    assert failed.reason == "INVALID_REQUEST"
    assert failed.details["BadRequest"].field_violations[0].field == field


@pytest.mark.parametrize("number", [0, 3, 10_001])
async def test_a_part_that_the_upload_has_not_is_refused(twin: World, number: int) -> None:
    upload = await twin.initialize(PART + 1, policy="open")
    failed = await failure(pass_part(twin, upload, number, b"1"))
    assert failed.reason == "INVALID_REQUEST"
    [violation] = failed.details["BadRequest"].field_violations
    assert violation.field == "header.part_number"


@pytest.mark.parametrize(
    ("algorithm", "checksum"), [("CRC32C", b""), ("CRC32C", b"12345678"), ("UNSPECIFIED", b"1234")]
)
async def test_a_part_needs_the_checksum_that_its_upload_has(
    twin: World, algorithm: str, checksum: bytes
) -> None:
    number = upload_pb2.ChecksumAlgorithm.Value(f"CHECKSUM_ALGORITHM_{algorithm}")
    upload = await twin.initialize(PART, policy="open", checksum_algorithm=number)
    failed = await failure(pass_part(twin, upload, 1, content(1, PART), checksum))
    assert failed.reason == "INVALID_REQUEST"
    [violation] = failed.details["BadRequest"].field_violations
    assert violation.field == "header.checksum"


@pytest.mark.promise("UploadPart", "NOT_FOUND")
async def test_another_callers_id_opens_nothing_and_storage_hears_of_nothing(twin: World) -> None:
    upload = await twin.initialize(PART, policy="open")
    twin.storage.calls.clear()
    failed = await failure(ask(twin, [header(upload, 1), *chunks(bytes(PART))], BOB))
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
    assert twin.storage.calls == []


@pytest.mark.promise("UploadPart", "FAILED_PRECONDITION")
async def test_nothing_passes_that_the_policy_does_not_let_through(twin: World) -> None:
    upload = await twin.initialize(PART)
    twin.storage.calls.clear()
    call = twin.stub.UploadPart(metadata=ALICE)
    await call.write(header(upload, 1))
    # The answer arrives before a byte has been sent.
    failed = await failure(call)
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "VIA_SERVICE_OFF")
    assert failed.metadata["policy"] == "default"
    assert "ask the operator to set via_service" in failed.message
    assert twin.storage.calls == []


async def test_initialize_says_whether_parts_may_pass(twin: World) -> None:
    for policy, allowed in (("default", False), ("open", True)):
        request = pb.InitializeRequest(file_name="a", size_bytes=1, policy=policy)
        answer = await twin.stub.Initialize(request, metadata=ALICE)
        assert answer.limits.via_service is allowed


@pytest.mark.promise("UploadPart", "FAILED_PRECONDITION")
async def test_nothing_passes_for_an_upload_that_is_over(world: World) -> None:
    upload = await world.initialize(PART, policy="open")
    await world.abort(upload)
    failed = await failure(pass_part(world, upload, 1, content(1, PART)))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert failed.metadata["state"] == "UPLOAD_STATE_ABORTED"


@pytest.mark.parametrize("policy", POLICIES)
async def test_an_abort_in_the_middle_is_told(world: World, policy: str) -> None:
    upload = await world.initialize(3 * CHUNK, policy=policy)
    call = world.stub.UploadPart(metadata=ALICE)
    first, *rest = chunks(content(1, 3 * CHUNK))
    for message in (header(upload, 1), first, rest[0]):
        await call.write(message)
    await until_passing(world)
    await world.abort(upload)
    for message in rest[1:]:
        await call.write(message)
    await call.done_writing()
    failed = await failure(call)
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert await world.state(upload) == "ABORTED"


@pytest.mark.parametrize("policy", POLICIES)
async def test_an_abort_that_was_answered_is_told_as_such_while_it_is_buried(
    twin: World, policy: str
) -> None:
    upload = await twin.initialize(9, policy=policy)
    gate = Gate()
    twin.storage.before("put_part", gate)
    passing = asyncio.create_task(failure(pass_part(twin, upload, 1, b"123456789")))
    await gate.reached.wait()
    await twin.abort(upload)
    sid = twin.grant(upload).sid
    assert (await twin.sessions.claim(sid, State.ABORTING, timedelta(seconds=30)))[1]
    gate.open()
    failed = await passing
    assert (failed.reason, failed.metadata["state"]) == (
        "UPLOAD_NOT_ACTIVE",
        "UPLOAD_STATE_ABORTED",
    )


async def until_passing(world: World) -> None:
    """Wait until the service is passing a part: it runs in this loop, over real sockets."""
    await until(lambda: metric(world, "partway_via_service_in_progress") == 1)


# ---- storage failures


TROUBLES = [
    Fault(request_bytes=PART // 2, end=End.RESET),
    Fault(request_bytes=PART // 2, end=End.CLOSE),
    Fault(request_bytes=PART // 2, answer=error_answer("503 Slow Down", "SlowDown")),
    Fault(request_bytes=10, answer=error_answer("500 Error", "InternalError"), end=End.CLOSE),
    LOST["reset"],
]


@pytest.mark.s3
async def test_storage_in_trouble_is_a_reason_to_send_the_part_again(real: Real) -> None:
    body = content(1, PART)
    for policy, fault in product(POLICIES, TROUBLES):
        upload = await real.world.initialize(PART, policy=policy)
        real.relay.on(PUT, fault)
        failed = await failure(pass_part(real.world, upload, 1, body))
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
        real.relay.spare()
        part = await pass_part(real.world, upload, 1, body)
        assert part.etag == hashlib.md5(body).hexdigest()
        done = await real.world.complete(upload)
        assert real.bucket.sha256(done.object.key) == hashlib.sha256(body).hexdigest()


@pytest.mark.s3
async def test_an_upload_that_storage_lost_is_said_to_be_lost(real: Real) -> None:
    upload = await real.world.initialize(PART + 1, policy="open")
    real.bucket.abort_all(upload.object.key)
    failed = await failure(pass_part(real.world, upload, 1, content(1, PART)))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert failed.metadata["abort_reason"] == "ABORT_REASON_LOST"


async def test_another_write_to_the_same_key_is_a_reason_to_wait(twin: World) -> None:
    upload = await twin.initialize(9, policy="open")
    twin.storage.before("put_part", failing(KeyContested()))
    failed = await failure(pass_part(twin, upload, 1, b"123456789"))
    assert (failed.code, failed.reason) == ("ABORTED", "UPLOAD_BUSY")


@pytest.mark.s3
async def test_slow_storage_slows_the_caller_down(clock: FakeClock, s3: S3) -> None:
    size = 64 * 1024 * 1024
    async with Valve(s3.endpoint) as valve:
        async with over_storage(clock, s3, valve.url, put_seconds=1) as world:
            upload = await world.initialize(size, policy="open", part_size_bytes=size)
            await valve.allow(0)
            sent = 0

            async def counted() -> AsyncIterator[pb.UploadPartRequest]:
                nonlocal sent
                yield header(upload, 1)
                for _ in range(size // CHUNK):
                    yield pb.UploadPartRequest(chunk=bytes(CHUNK))
                    sent += CHUNK

            with pytest.raises(grpc.aio.AioRpcError):
                # The status is lost if it arrives during a write:
                # https://github.com/grpc/grpc/issues/36066.
                await world.stub.UploadPart(counted(), metadata=ALICE)
            ended = 'partway_via_service_parts_total{outcome="StorageUnavailable",policy="open"}'
            assert metric(world, ended) == 1
            # The rest of what was sent is in two sockets and gRPC's windows.
            assert sent < size / 4
            assert metric(world, 'partway_via_service_bytes_total{policy="open"}') < size / 6


# ---- the caller's end


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_caller_that_goes_away_leaves_nothing(world: World, policy: str) -> None:
    upload = await world.initialize(PART, policy=policy)
    call = world.stub.UploadPart(metadata=ALICE)
    await call.write(header(upload, 1))
    for message in list(chunks(content(1, PART)))[:-1]:
        await call.write(message)
    await until_passing(world)
    call.cancel()
    await until(lambda: metric(world, "partway_via_service_in_progress") == 0)
    assert await held_parts(world, upload) == []
    await pass_part(world, upload, 1, content(1, PART))
    await world.complete(upload)


async def test_a_caller_that_sends_nothing_more_is_not_waited_for(clock: FakeClock) -> None:
    async with a_memory_world(
        clock, policies=policies("uploads"), call_timeout_seconds=0.2
    ) as world:
        upload = await world.initialize(PART, policy="open")
        call = world.stub.UploadPart(metadata=ALICE)
        await call.write(header(upload, 1))
        failed = await failure(call)
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "TIMED_OUT")
        assert await held_parts(world, upload) == []


async def test_a_message_that_cannot_be_decoded_is_told(twin: World) -> None:
    upload = await twin.initialize(PART, policy="open")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{twin.port}") as channel:
        rpc: Any = channel.stream_unary("/partway.v1.UploadService/UploadPart")
        for messages in ([b"\xff"], [header(upload, 1).SerializeToString(), b"\xff"]):
            failed = await failure(rpc(iter(messages), metadata=ALICE))
            assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "UNDECODABLE_REQUEST")


async def test_parts_beyond_the_limit_are_turned_away_and_let_in_again(clock: FakeClock) -> None:
    async with a_memory_world(clock, policies=policies("uploads"), max_via_service=1) as world:
        upload = await world.initialize(PART, policy="open")
        first = world.stub.UploadPart(metadata=ALICE)
        await first.write(header(upload, 1))
        await until_passing(world)
        failed = await failure(pass_part(world, upload, 1, content(1, PART)))
        assert (failed.code, failed.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        # Calls that carry no part are still admitted.
        assert await world.state(upload) == "ACTIVE"
        first.cancel()
        await until(lambda: metric(world, "partway_via_service_in_progress") == 0)
        await pass_part(world, upload, 1, content(1, PART))


async def test_a_part_under_way_is_finished_before_the_service_stops(clock: FakeClock) -> None:
    async with a_memory_world(clock, policies=policies("uploads")) as world:
        upload = await world.initialize(PART, policy="open")
        call = world.stub.UploadPart(metadata=ALICE)
        await call.write(header(upload, 1))
        await until_passing(world)
        ending = asyncio.create_task(app.finish(world.service, 20))
        for message in chunks(content(1, PART)):
            await call.write(message)
        await call.done_writing()
        assert (await call).part.size_bytes == PART
        await ending


async def test_what_passes_is_counted(clock: FakeClock) -> None:
    storage = MemoryStorage()
    async with a_world(
        clock=clock,
        sessions=MemorySessionStore(clock),
        storage=FaultyObjects(storage),
        put=put_into(storage),
        policies=policies("uploads"),
    ) as world:
        upload = await world.initialize(PART, policy="open")
        await failure(pass_part(world, upload, 1, content(1, 7)))
        await pass_part(world, upload, 1, content(1, PART))
        parts = 'partway_via_service_parts_total{{outcome="{}",policy="open"}}'
        assert metric(world, 'partway_via_service_bytes_total{policy="open"}') == PART
        assert metric(world, parts.format("OK")) == 1
        assert metric(world, parts.format("InvalidRequest")) == 1
        assert metric(world, "partway_via_service_in_progress") == 0
