"""A fake upload service: a dict behind a real gRPC server."""

import asyncio
import hashlib
import time
import uuid
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import anycrc
import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb
from partway.v1 import upload_service_pb2_grpc as service_grpc

from tests.client.storage import Storage

KIB = 1024


@dataclass(frozen=True)
class Failure:
    """A way for a call to fail: a code's name, a reason without prefix ("": none), and details.

    `parts` are the (first, last) numbers of the parts concerned.
    """

    code: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    retry_seconds: float | None = None
    message: str = "as arranged"
    parts: tuple[tuple[int, int], ...] = ()

    def status(self) -> Any:
        status = status_pb2.Status(code=code_pb2.Code.Value(self.code), message=self.message)
        details: list[Message] = []
        if self.reason:
            details.append(
                error_details_pb2.ErrorInfo(
                    reason=f"ERROR_REASON_{self.reason}",
                    domain="partway",
                    metadata=self.metadata,
                )
            )
        if self.parts:
            precondition = error_details_pb2.PreconditionFailure()
            for first, last in self.parts:
                precondition.violations.add(type="ANY", subject=f"parts/{first}-{last}")
            details.append(precondition)
        if self.retry_seconds is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(int(self.retry_seconds * 1000))
            details.append(retry)
        for detail in details:
            status.details.add().Pack(detail)
        return rpc_status.to_status(status)


OVER = (pb.UPLOAD_STATE_COMPLETED, pb.UPLOAD_STATE_ABORTED)
NOT_FOUND = Failure("NOT_FOUND", "UPLOAD_NOT_FOUND", message="there is no such upload")


def not_active(state: "pb.UploadState.ValueType", abort_reason: str = "") -> Failure:
    metadata = {"state": pb.UploadState.Name(state)}
    if abort_reason:
        metadata["abort_reason"] = abort_reason
    return Failure("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE", metadata)


class Service(service_grpc.UploadServiceServicer):
    """A fake service with Uploads by ID. Each call of an RPC uses up one of its `failures`.

    `sids` are those that the keys of the next Uploads contain. `copied` are the sizes of the
    sources of composed Uploads: each answer has one more copied. `polls` is how many answers say
    COMPLETING before one says COMPLETED. New Uploads have `checksum_algorithm`, regardless of the
    request. `etags` selects the entity tags in listings: "plain", "md5", or "hex", which look like
    MD5s but are not. With `lists_checksums`, listings have checksums, too.

    `reported` are the part numbers by Upload. `cut_watches` is how many streams of Watch are cut
    after their first message. `via_service`: parts may go through the service; `offered` is what
    Initialize says about that, if it differs. `stuck`: no part ever finishes.
    """

    def __init__(self, storage: Storage, part_size: int = 64 * KIB) -> None:
        self.storage = storage
        self.part_size = part_size
        self.uploads: dict[str, pb.Upload] = {}
        self.by_request: dict[str, str] = {}
        self.calls: list[tuple[str, Any]] = []
        self.metadata: list[dict[str, str]] = []
        self.deadlines: list[float] = []
        self.failures: dict[str, deque[Failure]] = defaultdict(deque)
        self.sids: deque[str] = deque()
        self.polls = 0
        self.copied: dict[str, list[int]] = {}
        self.via_service = False
        self.offered: bool | None = None
        self.stuck = False
        self.checksum_algorithm = pb.CHECKSUM_ALGORITHM_UNSPECIFIED
        self.etags = "plain"
        self.lists_checksums = False
        self.completions: dict[str, dict[int, bytes]] = {}
        self.reported: dict[str, set[int]] = defaultdict(set)
        self.cut_watches = 0
        self.url_seconds = 900.0
        self.lose_initialize = False
        self.cut_streams = 0
        self.serial = 0
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        service_grpc.add_UploadServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        await self._server.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.stop(0)

    def fail(self, rpc: str, *failures: Failure) -> None:
        self.failures[rpc].extend(failures)

    def count(self, rpc: str) -> int:
        return sum(name == rpc for name, _ in self.calls)

    def requests(self, rpc: str) -> list[Any]:
        return [request for name, request in self.calls if name == rpc]

    def only(self) -> pb.Upload:
        (upload,) = self.uploads.values()
        return upload

    def held(self, upload: pb.Upload) -> dict[int, int]:
        return self.storage.stored[upload.id]

    async def Initialize(self, request: Any, context: Any) -> Any:
        await self._met("Initialize", request, context)
        known = self.by_request.get(request.request_id)
        upload = self.uploads[known] if known else self._new(request)
        if self.lose_initialize:
            self.lose_initialize = False
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost")
        numbers = range(1, min(request.presign_parts, upload.part_count) + 1)
        if self.checksum_algorithm and not (request.checksum and upload.part_count == 1):
            numbers = range(0)
        parts = list(self._presigned(upload, iter(numbers)))
        offered = self.via_service if self.offered is None else self.offered
        limits = service_pb.Limits(via_service=offered)
        return service_pb.InitializeResponse(upload=upload, parts=parts, limits=limits)

    async def PresignParts(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._met("PresignParts", request, context)
        upload = await self._active(request, context)
        numbers = [n for run in request.ranges for n in range(run.first, run.last + 1)]
        for start in range(0, len(numbers), 8):
            batch = numbers[start : start + 8]
            remaining = len(numbers) - start - len(batch)
            if self.cut_streams and not remaining:
                self.cut_streams -= 1
                return
            parts = list(self._presigned(upload, iter(batch)))
            yield service_pb.PresignPartsResponse(parts=parts, remaining_count=remaining)

    async def BatchPresignParts(self, request: Any, context: Any) -> Any:
        raise NotImplementedError("the client takes the stream")

    async def UploadPart(self, requests: AsyncIterator[Any], context: Any) -> Any:
        header = (await anext(aiter(requests))).header
        await self._met("UploadPart", header, context)
        if self.stuck:
            await asyncio.Event().wait()
        if not self.via_service:
            await self._refuse(context, Failure("FAILED_PRECONDITION", "VIA_SERVICE_OFF"))
        upload = await self._active(header, context)
        body = b"".join([request.chunk async for request in requests])
        number = header.part_number
        assert len(body) == self._size(upload, number)
        self.storage.content[upload.id, number] = body
        self.held(upload)[number] = len(body)
        self.storage.on_stored(upload.id, number)
        return service_pb.UploadPartResponse(part=self._part(upload, number))

    async def Complete(self, request: Any, context: Any) -> Any:
        await self._met("Complete", request, context)
        upload = await self._find(request, context)
        if upload.state == pb.UPLOAD_STATE_ACTIVE:
            held = self.held(upload)
            if any(n not in held for n in range(1, upload.part_count + 1)):
                await self._refuse(context, Failure("FAILED_PRECONDITION", "PARTS_MISSING"))
            if any(size != self._size(upload, n) for n, size in held.items()):
                await self._refuse(context, Failure("FAILED_PRECONDITION", "PARTS_MISMATCH"))
            if others := self._others(upload, request.parts):
                runs = tuple((n, n) for n in others)
                await self._refuse(
                    context, Failure("FAILED_PRECONDITION", "PARTS_MISMATCH", parts=runs)
                )
            upload.state = pb.UPLOAD_STATE_COMPLETING
            self.completions[upload.id] = {p.part_number: p.checksum for p in request.parts}
        elif upload.state == pb.UPLOAD_STATE_COMPLETED and request.parts:
            named = {p.part_number: p.checksum for p in request.parts}
            if self.completions.get(upload.id, named) != named:
                await self._refuse(context, Failure("FAILED_PRECONDITION", "COMPLETED_OTHERWISE"))
        elif upload.state == pb.UPLOAD_STATE_ABORTED:
            await self._refuse(context, not_active(upload.state))
        self._step(upload)
        return service_pb.CompleteResponse(upload=upload)

    async def Abort(self, request: Any, context: Any) -> Any:
        await self._met("Abort", request, context)
        upload = await self._find(request, context)
        if upload.state == pb.UPLOAD_STATE_COMPLETED:
            await self._refuse(context, not_active(upload.state))
        upload.state = pb.UPLOAD_STATE_ABORTED
        upload.abort_reason = pb.ABORT_REASON_REQUESTED
        return service_pb.AbortResponse(upload=upload)

    async def Compose(self, request: Any, context: Any) -> Any:
        await self._met("Compose", request, context)
        known = self.by_request.get(request.request_id)
        if known is None:
            for source in request.sources:
                await self._find(source, context)
        upload = self.uploads[known] if known else self._composed(request)
        self._step(upload)
        return service_pb.ComposeResponse(upload=upload)

    async def ListParts(self, request: Any, context: Any) -> Any:
        await self._met("ListParts", request, context)
        upload = await self._active(request, context)
        after = int(request.page_token or 0)
        numbers = [n for n in sorted(self.held(upload)) if n > after]
        page = numbers[:4]
        return service_pb.ListPartsResponse(
            parts=[self._part(upload, n) for n in page],
            next_page_token=str(page[-1]) if len(numbers) > len(page) else "",
        )

    async def CreateUploadToken(self, request: Any, context: Any) -> Any:
        raise NotImplementedError("the client makes no tokens")

    async def BatchInitialize(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def BatchComplete(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def ExtendUpload(self, request: Any, context: Any) -> Any:
        await self._met("ExtendUpload", request, context)
        before = await self._active(request, context)
        extended = pb.Upload()
        extended.CopyFrom(before)
        extended.id = f"{before.id}-extended"
        extended.expire_time.CopyFrom(request.expire_time)
        self.uploads[extended.id] = extended
        return service_pb.ExtendUploadResponse(upload=extended)

    async def PutPart(self, requests: Any, context: Any) -> Any:
        raise NotImplementedError

    async def GetCapabilities(self, request: Any, context: Any) -> Any:
        await self._met("GetCapabilities", request, context)
        photos = service_pb.PolicyCapabilities(
            name="photos",
            min_size_bytes=1,
            max_size_bytes=5_000_000,
            content_types=["image/*"],
            extensions=[service_pb.AllowedExtension(extension="jpg", content_types=["image/jpeg"])],
            required_metadata=["album"],
            # The last is newer than the client.
            checksum_algorithms=[pb.CHECKSUM_ALGORITHM_SHA256, pb.CHECKSUM_ALGORITHM_NONE, 99],  # type: ignore[list-item]
            default_checksum_algorithm=pb.CHECKSUM_ALGORITHM_NONE,
            min_part_size_bytes=1_000,
            default_part_size_bytes=2_000,
            max_part_size_bytes=3_000,
            single_put_max_bytes=1_000,
            upload_lifetime=Duration(seconds=24 * 3600),
            max_upload_lifetime=Duration(seconds=36 * 3600),
            url_lifetime=Duration(seconds=900),
            max_url_lifetime=Duration(seconds=905),
        )
        return service_pb.GetCapabilitiesResponse(
            version="1.2.3",
            policies=[photos],
            max_batch_uploads=100,
            max_batch_parts=1_000,
            max_compose_sources=32,
        )

    async def GetUsage(self, request: Any, context: Any) -> Any:
        await self._met("GetUsage", request, context)
        tenant = [
            service_pb.Usage(limit="open_uploads", used=12, max=10_000),
            service_pb.Usage(limit="open_bytes", used=5_000_000_000),
        ]
        subject = [
            service_pb.Usage(limit="open_uploads", used=1),
            service_pb.Usage(limit="open_bytes", used=0, max=7_000_000),
        ]
        return service_pb.GetUsageResponse(tenant=tenant, subject=subject)

    async def Status(self, request: Any, context: Any) -> Any:
        await self._met("Status", request, context)
        upload = await self._find(request, context)
        self._step(upload)
        held = self.held(upload)
        return service_pb.StatusResponse(
            upload=upload,
            progress=pb.Progress(
                parts_stored=len(held),
                bytes_stored=sum(held.values()),
                missing=[
                    pb.PartRange(first=n, last=n)
                    for n in range(1, upload.part_count + 1)
                    if n not in held
                ],
            ),
        )

    async def ListUploads(self, request: Any, context: Any) -> Any:
        await self._met("ListUploads", request, context)
        chosen = [
            upload
            for upload in reversed(self.uploads.values())
            if request.state in (pb.UPLOAD_STATE_UNSPECIFIED, upload.state)
            and request.fingerprint in ("", upload.fingerprint)
            and request.policy in ("", upload.policy)
            and _begun_between(request, upload)
        ]
        start = int(request.page_token or 0)
        more = len(chosen) > start + 2
        return service_pb.ListUploadsResponse(
            uploads=chosen[start : start + 2], next_page_token=str(start + 2) if more else ""
        )

    async def ReportParts(self, request: Any, context: Any) -> Any:
        await self._met("ReportParts", request, context)
        upload = await self._active(request, context)
        self.reported[upload.id].update(part.part_number for part in request.parts)
        return service_pb.ReportPartsResponse(reported=self._told(upload))

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._met("Watch", request, context)
        upload = await self._find(request, context)
        shown = None
        while True:
            message = service_pb.WatchResponse(upload=upload)
            if upload.state not in OVER:
                message.reported.CopyFrom(self._told(upload))
            if message != shown:
                shown = message
                yield message
                if upload.state in OVER:
                    return
                if self.cut_watches:
                    self.cut_watches -= 1
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "the service is stopping")
            # Tests change the Upload directly, without a notification.
            await asyncio.sleep(0.002)

    def _others(self, upload: pb.Upload, named: Any) -> list[int]:
        """Return the parts whose entity tag differs from the one named. Storage returns MD5s."""
        if self.etags != "md5":
            return []
        tags = {p.part_number: p.etag for p in named if p.etag}
        return [n for n, etag in tags.items() if etag != self._part(upload, n).etag]

    def _told(self, upload: pb.Upload) -> pb.Progress:
        numbers = self.reported[upload.id]
        return pb.Progress(
            parts_stored=len(numbers),
            bytes_stored=sum(self._size(upload, n) for n in numbers),
            missing=[
                pb.PartRange(first=n, last=n)
                for n in range(1, upload.part_count + 1)
                if n not in numbers
            ],
        )

    def _part(self, upload: pb.Upload, number: int) -> pb.Part:
        body = self.storage.content.get((upload.id, number), b"")
        digest = hashlib.md5(body).hexdigest()
        crc = anycrc.Model("CRC64-NVME").calc(body).to_bytes(8, "big")
        return pb.Part(
            part_number=number,
            size_bytes=self.held(upload)[number],
            etag={"plain": f"e{number}", "md5": digest, "hex": digest[::-1]}[self.etags],
            checksum=crc if self.lists_checksums else b"",
        )

    def _new(self, request: Any) -> pb.Upload:
        upload_id = f"id-{uuid.uuid4().hex}"
        size = request.size_bytes
        part_size = request.part_size_bytes or self.part_size
        count = max(1, -(-size // part_size))
        key = f"files/{request.file_name}"
        if self.sids:
            key = f"files/{self.sids.popleft()}-{'0' * 28}/{request.file_name}"
        upload = pb.Upload(
            id=upload_id,
            state=pb.UPLOAD_STATE_ACTIVE,
            policy=request.policy or "default",
            object=pb.StoredObject(bucket="bucket", key=key, uri=f"s3://bucket/{key}"),
            size_bytes=size,
            part_size_bytes=part_size,
            part_count=count,
            last_part_size_bytes=size - (count - 1) * part_size,
            content_type=request.content_type,
            checksum_algorithm=self.checksum_algorithm,
            fingerprint=request.fingerprint,
        )
        upload.create_time.GetCurrentTime()
        upload.expire_time.FromSeconds(int(time.time()) + 86_400)
        self.uploads[upload_id] = upload
        if request.request_id:
            self.by_request[request.request_id] = upload_id
        return upload

    def _composed(self, request: Any) -> pb.Upload:
        sizes = [self.uploads[source.upload_id].size_bytes for source in request.sources]
        upload = self._new(
            service_pb.InitializeRequest(
                file_name=request.file_name,
                size_bytes=sum(sizes),
                part_size_bytes=max(sizes),
                content_type=request.content_type,
                request_id=request.request_id,
            )
        )
        upload.part_count = upload.source_count = len(sizes)
        self.copied[upload.id] = sizes
        return upload

    def _size(self, upload: pb.Upload, number: int) -> int:
        last = number == upload.part_count
        return upload.last_part_size_bytes if last else upload.part_size_bytes

    def _presigned(self, upload: pb.Upload, numbers: Iterator[int]) -> Iterator[pb.PresignedPart]:
        for number in numbers:
            self.serial += 1
            part = pb.PresignedPart(
                part_number=number,
                method="PUT",
                # The signature has an escape that must arrive as it is.
                url=f"{self.storage.base}/bucket/{number}?partNumber={number}"
                f"&serial={self.serial}&uploadId={upload.id}&X-Amz-Signature=s3cr%2Ft%20",
                headers={"x-amz-signed": "1"},
                offset_bytes=(number - 1) * upload.part_size_bytes,
                size_bytes=self._size(upload, number),
            )
            part.expire_time.FromMilliseconds(int((time.time() + self.url_seconds) * 1000))
            yield part

    def _step(self, upload: pb.Upload) -> None:
        if upload.state == pb.UPLOAD_STATE_ACTIVE and (sizes := self.copied.get(upload.id)):
            held = self.held(upload)
            held[len(held) + 1] = sizes[len(held)]
            if len(held) == len(sizes):
                upload.state = pb.UPLOAD_STATE_COMPLETING
            return
        if upload.state != pb.UPLOAD_STATE_COMPLETING:
            return
        if self.polls > 0:
            self.polls -= 1
            return
        upload.state = pb.UPLOAD_STATE_COMPLETED
        upload.object.etag = "final"
        upload.object.size_bytes = upload.size_bytes

    async def _met(self, rpc: str, request: Any, context: Any) -> None:
        self.calls.append((rpc, request))
        self.metadata.append(dict(context.invocation_metadata()))
        self.deadlines.append(context.time_remaining() or float("inf"))
        await asyncio.sleep(0)
        if self.failures[rpc]:
            await self._refuse(context, self.failures[rpc].popleft())

    async def _find(self, request: Any, context: Any) -> pb.Upload:
        upload = self.uploads.get(request.upload_id)
        if upload is None:
            await self._refuse(context, NOT_FOUND)
        assert upload is not None
        return upload

    async def _active(self, request: Any, context: Any) -> pb.Upload:
        upload = await self._find(request, context)
        if upload.state != pb.UPLOAD_STATE_ACTIVE:
            await self._refuse(context, not_active(upload.state))
        return upload

    async def _refuse(self, context: Any, failure: Failure) -> None:
        await context.abort_with_status(failure.status())


def _begun_between(request: Any, upload: pb.Upload) -> bool:
    begun = upload.create_time.ToNanoseconds()
    if request.HasField("created_from") and begun < request.created_from.ToNanoseconds():
        return False
    until = request.created_before.ToNanoseconds()
    return not request.HasField("created_before") or begun < until
