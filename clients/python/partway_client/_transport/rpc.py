"""Calls to the service: every RPC, each try with a deadline, repeated while that may help.

This is the one place that repeats calls; gRPC's own retries are off. All RPCs are safe to repeat,
so a call whose answer was lost is repeated like one that was refused.
"""

import asyncio
import contextlib
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import grpc
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

from partway_client._transport.conversion import (
    part_from_proto,
    state_to_proto,
    time_to_proto,
    upload_from_proto,
)
from partway_client._transport.retry import Pace
from partway_client._transport.status_mapping import ToldStatus, error_of
from partway_client.errors import CallFailed, PartwayError, ServiceError, ServiceUnreachable
from partway_client.models import PartInfo, State, UploadInfo

logger = logging.getLogger(__name__)

Q = TypeVar("Q")
A = TypeVar("A")

Metadata = Sequence[tuple[str, str]]

CALL_SECONDS = 30.0
COMPLETE_SECONDS = 60.0
"""Longer than storage mostly takes to join the parts, so that COMPLETING is the exception."""

REPORT_SECONDS = 10.0
_MOST_UPLOADS = 200
_OVER = (State.COMPLETED, State.ABORTED)
COMPOSE_SECONDS = 10.0
"""Short, so that progress shows: the work goes on without the call."""


class StreamCut(Exception):
    """A stream ended without its last message."""


@dataclass(slots=True)
class Connection:
    """The stub of one channel, the metadata to send, and whether the service ever answered."""

    server: str
    stub: UploadServiceStub
    metadata: Metadata
    reached: bool = False


class Calls:
    """The RPCs, for one upload or one question; `rpcs` counts the tries.

    Every method raises a PartwayError once repeating no longer helps.
    """

    def __init__(self, *, connection: Connection, pace: Pace) -> None:
        self._connection = connection
        self._pace = pace
        self.rpcs = 0

    async def initialize(
        self, request: service_pb.InitializeRequest
    ) -> tuple[UploadInfo, Sequence[pb.PresignedPart], bool]:
        """The Upload, its first URLs, and whether parts may go through the service.

        The request carries a request_id.
        """
        answer = await self._ask(self._connection.stub.Initialize, request)
        return upload_from_proto(answer.upload), answer.parts, answer.limits.via_service

    async def presign(
        self,
        upload_id: str,
        ranges: Iterable[tuple[int, int]],
        checksums: Mapping[int, bytes],
    ) -> Sequence[pb.PresignedPart]:
        """How to send the parts of `ranges`, which are few: the answer is held whole.

        `checksums` are those of all of them, by number, or none.
        """
        request = service_pb.PresignPartsRequest(
            upload_id=upload_id,
            ranges=[pb.PartRange(first=first, last=last) for first, last in ranges],
            checksums=[
                service_pb.PartChecksum(part_number=number, checksum=checksum)
                for number, checksum in checksums.items()
            ],
        )
        return await self._repeat(lambda: self._read_stream(request))

    async def upload_part(
        self, messages: AsyncIterator[service_pb.UploadPartRequest]
    ) -> str | tuple[PartwayError, bool]:
        """Try once to send a part; its entity tag, or what failed and if another try may help.

        Has no deadline: a part may take hours. What `messages` raise comes out.
        """
        self.rpcs += 1
        call = self._connection.stub.UploadPart(metadata=self._connection.metadata)
        told = ToldStatus(call)
        try:
            async for message in messages:
                await call.write(message)
            await call.done_writing()
            answer = await call
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            failure = await told.failure()
            if failure is None:
                return _cut(self._connection.server), True
            error, retried = error_of(failure, self._connection.server)
            self._connection.reached |= isinstance(error, ServiceError)
            return error, retried
        finally:
            call.cancel()
        self._connection.reached = True
        etag: str = answer.part.etag
        return etag

    async def complete(
        self,
        upload_id: str,
        checksums: Mapping[int, bytes],
        whole: bytes,
        etags: Mapping[int, str] | None = None,
    ) -> UploadInfo:
        """The Upload: COMPLETED, or COMPLETING if storage is still at it.

        Only with these checksums of parts, by number, and of the whole file, if there are any; and
        with the entity tags of those parts, as far as they are known.
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
        answer = await self._ask(self._connection.stub.Complete, request, COMPLETE_SECONDS)
        return upload_from_proto(answer.upload)

    async def compose(self, request: service_pb.ComposeRequest) -> UploadInfo:
        """The Upload: COMPLETED, or as it stands while storage copies. With a request_id."""
        answer = await self._ask(self._connection.stub.Compose, request, COMPOSE_SECONDS)
        return upload_from_proto(answer.upload)

    async def abort(self, upload_id: str) -> UploadInfo:
        """The Upload, aborted."""
        request = service_pb.AbortRequest(upload_id=upload_id)
        answer = await self._ask(self._connection.stub.Abort, request)
        return upload_from_proto(answer.upload)

    async def status(self, upload_id: str, *, progress: bool = False) -> UploadInfo:
        """The Upload, with its progress if asked."""
        view = service_pb.STATUS_VIEW_PROGRESS if progress else service_pb.STATUS_VIEW_UNSPECIFIED
        request = service_pb.StatusRequest(upload_id=upload_id, view=view)
        answer = await self._ask(self._connection.stub.Status, request)
        return upload_from_proto(
            answer.upload,
            answer.progress if progress and answer.HasField("progress") else None,
            answer.reported if answer.HasField("reported") else None,
        )

    async def watch(self, upload_id: str) -> AsyncGenerator[UploadInfo, None]:
        """The Upload at once and after each change, to its end, however often the stream is cut.

        Nothing is missed by asking again: each message is the whole truth of its moment.
        """
        request = service_pb.WatchRequest(upload_id=upload_id)
        tries = 0
        while True:
            tries += 1
            self.rpcs += 1
            # No deadline: an upload may take days. A connection that dies is noticed by gRPC.
            call = self._connection.stub.Watch(request, metadata=self._connection.metadata)
            try:
                async for message in call:
                    tries = 1
                    self._connection.reached = True
                    reported = message.reported if message.HasField("reported") else None
                    upload = upload_from_proto(message.upload, reported=reported)
                    yield upload
                    if upload.state in _OVER:
                        return
                error, retried = _cut(self._connection.server), True
            except grpc.aio.AioRpcError as failure:
                error, retried = error_of(failure, self._connection.server)
            finally:
                call.cancel()
            await self._wait_or_raise(error, tries, retried=retried)

    async def report(self, upload_id: str, sizes: Mapping[int, int]) -> bool:
        """Whether the service took it that parts with these sizes, by number, were sent.

        One try. Raises PartwayError if another one would do no better.
        """
        request = service_pb.ReportPartsRequest(
            upload_id=upload_id,
            parts=[pb.Part(part_number=n, size_bytes=size) for n, size in sizes.items()],
        )
        self.rpcs += 1
        call = self._connection.stub.ReportParts(
            request, timeout=REPORT_SECONDS, metadata=self._connection.metadata
        )
        try:
            await call
        except grpc.aio.AioRpcError as failure:
            error, retried = error_of(failure, self._connection.server)
            if not retried:
                raise error from None
            logger.debug("parts could not be reported (%s)", type(error).__name__)
            return False
        finally:
            call.cancel()
        return True

    async def list_parts(self, upload_id: str) -> list[PartInfo]:
        """All parts that storage holds, by number."""
        found: list[PartInfo] = []
        token, stub = "", self._connection.stub
        while True:
            request = service_pb.ListPartsRequest(upload_id=upload_id, page_token=token)
            page = await self._ask(stub.ListParts, request)
            found.extend(part_from_proto(part) for part in page.parts)
            token = page.next_page_token
            if not token:
                return found

    async def list_uploads(
        self,
        *,
        state: State | None = None,
        fingerprint: str = "",
        policy: str = "",
        created_from: datetime | None = None,
        created_before: datetime | None = None,
    ) -> AsyncGenerator[UploadInfo, None]:
        """The caller's Uploads, newest first, a page at a time."""
        request = service_pb.ListUploadsRequest(
            state=pb.UPLOAD_STATE_UNSPECIFIED if state is None else state_to_proto(state),
            fingerprint=fingerprint,
            policy=policy,
            created_from=time_to_proto(created_from),
            created_before=time_to_proto(created_before),
            page_size=_MOST_UPLOADS,
        )
        async with contextlib.aclosing(self._listed(request)) as uploads:
            async for upload in uploads:
                yield upload_from_proto(upload)

    async def open_uploads(
        self, fingerprint: str, most_pages: int
    ) -> AsyncGenerator[UploadInfo, None]:
        """The ACTIVE Uploads with this fingerprint whose checksums we can make, newest first."""
        request = service_pb.ListUploadsRequest(
            state=pb.UPLOAD_STATE_ACTIVE, fingerprint=fingerprint
        )
        async with contextlib.aclosing(self._listed(request, most_pages)) as uploads:
            async for upload in uploads:
                try:
                    known = upload_from_proto(upload)
                except CallFailed as error:
                    logger.debug("an upload is left to newer clients: %s", error)
                    continue
                yield known

    async def _listed(
        self, request: service_pb.ListUploadsRequest, most_pages: int | None = None
    ) -> AsyncGenerator[pb.Upload, None]:
        stub, pages = self._connection.stub, 0
        while pages != most_pages:
            pages += 1
            page = await self._ask(stub.ListUploads, request)
            for upload in page.uploads:
                yield upload
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _ask(
        self,
        rpc: grpc.aio.UnaryUnaryMultiCallable[Q, A],
        request: Q,
        seconds: float = CALL_SECONDS,
    ) -> A:
        async def once() -> A:
            call = rpc(request, timeout=seconds, metadata=self._connection.metadata)
            try:
                return await call
            finally:
                # A call that is left without this is never collected by some grpcio versions.
                call.cancel()

        return await self._repeat(once)

    async def _read_stream(
        self, request: service_pb.PresignPartsRequest
    ) -> Sequence[pb.PresignedPart]:
        parts: list[pb.PresignedPart] = []
        remaining = -1
        call = self._connection.stub.PresignParts(
            request, timeout=CALL_SECONDS, metadata=self._connection.metadata
        )
        try:
            async for message in call:
                parts.extend(message.parts)
                remaining = message.remaining_count
        finally:
            call.cancel()
        if remaining != 0:
            raise StreamCut
        return parts

    async def _repeat(self, once: Callable[[], Awaitable[A]]) -> A:
        tries = 0
        while True:
            tries += 1
            self.rpcs += 1
            try:
                answer = await once()
            except grpc.aio.AioRpcError as failure:
                error, retried = error_of(failure, self._connection.server)
            except StreamCut:
                error, retried = _cut(self._connection.server), True
            else:
                self._connection.reached = True
                return answer
            await self._wait_or_raise(error, tries, retried=retried)

    async def _wait_or_raise(self, error: PartwayError, tries: int, *, retried: bool) -> None:
        self._connection.reached |= isinstance(error, ServiceError)
        if not retried or tries >= self._most_tries():
            raise error
        asked = error.retry_seconds if isinstance(error, ServiceError) else None
        logger.debug("a call failed (%s), try %d", type(error).__name__, tries)
        await self._pace.back_off(tries, base=0.25, cap=15.0, at_least=min(asked or 0.0, 60.0))

    def _most_tries(self) -> int:
        # Who mistypes an address should not wait as long as who lost the network half way.
        return self._pace.call_tries if self._connection.reached else self._pace.first_call_tries


def _cut(server: str) -> PartwayError:
    return ServiceUnreachable(f"the service at {server} stopped in the middle of an answer")
