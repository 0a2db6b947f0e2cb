"""The previous and the present version as one caller uses them, and what the caller sends."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anycrc
import grpc
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

from tests.support.previous_version import VERSIONS, VersionedService
from tests.support.storage import Put
from tests.support.world import content, failure

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

MIB = 1024 * 1024
PART = 5 * MIB
TWO_PARTS = {"size_bytes": PART + 7, "part_size_bytes": PART}
SMALL = {"size_bytes": 1000}
SHA256 = upload_pb2.CHECKSUM_ALGORITHM_SHA256
CRC64NVME = upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME

_CRC64NVME = anycrc.Model("CRC64-NVME")
_WHOLE = int(_CRC64NVME.calc(content(1, PART) + content(2, 7))).to_bytes(8, "big")

KINDS: dict[str, dict[str, Any]] = {
    "multipart": TWO_PARTS,
    "multipart with SHA-256": {**TWO_PARTS, "checksum_algorithm": SHA256},
    "multipart with one checksum": {
        **TWO_PARTS,
        "checksum_algorithm": CRC64NVME,
        "checksum": _WHOLE,
    },
    "single PUT": SMALL,
    "single PUT with SHA-256": {**SMALL, "checksum_algorithm": SHA256},
}

ACTIVE = upload_pb2.UPLOAD_STATE_ACTIVE
COMPLETED = upload_pb2.UPLOAD_STATE_COMPLETED
ABORTED = upload_pb2.UPLOAD_STATE_ABORTED

_CALL_SECONDS = 20.0
_RETRY_SECONDS = 0.1
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions, as one caller uses it. Calls are retried where they may be."""

    service: VersionedService
    stub: "UploadServiceAsyncStub"
    caller: tuple[tuple[str, str], ...]
    put: Put

    async def call(self, name: str, request: Any) -> Any:
        """Call the RPC; retry for as long as the service answers that this may help."""

        async def once() -> Any:
            return await getattr(self.stub, name)(
                request, metadata=self.caller, timeout=_CALL_SECONDS
            )

        return in_common(await insist(once))

    async def initialize(self, **fields: Any) -> upload_pb2.Upload:
        request = pb.InitializeRequest(**{"file_name": "film.mp4", **fields})
        upload: upload_pb2.Upload = (await self.call("Initialize", request)).upload
        return upload

    async def send(self, upload: upload_pb2.Upload, *numbers: int) -> list[upload_pb2.Part]:
        """Send the parts of these numbers, by default those that storage lacks, and return them.

        Where parts have checksums, the default is all of them.
        """
        algorithm = upload.checksum_algorithm
        if algorithm and not numbers:
            numbers = tuple(range(1, upload.part_count + 1))
        request = pb.PresignPartsRequest(
            upload_id=upload.id,
            ranges=[upload_pb2.PartRange(first=number, last=number) for number in numbers],
            checksums=[
                pb.PartChecksum(part_number=n, checksum=checksum(algorithm, part_body(upload, n)))
                for n in (numbers if algorithm else ())
            ],
        )
        stream = self.stub.PresignParts(request, metadata=self.caller, timeout=_CALL_SECONDS)
        sent = []
        for part in [part async for message in stream for part in message.parts]:
            number, size = part.part_number, part.size_bytes
            reply = await self.put(part.url, part_body(upload, number), part.headers)
            assert reply.status == 200, reply
            sent.append(upload_pb2.Part(part_number=number, size_bytes=size, etag=reply.etag))
        return sent

    async def send_through(self, upload: upload_pb2.Upload, number: int) -> upload_pb2.Part:
        """Send a part through the service."""
        data = part_body(upload, number)
        header = pb.UploadPartHeader(upload_id=upload.id, part_number=number)

        async def messages() -> AsyncIterator[pb.UploadPartRequest]:
            yield pb.UploadPartRequest(header=header)
            for start in range(0, len(data), _CHUNK):
                yield pb.UploadPartRequest(chunk=data[start : start + _CHUNK])

        call = self.stub.UploadPart(messages(), metadata=self.caller, timeout=_CALL_SECONDS)
        return (await call).part

    async def report(self, upload: upload_pb2.Upload, *parts: upload_pb2.Part) -> None:
        request = pb.ReportPartsRequest(upload_id=upload.id, parts=parts)
        for result in (await self.call("ReportParts", request)).results:
            assert not result.HasField("status"), result

    async def parts(self, upload: upload_pb2.Upload) -> list[upload_pb2.Part]:
        request = pb.ListPartsRequest(upload_id=upload.id)
        return list((await self.call("ListParts", request)).parts)

    async def status(self, upload: upload_pb2.Upload) -> pb.StatusResponse:
        request = pb.StatusRequest(upload_id=upload.id, view=pb.STATUS_VIEW_PROGRESS)
        response: pb.StatusResponse = await self.call("Status", request)
        return response

    def watch(self, upload: upload_pb2.Upload) -> Any:
        request = pb.WatchRequest(upload_id=upload.id)
        return self.stub.Watch(request, metadata=self.caller, timeout=_CALL_SECONDS)

    async def complete(self, upload: upload_pb2.Upload) -> upload_pb2.Upload:
        """Complete the upload, and wait until storage has joined the parts."""
        async with asyncio.timeout(_CALL_SECONDS):
            while True:
                request = pb.CompleteRequest(upload_id=upload.id)
                done: upload_pb2.Upload = (await self.call("Complete", request)).upload
                if done.state != upload_pb2.UPLOAD_STATE_COMPLETING:
                    return done
                await asyncio.sleep(_RETRY_SECONDS)

    async def abort(self, upload: upload_pb2.Upload) -> upload_pb2.Upload:
        request = pb.AbortRequest(upload_id=upload.id)
        aborted: upload_pb2.Upload = (await self.call("Abort", request)).upload
        return aborted

    async def compose(self, *sources: upload_pb2.Upload, **fields: Any) -> upload_pb2.Upload:
        named = [pb.ComposeSource(upload_id=source.id) for source in sources]
        request = pb.ComposeRequest(**{"file_name": "whole.mp4", "sources": named, **fields})
        made = (await self.call("Compose", request)).upload
        return (
            made if made.state == upload_pb2.UPLOAD_STATE_COMPLETED else await self.complete(made)
        )

    async def listed(self, **fields: Any) -> pb.ListUploadsResponse:
        request = pb.ListUploadsRequest(**fields)
        response: pb.ListUploadsResponse = await self.call("ListUploads", request)
        return response


Pair = tuple[Side, Side]
"""The side that makes an upload, and the other one."""


@contextlib.asynccontextmanager
async def as_caller(
    service: VersionedService, put: Put, tenant: str, subject: str = "alice"
) -> AsyncIterator[Side]:
    """Use the service as that caller."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        caller = (("partway-tenant", tenant), ("partway-subject", subject))
        yield Side(service, UploadServiceStub(channel), caller, put)


@contextlib.asynccontextmanager
async def sides(
    services: dict[str, VersionedService], first: str, put: Put, tenant: str
) -> AsyncIterator[Pair]:
    [other] = set(VERSIONS) - {first}
    async with (
        as_caller(services[first], put, tenant) as one,
        as_caller(services[other], put, tenant) as two,
    ):
        yield one, two


async def insist(call: Callable[[], Awaitable[Any]]) -> Any:
    """Retry a call that answers that it may be retried, as every client does, for 20 s."""
    async with asyncio.timeout(_CALL_SECONDS):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code().name not in ("UNAVAILABLE", "ABORTED"):
                    raise
            await asyncio.sleep(_RETRY_SECONDS)


async def completed(maker: Side, **fields: Any) -> upload_pb2.Upload:
    upload = await maker.initialize(**fields)
    await maker.send(upload)
    return await maker.complete(upload)


def part_body(upload: upload_pb2.Upload, number: int) -> bytes:
    """Return the bytes that tests send as this part."""
    last = number == upload.part_count
    return content(number, upload.last_part_size_bytes if last else upload.part_size_bytes)


def body(upload: upload_pb2.Upload) -> bytes:
    """Return all bytes of the object."""
    return b"".join(part_body(upload, n) for n in range(1, upload.part_count + 1))


def checksum(algorithm: int, data: bytes) -> bytes:
    """Return the checksum by one of the algorithms used in these tests; b"" without one."""
    if algorithm == upload_pb2.CHECKSUM_ALGORITHM_SHA256:
        return hashlib.sha256(data).digest()
    if algorithm == upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME:
        return int(_CRC64NVME.calc(data)).to_bytes(8, "big")
    assert algorithm == upload_pb2.CHECKSUM_ALGORITHM_UNSPECIFIED
    return b""


def sha256(upload: upload_pb2.Upload) -> str:
    return hashlib.sha256(body(upload)).hexdigest()


async def refusal(call: Awaitable[Any]) -> tuple[str, str]:
    found = await failure(call)
    return found.code, found.reason


def in_common(message: Any) -> Any:
    """Return an answer without what the contract has said since the previous version.

    That version says UNSPECIFIED for no checksum, and not when to ask again.
    """
    if isinstance(message, upload_pb2.Upload):
        message.ClearField("retry_delay")
        if message.checksum_algorithm == upload_pb2.CHECKSUM_ALGORITHM_NONE:
            message.checksum_algorithm = upload_pb2.CHECKSUM_ALGORITHM_UNSPECIFIED
    for name in ("upload", "uploads"):
        inner = getattr(message, name, None)
        for each in inner if name == "uploads" and inner else [inner] if inner else []:
            in_common(each)
    return message


def sid_of(upload: upload_pb2.Upload) -> str:
    """Return the sid: the default key template contains it, followed by a mark."""
    return upload.object.key.split("/")[-2].partition("-")[0]
