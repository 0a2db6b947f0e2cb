"""The RPCs of the service, with plain values in and out."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime

import grpc
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb

from partway_client._transport import part_stream, upload_listing, watch_stream
from partway_client._transport.call_credentials import Metadata
from partway_client._transport.capabilities_conversion import capabilities_from_proto
from partway_client._transport.compact_parts import expand
from partway_client._transport.conversion import (
    given_token_from_proto,
    new_composition_to_proto,
    new_token_to_proto,
    new_upload_to_proto,
    part_from_proto,
    part_url_from_proto,
    time_to_proto,
    upload_from_proto,
    usage_from_proto,
)
from partway_client._transport.messages import (
    GivenToken,
    NewComposition,
    NewToken,
    NewUpload,
    PartUrl,
)
from partway_client._transport.retry_policy import RetryPolicy
from partway_client._transport.retrying_caller import (
    CALL_SECONDS,
    RetryingCaller,
    ServiceConnection,
    StreamCut,
)
from partway_client._transport.status_mapping import error_of
from partway_client.errors import PartwayError
from partway_client.models import Capabilities, PartInfo, State, UploadInfo, Usage

logger = logging.getLogger(__name__)

COMPLETE_SECONDS = 60.0
"""Longer than storage usually takes to join the parts, so that COMPLETING is the exception."""

COMPOSE_SECONDS = 10.0
"""Short, so that progress shows: the service continues the work without the call."""

REPORT_SECONDS = 10.0


class RpcClient:
    """The RPCs, for one upload or one query.

    Every method raises a PartwayError once repeating the call no longer helps.
    """

    def __init__(self, *, connection: ServiceConnection, retry: RetryPolicy) -> None:
        self._connection = connection
        self._caller = RetryingCaller(connection, retry)

    @property
    def attempts(self) -> int:
        """How many calls were made, with every try counted."""
        return self._caller.attempts

    async def initialize(self, new: NewUpload) -> tuple[UploadInfo, Sequence[PartUrl], bool]:
        """Return the Upload, its first URLs, and whether parts may go through the service."""
        request = new_upload_to_proto(new)
        answer = await self._caller.unary(self._connection.stub.Initialize, request)
        urls = [part_url_from_proto(part) for part in answer.parts]
        return upload_from_proto(answer.upload), urls, answer.limits.via_service

    async def initialize_for_another(
        self, new: NewUpload, token: NewToken
    ) -> tuple[UploadInfo, GivenToken]:
        """Return the Upload, and a token with which someone else sends it.

        Raises ValueError for an action that does not exist.
        """
        request = new_upload_to_proto(new)
        request.upload_token.CopyFrom(new_token_to_proto(token))
        answer = await self._caller.unary(self._connection.stub.Initialize, request)
        return upload_from_proto(answer.upload), given_token_from_proto(answer.upload_token)

    async def create_token(self, upload_id: str, token: NewToken) -> GivenToken:
        """Return another token of an Upload. Raises ValueError for an action that is none."""
        request = service_pb.CreateUploadTokenRequest(
            upload_id=upload_id, spec=new_token_to_proto(token)
        )
        answer = await self._caller.unary(self._connection.stub.CreateUploadToken, request)
        return given_token_from_proto(answer.upload_token)

    async def presign(
        self,
        upload_id: str,
        ranges: Iterable[tuple[int, int]],
        checksums: Mapping[int, bytes],
    ) -> Sequence[PartUrl]:
        """Return the URLs for the parts in `ranges`, few enough to hold in memory.

        `checksums`, by part number, are those of all these parts, or empty.
        """
        request = service_pb.PresignPartsRequest(
            upload_id=upload_id,
            ranges=[pb.PartRange(first=first, last=last) for first, last in ranges],
            checksums=[
                service_pb.PartChecksum(part_number=number, checksum=checksum)
                for number, checksum in checksums.items()
            ],
            compact=True,
        )
        return await self._caller.repeat(
            lambda metadata: self._read_urls(request, checksums, metadata)
        )

    async def upload_part(
        self, upload_id: str, number: int, checksum: bytes, chunks: AsyncIterator[bytes]
    ) -> str | tuple[PartwayError, bool]:
        """Try once to send a part through the service.

        Return its entity tag, or the error and whether another try may help. No deadline: a part
        may take hours. Exceptions from `chunks` propagate.
        """
        header = service_pb.UploadPartHeader(
            upload_id=upload_id, part_number=number, checksum=checksum
        )
        return await part_stream.send_part(self._caller, header, chunks)

    async def complete(
        self,
        upload_id: str,
        checksums: Mapping[int, bytes],
        whole: bytes,
        etags: Mapping[int, str] | None = None,
    ) -> UploadInfo:
        """Return the Upload: COMPLETED, or COMPLETING while storage is still joining the parts.

        Completes only with these checksums of parts, by number, and of the whole file, if there
        are any; and with the entity tags of those parts, where they are known.
        """
        known = etags or {}
        request = service_pb.CompleteRequest(
            upload_id=upload_id,
            parts=[
                pb.Part(part_number=number, checksum=checksum, etag=known.get(number, ""))
                for number, checksum in checksums.items()
            ],
            checksum=whole,
        )
        complete = self._connection.stub.Complete
        answer = await self._caller.unary(complete, request, COMPLETE_SECONDS)
        return upload_from_proto(answer.upload)

    async def compose(self, new: NewComposition) -> UploadInfo:
        """Return the Upload: COMPLETED, or its current state while storage copies."""
        request = new_composition_to_proto(new)
        answer = await self._caller.unary(self._connection.stub.Compose, request, COMPOSE_SECONDS)
        return upload_from_proto(answer.upload)

    async def abort(self, upload_id: str) -> UploadInfo:
        """Return the Upload, aborted."""
        request = service_pb.AbortRequest(upload_id=upload_id)
        answer = await self._caller.unary(self._connection.stub.Abort, request)
        return upload_from_proto(answer.upload)

    async def status(self, upload_id: str, *, progress: bool = False) -> UploadInfo:
        """Return the Upload, with its progress in storage if asked."""
        view = service_pb.STATUS_VIEW_PROGRESS if progress else service_pb.STATUS_VIEW_UNSPECIFIED
        request = service_pb.StatusRequest(upload_id=upload_id, view=view)
        answer = await self._caller.unary(self._connection.stub.Status, request)
        return upload_from_proto(
            answer.upload,
            answer.progress if progress and answer.HasField("progress") else None,
            answer.reported if answer.HasField("reported") else None,
        )

    def watch(self, upload_id: str) -> AsyncGenerator[UploadInfo, None]:
        """Yield the Upload at once and after each change, to its end, across reconnects."""
        return watch_stream.watch(self._caller, upload_id)

    async def report(self, upload_id: str, sizes: Mapping[int, int]) -> bool:
        """Report parts as sent, with their sizes by number. Return whether the service took it.

        Makes one try. Raises PartwayError if another would not help.
        """
        request = service_pb.ReportPartsRequest(
            upload_id=upload_id,
            parts=[pb.Part(part_number=n, size_bytes=size) for n, size in sizes.items()],
        )
        self._caller.attempts += 1
        credentials = self._connection.credentials
        metadata = await credentials.metadata()
        call = self._connection.stub.ReportParts(request, timeout=REPORT_SECONDS, metadata=metadata)
        try:
            await call
        except grpc.aio.AioRpcError as failure:
            error, retried = error_of(failure, self._connection.server)
            if not (retried or await credentials.renew(error, metadata)):
                raise error from None
            logger.debug("parts could not be reported (%s)", type(error).__name__)
            return False
        finally:
            call.cancel()
        return True

    async def usage(self) -> Usage:
        """Return how much of each limit the caller and its tenant use."""
        answer = await self._caller.unary(
            self._connection.stub.GetUsage, service_pb.GetUsageRequest()
        )
        return Usage(usage_from_proto(answer.tenant), usage_from_proto(answer.subject))

    async def capabilities(self) -> Capabilities:
        """Return what the service can do, and what each policy of the caller allows."""
        request = service_pb.GetCapabilitiesRequest()
        answer = await self._caller.unary(self._connection.stub.GetCapabilities, request)
        return capabilities_from_proto(answer)

    async def extend(self, upload_id: str, expire_time: datetime) -> UploadInfo:
        """Return the Upload with a later deadline, and the id to use from here on."""
        request = service_pb.ExtendUploadRequest(
            upload_id=upload_id, expire_time=time_to_proto(expire_time)
        )
        answer = await self._caller.unary(self._connection.stub.ExtendUpload, request)
        return upload_from_proto(answer.upload)

    async def list_parts(self, upload_id: str) -> list[PartInfo]:
        """Return all parts that storage holds, by number."""
        found: list[PartInfo] = []
        token = ""
        while True:
            request = service_pb.ListPartsRequest(upload_id=upload_id, page_token=token)
            page = await self._caller.unary(self._connection.stub.ListParts, request)
            found.extend(part_from_proto(part) for part in page.parts)
            token = page.next_page_token
            if not token:
                return found

    def list_uploads(
        self,
        *,
        state: State | None = None,
        fingerprint: str = "",
        policy: str = "",
        created_from: datetime | None = None,
        created_before: datetime | None = None,
    ) -> AsyncGenerator[UploadInfo, None]:
        """Yield the caller's Uploads that match, newest first."""
        return upload_listing.list_uploads(
            self._caller,
            state=state,
            fingerprint=fingerprint,
            policy=policy,
            created_from=created_from,
            created_before=created_before,
        )

    def open_uploads(self, fingerprint: str, most_pages: int) -> AsyncGenerator[UploadInfo, None]:
        """Yield the ACTIVE Uploads with this fingerprint, newest first."""
        return upload_listing.open_uploads(self._caller, fingerprint, most_pages)

    async def _read_urls(
        self,
        request: service_pb.PresignPartsRequest,
        checksums: Mapping[int, bytes],
        metadata: Metadata,
    ) -> Sequence[PartUrl]:
        urls: list[PartUrl] = []
        remaining = -1
        call = self._connection.stub.PresignParts(request, timeout=CALL_SECONDS, metadata=metadata)
        try:
            async for message in call:
                # A single PUT, or a service that has no compact form.
                urls.extend(part_url_from_proto(part) for part in message.parts)
                urls.extend(expand(message.compact_parts, checksums))
                remaining = message.remaining_count
        finally:
            call.cancel()
        if remaining != 0:
            raise StreamCut
        return urls
