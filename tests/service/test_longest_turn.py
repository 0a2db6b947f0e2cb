"""Tests that no call holds the event loop for long at the largest input that the contract allows.

What is counted are instructions of the interpreter in one round of the loop, which is what a small
call waits for: the same on any machine, however busy.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.grant import CopySource
from partway_server.domain.part_plan import MAX_PARTS
from partway_server.domain.policy import Policy

from tests.support.calls import METHODS, call, send_part
from tests.support.clock import FakeClock
from tests.support.rounds import Rounds, counted_rounds
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, PART, World

MOST_STEPS = 125_000
"""About 5 ms where the interpreter takes 30 million instructions a second."""

CHUNK = 1024 * 1024
SHA256 = upload_pb2.CHECKSUM_ALGORITHM_SHA256
DIGEST = hashlib.sha256(b"").digest()

Largest = Callable[[World], Awaitable[Sequence[Message]]]


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    open_policy = Policy("open", "uploads", via_service=True, single_put_max_bytes=0)
    async with a_memory_world(clock, policies=[open_policy]) as started:
        yield started


async def opened(world: World, count: int = MAX_PARTS, **fields: Any) -> upload_pb2.Upload:
    return await world.initialize(count * PART, **fields)


async def source(world: World, size: int = PART) -> tuple[upload_pb2.Upload, CopySource]:
    """Return a completed upload of one PUT, and what its parts can be copied from."""
    upload = await world.initialize(size)
    await world.send(upload)
    await world.complete(upload)
    grant = world.grant(upload)
    head = await world.storage.head(grant)
    assert head is not None
    return upload, CopySource(grant.bucket, grant.key, size, head.etag, grant.write_token)


async def fill(
    world: World, uploads: Iterable[upload_pb2.Upload], every: int = 1
) -> list[upload_pb2.Part]:
    """Have storage hold parts of the uploads; return those of the last as a caller names them."""
    _, copied = await source(world)
    for upload in uploads:
        grant = world.grant(upload)
        for number in range(1, upload.part_count + 1, every):
            await world.storage.copy_part(grant, number, copied, 0, PART)
    return [
        upload_pb2.Part(part_number=p.number, size_bytes=PART, etag=p.etag, checksum=DIGEST)
        for p in await world.storage.list_parts(grant)
    ]


async def initialize(world: World) -> Sequence[Message]:
    metadata = {f"key-{n}": "v" * 50 for n in range(32)}
    return [
        pb.InitializeRequest(size_bytes=MAX_PARTS * PART, presign_parts=1000, metadata=metadata)
    ]


async def batch_initialize(world: World) -> Sequence[Message]:
    request = pb.InitializeRequest(size_bytes=MAX_PARTS * PART, presign_parts=10)
    return [pb.BatchInitializeRequest(requests=[request] * 100)]


async def extend_upload(world: World) -> Sequence[Message]:
    upload = await opened(world)
    later = Timestamp(seconds=upload.expire_time.seconds + 3600)
    return [pb.ExtendUploadRequest(upload_id=upload.id, expire_time=later)]


async def presign_parts(world: World) -> Sequence[Message]:
    upload = await opened(world, checksum_algorithm=SHA256)
    ranges = [upload_pb2.PartRange(first=n, last=n + 9) for n in range(1, MAX_PARTS, 10)]
    return [
        pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges, checksums=checksums(MAX_PARTS))
    ]


async def batch_presign_parts(world: World) -> Sequence[Message]:
    upload = await opened(world, checksum_algorithm=SHA256)
    ranges = [upload_pb2.PartRange(first=n, last=n) for n in range(1, 1001)]
    return [
        pb.BatchPresignPartsRequest(upload_id=upload.id, ranges=ranges, checksums=checksums(1000))
    ]


def checksums(count: int) -> list[pb.PartChecksum]:
    return [pb.PartChecksum(part_number=n, checksum=DIGEST) for n in range(1, count + 1)]


async def complete(world: World, count: int = MAX_PARTS) -> Sequence[Message]:
    upload = await opened(world, count, checksum_algorithm=SHA256)
    return [pb.CompleteRequest(upload_id=upload.id, parts=await fill(world, [upload]))]


async def batch_complete(world: World) -> Sequence[Message]:
    uploads = [await opened(world, 100, checksum_algorithm=SHA256) for _ in range(100)]
    named = await fill(world, uploads)
    requests = [pb.CompleteRequest(upload_id=each.id, parts=named) for each in uploads]
    return [pb.BatchCompleteRequest(requests=requests)]


async def abort(world: World) -> Sequence[Message]:
    upload = await opened(world)
    await fill(world, [upload])
    return [pb.AbortRequest(upload_id=upload.id)]


async def list_parts(world: World) -> Sequence[Message]:
    upload = await opened(world)
    await fill(world, [upload])
    return [pb.ListPartsRequest(upload_id=upload.id, page_size=1000)]


async def report_parts(world: World) -> Sequence[Message]:
    upload = await opened(world)
    # Half of them are as planned, and half have everything wrong.
    wrong = {"size_bytes": 1, "etag": "e" * 129, "checksum": b"c"}
    parts = [
        upload_pb2.Part(part_number=n, **(wrong if n % 2 else {"size_bytes": PART}))
        for n in range(1, 1001)
    ]
    return [pb.ReportPartsRequest(upload_id=upload.id, parts=parts)]


async def upload_part(world: World) -> Sequence[Message]:
    upload = await opened(world, 1, policy="open", checksum_algorithm=SHA256)
    header = pb.UploadPartHeader(upload_id=upload.id, part_number=1, checksum=part_digest())
    chunks = [pb.UploadPartRequest(chunk=b"." * CHUNK) for _ in range(PART // CHUNK)]
    return [pb.UploadPartRequest(header=header), *chunks]


async def put_part(world: World) -> Sequence[Message]:
    upload = await opened(world, 1, policy="open", checksum_algorithm=SHA256)
    first = pb.PutPartRequest(upload_id=upload.id, part_number=1, checksum=part_digest())
    bodies = [pb.PutPartRequest(body=HttpBody(data=b"." * CHUNK)) for _ in range(PART // CHUNK)]
    return [first, *bodies]


def part_digest() -> bytes:
    return hashlib.sha256(b"." * PART).digest()


async def status(world: World) -> Sequence[Message]:
    upload = await opened(world)
    await fill(world, [upload], every=2)
    await report_half(world, upload)
    return [pb.StatusRequest(upload_id=upload.id, view=pb.STATUS_VIEW_PROGRESS)]


async def watch(world: World) -> Sequence[Message]:
    upload = await opened(world)
    await report_half(world, upload)
    return [pb.WatchRequest(upload_id=upload.id)]


async def report_half(world: World, upload: upload_pb2.Upload) -> None:
    row = await world.sessions.get(world.grant(upload).sid)
    assert row is not None
    assert await world.sessions.report(row, range(1, MAX_PARTS + 1, 2))


async def compose(world: World) -> Sequence[Message]:
    sources = [pb.ComposeSource(upload_id=(await source(world))[0].id) for _ in range(32)]
    return [pb.ComposeRequest(sources=sources)]


async def list_uploads(world: World) -> Sequence[Message]:
    for _ in range(200):
        await opened(world)
    return [pb.ListUploadsRequest(page_size=200)]


async def create_upload_token(world: World) -> Sequence[Message]:
    upload = await opened(world)
    spec = pb.UploadTokenSpec(actions=[pb.UPLOAD_ACTION_STATUS] * 100)
    return [pb.CreateUploadTokenRequest(upload_id=upload.id, spec=spec)]


async def nothing_but(request: Message) -> Sequence[Message]:
    return [request]


LARGEST: Mapping[str, Largest] = {
    "Initialize": initialize,
    "BatchInitialize": batch_initialize,
    "ExtendUpload": extend_upload,
    "PresignParts": presign_parts,
    "BatchPresignParts": batch_presign_parts,
    "Complete": complete,
    "BatchComplete": batch_complete,
    "Abort": abort,
    "ListParts": list_parts,
    "ReportParts": report_parts,
    "UploadPart": upload_part,
    "PutPart": put_part,
    "Status": status,
    "Watch": watch,
    "Compose": compose,
    "ListUploads": list_uploads,
    "CreateUploadToken": create_upload_token,
    "GetUsage": lambda world: nothing_but(pb.GetUsageRequest()),
    "GetCapabilities": lambda world: nothing_but(pb.GetCapabilitiesRequest()),
}
"""For each RPC, its largest request: the messages of a stream, or one."""


async def counted(world: World, name: str, messages: Sequence[Message]) -> Rounds:
    with counted_rounds() as rounds:
        if METHODS[name].client_streaming:
            await send_part(getattr(world.stub, name)(iter(messages), metadata=ALICE))
        elif name == "Watch":
            watching = world.stub.Watch(messages[0], metadata=ALICE)
            assert await anext(aiter(watching))
            watching.cancel()
        else:
            await call(world.stub, name, messages[0])
    return rounds


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
async def test_no_call_holds_the_event_loop(world: World, name: str) -> None:
    rounds = await counted(world, name, await LARGEST[name](world))
    assert 0 < rounds.longest <= MOST_STEPS


@pytest.mark.slow
async def test_ten_times_the_parts_cost_ten_times_the_steps(world: World) -> None:
    few = await counted(world, "Complete", await complete(world, 1000))
    many = await counted(world, "Complete", await complete(world, MAX_PARTS))
    assert many.total <= 10.5 * few.total
