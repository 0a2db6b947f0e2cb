"""What one caller does, call by call: the kinds of life that a load is mixed of."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

from google.api import httpbody_pb2
from google.protobuf import timestamp_pb2
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from tests.support.load.caller import Caller

MIB = 1024 * 1024
PART = 5 * MIB
_SMALL_BYTES = 4096
_CHUNK = MIB

Life = Callable[[Caller], Awaitable[None]]


async def small_file(caller: Caller) -> None:
    """Upload a small file, look at it before and after, and watch its end."""
    body = _body(caller)
    made = await caller.call("Initialize", _request(len(body), presign_parts=1))
    watch = asyncio.ensure_future(caller.watch(made.upload.id))
    try:
        await caller.put(made.parts[0], body)
        await caller.call("Status", _status(made.upload, pb.STATUS_VIEW_PROGRESS))
        caller.acknowledge(await caller.complete(made.upload.id), body)
        await caller.call("Status", _status(made.upload))
        await watch
    finally:
        watch.cancel()
        await asyncio.wait({watch})


async def thrown_away(caller: Caller) -> None:
    """Begin an upload of one part, look at it, and abort it."""
    made = await caller.call("Initialize", _request(1 + _SMALL_BYTES))
    await caller.call("Status", _status(made.upload))
    await caller.read("PresignParts", pb.PresignPartsRequest(upload_id=made.upload.id))
    await caller.call("Abort", pb.AbortRequest(upload_id=made.upload.id))
    await caller.call("Status", _status(made.upload))


async def planned(caller: Caller) -> None:
    """Begin an upload of several parts, ask for URLs in both ways, extend it, and abort it."""
    request = _request(2 * PART + 7, part_size_bytes=PART)
    upload = (await caller.call("Initialize", request)).upload
    await caller.read("PresignParts", pb.PresignPartsRequest(upload_id=upload.id))
    ranges = [upload_pb2.PartRange(first=1, last=2)]
    batch = pb.BatchPresignPartsRequest(upload_id=upload.id, ranges=ranges)
    await caller.call("BatchPresignParts", batch)
    await caller.call("ListParts", pb.ListPartsRequest(upload_id=upload.id))
    await caller.call("Abort", pb.AbortRequest(upload_id=upload.id))


async def glance(caller: Caller) -> None:
    """Ask for what a page of a caller's uploads shows."""
    await caller.call("GetCapabilities", pb.GetCapabilitiesRequest())
    await caller.call("GetUsage", pb.GetUsageRequest())
    await caller.call("ListUploads", pb.ListUploadsRequest(page_size=10))


async def batch(caller: Caller) -> None:
    """Upload three small files by a call of each kind for all of them."""
    bodies = [_body(caller) for _ in range(3)]
    requests = [_request(len(body), presign_parts=1) for body in bodies]
    opened = await caller.call("BatchInitialize", pb.BatchInitializeRequest(requests=requests))
    made = [each.response for each in opened.results]
    for each, body in zip(made, bodies, strict=True):
        await caller.put(each.parts[0], body)
    completes = [pb.CompleteRequest(upload_id=each.upload.id) for each in made]
    done = await caller.call("BatchComplete", pb.BatchCompleteRequest(requests=completes))
    for result, body in zip(done.results, bodies, strict=True):
        caller.acknowledge(result.response.upload, body)


async def in_parts(caller: Caller) -> None:
    """Upload two parts straight to storage, with a token for the upload, and report them."""
    body = caller.chance.randbytes(PART + 7)
    request = _request(len(body), part_size_bytes=PART, presign_parts=2)
    made = await caller.call("Initialize", request)
    upload = made.upload
    until = datetime.now(UTC) + timedelta(days=7)
    extend = pb.ExtendUploadRequest(upload_id=upload.id, expire_time=_timestamp(until))
    upload = (await caller.call("ExtendUpload", extend)).upload
    await caller.call("CreateUploadToken", pb.CreateUploadTokenRequest(upload_id=upload.id))
    for part in made.parts:
        begin = (part.part_number - 1) * PART
        etag = await caller.put(part, body[begin : begin + part.size_bytes])
        sent = upload_pb2.Part(part_number=part.part_number, size_bytes=part.size_bytes, etag=etag)
        report = pb.ReportPartsRequest(upload_id=upload.id, parts=[sent])
        await caller.call("ReportParts", report)
    caller.acknowledge(await caller.complete(upload.id), body)


async def through_the_service(caller: Caller) -> None:
    """Send two uploads of one part through the service, and compose a third of them."""
    uploads = []
    for send in (_upload_part, _put_part):
        body = caller.chance.randbytes(PART)
        request = _request(PART, part_size_bytes=PART)
        request.mode = pb.UPLOAD_MODE_MULTIPART
        upload = (await caller.call("Initialize", request)).upload
        await send(caller, upload, body)
        uploads.append((await caller.complete(upload.id), body))
    sources = [pb.ComposeSource(upload_id=upload.id) for upload, _ in uploads]
    composed = pb.ComposeRequest(file_name="c.bin", sources=sources, request_id=_id())
    whole = (await caller.call("Compose", composed)).upload
    uploads.append((await caller.complete(whole.id), b"".join(body for _, body in uploads)))
    # Not before: whoever looks an upload up may remove it then.
    for upload, body in uploads:
        caller.acknowledge(upload, body)


async def _upload_part(caller: Caller, upload: upload_pb2.Upload, body: bytes) -> None:
    async def messages() -> AsyncIterator[pb.UploadPartRequest]:
        header = pb.UploadPartHeader(upload_id=upload.id, part_number=1)
        yield pb.UploadPartRequest(header=header)
        for begin in range(0, len(body), _CHUNK):
            yield pb.UploadPartRequest(chunk=body[begin : begin + _CHUNK])

    await caller.send("UploadPart", messages)


async def _put_part(caller: Caller, upload: upload_pb2.Upload, body: bytes) -> None:
    async def messages() -> AsyncIterator[pb.PutPartRequest]:
        for begin in range(0, len(body), _CHUNK):
            chunk = httpbody_pb2.HttpBody(data=body[begin : begin + _CHUNK])
            named = {} if begin else {"upload_id": upload.id, "part_number": 1}
            yield pb.PutPartRequest(body=chunk, **named)

    await caller.send("PutPart", messages)


def _request(size: int, **fields: int) -> pb.InitializeRequest:
    return pb.InitializeRequest(file_name="a.bin", size_bytes=size, request_id=_id(), **fields)


def _id() -> str:
    # Not from the seed: another load on the same Redis would ask for the same uploads.
    return str(uuid.uuid4())


def _body(caller: Caller) -> bytes:
    return caller.chance.randbytes(caller.chance.randint(1, _SMALL_BYTES))


def _status(upload: upload_pb2.Upload, view: "pb.StatusView.ValueType" = 0) -> pb.StatusRequest:
    return pb.StatusRequest(upload_id=upload.id, view=view)


def _timestamp(moment: datetime) -> timestamp_pb2.Timestamp:
    found = timestamp_pb2.Timestamp()
    found.FromDatetime(moment)
    return found


OF_CHANGES: dict[Life, float] = {small_file: 1, thrown_away: 5, planned: 1, glance: 2}
"""How often each life begins, to the others, while something changes: by calls, about one in six
belongs to a file that is really sent."""

OF_A_SOAK: dict[Life, float] = {
    small_file: 20,
    thrown_away: 20,
    planned: 10,
    glance: 10,
    batch: 5,
    in_parts: 1,
    through_the_service: 1,
}
"""Every RPC."""
