"""The RPCs of a fake service: convert, call, answer."""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from grpc_status import rpc_status
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb
from partway.v1 import upload_service_pb2_grpc as service_grpc

from partway_client.testing.fake_answers import (
    BATCH_PARTS,
    capabilities,
    is_wanted,
    page_of,
    results_of,
    status_of,
    token_of,
    whole_part,
)
from partway_client.testing.fake_uploads import URL_SECONDS, FakeUpload, FakeUploads, Refusal

R = TypeVar("R", bound=Message)
Method = Callable[["FakeRpcs", Any], R]

_WATCH_SECONDS = 1.0
"""How often a Watch looks whether its caller is still there."""


@dataclass(slots=True)
class Recorder:
    """What was called, and the refusals that the next calls of an RPC get."""

    calls: list[tuple[str, Message]] = field(default_factory=list)
    refusals: dict[str, deque[Refusal]] = field(default_factory=dict)

    def meet(self, rpc: str, request: Message) -> None:
        """Record a call. Raises Refusal if a test has arranged one."""
        self.calls.append((rpc, request))
        if waiting := self.refusals.get(rpc):
            raise waiting.popleft()


def _answers(rpc: str) -> Callable[[Method[R]], Callable[["FakeRpcs", Any, Any], R]]:
    """Make a method answer an RPC, while nothing else changes, or with the code of a Refusal."""

    def decorate(method: Method[R]) -> Callable[["FakeRpcs", Any, Any], R]:
        @functools.wraps(method)
        def answer(self: "FakeRpcs", request: Any, context: grpc.ServicerContext) -> R:
            try:
                with self.uploads.changed:
                    self.recorder.meet(rpc, request)
                    answered = method(self, request)
                    self.uploads.changed.notify_all()
                    return answered
            except Refusal as refusal:
                context.abort_with_status(rpc_status.to_status(status_of(refusal)))
                raise

        return answer

    return decorate


class FakeRpcs(service_grpc.UploadServiceServicer):
    """Answers the calls of one fake service. `url_of` returns where a part of an upload is sent."""

    def __init__(
        self,
        *,
        uploads: FakeUploads,
        recorder: Recorder,
        url_of: Callable[[str, int], str],
        via_service: bool,
    ) -> None:
        self.uploads = uploads
        self.recorder = recorder
        self._url_of = url_of
        self._via_service = via_service

    @_answers("Initialize")
    def Initialize(self, request: Any) -> service_pb.InitializeResponse:
        return self._initialized(request)

    @_answers("BatchInitialize")
    def BatchInitialize(self, request: Any) -> service_pb.BatchInitializeResponse:
        results = results_of(request, self._initialized, service_pb.BatchInitializeResult)
        return service_pb.BatchInitializeResponse(results=results)

    def _initialized(self, request: Any) -> service_pb.InitializeResponse:
        upload = self.uploads.initialize(request)
        limits = service_pb.Limits(
            max_url_lifetime=Duration(seconds=URL_SECONDS),
            max_batch_parts=BATCH_PARTS,
            via_service=self._via_service,
        )
        parts = self._presigned(upload, upload.numbers[: request.presign_parts])
        answer = service_pb.InitializeResponse(upload=upload.message, limits=limits, parts=parts)
        if request.HasField("upload_token"):
            answer.upload_token.CopyFrom(token_of(upload, request.upload_token, self.uploads.now()))
        return answer

    def PresignParts(self, request: Any, context: Any) -> Iterator[Any]:
        yield service_pb.PresignPartsResponse(parts=self._presign_parts(request, context).parts)

    @_answers("PresignParts")
    def _presign_parts(self, request: Any) -> service_pb.BatchPresignPartsResponse:
        return service_pb.BatchPresignPartsResponse(parts=self._asked_for(request))

    @_answers("BatchPresignParts")
    def BatchPresignParts(self, request: Any) -> service_pb.BatchPresignPartsResponse:
        return service_pb.BatchPresignPartsResponse(parts=self._asked_for(request))

    def _asked_for(self, request: Any) -> Sequence[pb.PresignedPart]:
        upload = self.uploads.active(request.upload_id)
        numbers = [number for run in request.ranges for number in range(run.first, run.last + 1)]
        for number in numbers:
            self.uploads.check_part(upload, number)
        left = (number for number in upload.numbers if number not in upload.parts)
        return self._presigned(upload, numbers or left)

    def _presigned(self, upload: FakeUpload, numbers: Iterable[int]) -> Sequence[pb.PresignedPart]:
        end = int(self.uploads.now()) + URL_SECONDS
        parts = []
        for number in numbers:
            part = pb.PresignedPart(
                part_number=number,
                method="PUT",
                url=self._url_of(upload.message.id, number),
                offset_bytes=(number - 1) * upload.message.part_size_bytes,
                size_bytes=upload.size(number),
            )
            part.expire_time.FromSeconds(end)
            parts.append(part)
        return parts

    @_answers("ReportParts")
    def ReportParts(self, request: Any) -> service_pb.ReportPartsResponse:
        upload = self.uploads.active(request.upload_id)
        for part in request.parts:
            self.uploads.check_part(upload, part.part_number)
        upload.reported |= {part.part_number for part in request.parts}
        results = [service_pb.PartResult(part_number=part.part_number) for part in request.parts]
        reported = upload.progress(upload.reported)
        return service_pb.ReportPartsResponse(results=results, reported=reported)

    def UploadPart(self, requests: Iterator[Any], context: Any) -> Any:
        header = next(requests).header
        body = b"".join(request.chunk for request in requests)
        return self._upload_part(whole_part(header, body), context)

    @_answers("UploadPart")
    def _upload_part(self, request: Any) -> service_pb.UploadPartResponse:
        return service_pb.UploadPartResponse(part=self._put(request))

    def PutPart(self, requests: Iterator[Any], context: Any) -> Any:
        first = next(requests)
        body = first.body.data + b"".join(request.body.data for request in requests)
        return self._put_part(whole_part(first, body), context)

    @_answers("PutPart")
    def _put_part(self, request: Any) -> service_pb.PutPartResponse:
        return service_pb.PutPartResponse(part=self._put(request))

    def _put(self, request: service_pb.PutPartRequest) -> pb.Part:
        upload = self.uploads.active(request.upload_id)
        if not self._via_service:
            message = "the policy allows no parts through the service"
            raise Refusal("FAILED_PRECONDITION", "VIA_SERVICE_OFF", message)
        return self.uploads.put(upload, request.part_number, request.body.data)

    @_answers("Complete")
    def Complete(self, request: Any) -> service_pb.CompleteResponse:
        return self._completed(request)

    @_answers("BatchComplete")
    def BatchComplete(self, request: Any) -> service_pb.BatchCompleteResponse:
        results = results_of(request, self._completed, service_pb.BatchCompleteResult)
        return service_pb.BatchCompleteResponse(results=results)

    def _completed(self, request: Any) -> service_pb.CompleteResponse:
        upload = self.uploads.complete(request.upload_id, request.parts, request.checksum)
        return service_pb.CompleteResponse(upload=upload.message)

    @_answers("Abort")
    def Abort(self, request: Any) -> service_pb.AbortResponse:
        upload = self.uploads.abort(request.upload_id, pb.ABORT_REASON_REQUESTED)
        return service_pb.AbortResponse(upload=upload.message)

    @_answers("ExtendUpload")
    def ExtendUpload(self, request: Any) -> service_pb.ExtendUploadResponse:
        upload = self.uploads.extend(request.upload_id, request.expire_time.seconds)
        return service_pb.ExtendUploadResponse(upload=upload.message)

    @_answers("Compose")
    def Compose(self, request: Any) -> service_pb.ComposeResponse:
        return service_pb.ComposeResponse(upload=self.uploads.compose(request).message)

    @_answers("Status")
    def Status(self, request: Any) -> service_pb.StatusResponse:
        upload = self.uploads.find(request.upload_id)
        answer = service_pb.StatusResponse(upload=upload.message)
        if not upload.ended:
            answer.reported.CopyFrom(upload.progress(upload.reported))
        aborted = upload.message.state == pb.UPLOAD_STATE_ABORTED
        if request.view == service_pb.STATUS_VIEW_PROGRESS and not aborted:
            answer.progress.CopyFrom(upload.progress(upload.parts.keys()))
        return answer

    @_answers("ListParts")
    def ListParts(self, request: Any) -> service_pb.ListPartsResponse:
        upload = self.uploads.active(request.upload_id)
        parts = [upload.part(number) for number in sorted(upload.parts)]
        page, token = page_of(parts, request)
        return service_pb.ListPartsResponse(parts=page, next_page_token=token)

    @_answers("ListUploads")
    def ListUploads(self, request: Any) -> service_pb.ListUploadsResponse:
        found = [upload.message for upload in self.uploads.all() if is_wanted(upload, request)]
        page, token = page_of(found, request)
        return service_pb.ListUploadsResponse(uploads=page, next_page_token=token)

    def Watch(self, request: Any, context: Any) -> Iterator[Any]:
        shown = None
        while context.is_active():
            message = self._watched(request, context)
            if message != shown:
                shown = message
                yield message
            if not message.HasField("reported"):
                return
            with self.uploads.changed:
                self.uploads.changed.wait(_WATCH_SECONDS)

    @_answers("Watch")
    def _watched(self, request: Any) -> service_pb.WatchResponse:
        upload = self.uploads.find(request.upload_id)
        message = service_pb.WatchResponse(upload=upload.message)
        if not upload.ended:
            message.reported.CopyFrom(upload.progress(upload.reported))
        return message

    @_answers("CreateUploadToken")
    def CreateUploadToken(self, request: Any) -> service_pb.CreateUploadTokenResponse:
        upload = self.uploads.active(request.upload_id)
        return service_pb.CreateUploadTokenResponse(
            upload_token=token_of(upload, request.spec, self.uploads.now())
        )

    @_answers("GetUsage")
    def GetUsage(self, request: Any) -> service_pb.GetUsageResponse:
        opened = [upload.message for upload in self.uploads.all() if not upload.ended]
        used = [
            service_pb.Usage(limit="open_uploads", used=len(opened)),
            service_pb.Usage(limit="open_bytes", used=sum(each.size_bytes for each in opened)),
        ]
        return service_pb.GetUsageResponse(tenant=used, subject=used)

    @_answers("GetCapabilities")
    def GetCapabilities(self, request: Any) -> service_pb.GetCapabilitiesResponse:
        return capabilities(self.uploads.part_size_bytes, via_service=self._via_service)
