"""The RPCs. Each handler checks, calls and converts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from functools import partial

from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc

from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import QuotaExceeded, UploadNotActive
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.part_plan import MAX_PARTS
from partway_server.domain.policy import Policy
from partway_server.domain.quota import Limit
from partway_server.domain.upload import State, Upload
from partway_server.domain.upload_token import allowed_actions
from partway_server.rpc import conversion, upload_token_conversion, validation
from partway_server.rpc.deadlines import budget_seconds
from partway_server.rpc.identity.base import PRINCIPAL, Context
from partway_server.workflow.coordinator import Coordinator
from partway_server.workflow.presign import PresignedParts


class UploadServicer(rpc.UploadServiceServicer):
    """UploadService over a Coordinator."""

    def __init__(
        self,
        *,
        coordinator: Coordinator,
        policies: Mapping[str, Policy],
        timeout_seconds: float,
    ) -> None:
        self._coordinator = coordinator
        self._policies = policies
        self._timeout_seconds = timeout_seconds
        self._signing = asyncio.Lock()

    async def Initialize(
        self, request: pb.InitializeRequest, context: Context
    ) -> pb.InitializeResponse:
        caller = _caller()
        validation.initialize(request)
        params = conversion.upload_params(request)
        if params.token:
            # Before anything is opened.
            allowed_actions(params.token, PRINCIPAL.get().scopes)
        # Read the policy before awaiting: a reload may remove it during the call.
        policy = self._policies.get(params.policy)
        upload = await self._coordinator.initialize(caller, params)
        response = pb.InitializeResponse(
            upload=self._message(upload), limits=conversion.limits(policy) if policy else None
        )
        if request.presign_parts and upload.state is State.ACTIVE and _signable(upload.grant):
            selection = conversion.first_parts(upload, request.presign_parts)
            # The Upload of a repeated request may be over, or end at this moment. And one that is
            # open must be answered, even if no parts may be presigned now.
            with contextlib.suppress(UploadNotActive, QuotaExceeded):
                presigned = await self._coordinator.presign(caller, response.upload.id, selection)
                conversion.write_parts(presigned, response.parts)
        if params.token:
            make = self._coordinator.create_upload_token.for_initialized
            with contextlib.suppress(UploadNotActive):
                made = make(PRINCIPAL.get(), upload, params.token)
                upload_token_conversion.write_token(*made, response.upload_token)
        return response

    async def CreateUploadToken(
        self, request: pb.CreateUploadTokenRequest, context: Context
    ) -> pb.CreateUploadTokenResponse:
        validation.create_upload_token(request)
        made = await self._coordinator.create_upload_token(
            PRINCIPAL.get(),
            request.upload_id,
            upload_token_conversion.token_params(request.spec, "spec"),
        )
        response = pb.CreateUploadTokenResponse()
        upload_token_conversion.write_token(*made, response.upload_token)
        return response

    async def PresignParts(
        self, request: pb.PresignPartsRequest, context: Context
    ) -> AsyncIterator[pb.PresignPartsResponse]:
        caller = _caller()
        validation.presign(request, MAX_PARTS)
        self._enter(caller, Limit.STREAMS)
        presigned = await self._coordinator.presign(
            caller, request.upload_id, conversion.selection(request, None, _parts())
        )
        writer = conversion.PartWriter(presigned)
        # There is always one message, and the last says that nothing remains.
        making: asyncio.Task[pb.PresignPartsResponse] | None = self._make(presigned, writer)
        try:
            while making is not None:
                made = [await making]
                # The next message is made while this one is on its way.
                making = self._make(presigned, writer) if presigned.remaining else None
                yield made.pop()
        finally:
            if making is not None:
                making.cancel()

    def _make(
        self, presigned: PresignedParts, writer: conversion.PartWriter
    ) -> "asyncio.Task[pb.PresignPartsResponse]":
        async def make() -> pb.PresignPartsResponse:
            # One message in one round of the loop, however many streams are open, so that a small
            # call waits for one of them and not for all.
            async with self._signing:
                parts = presigned.take(conversion.STREAM_BATCH)
                message = pb.PresignPartsResponse(remaining_count=presigned.remaining)
                writer.write(parts, message.parts)
                await asyncio.sleep(0)
            return message

        return asyncio.create_task(make())

    async def BatchPresignParts(
        self, request: pb.BatchPresignPartsRequest, context: Context
    ) -> pb.BatchPresignPartsResponse:
        caller = _caller()
        validation.presign(request, validation.MAX_BATCH_PARTS)
        presigned = await self._coordinator.presign(
            caller,
            request.upload_id,
            conversion.selection(request, validation.MAX_BATCH_PARTS, _parts()),
        )
        response = pb.BatchPresignPartsResponse()
        conversion.write_parts(presigned, response.parts)
        return response

    async def Complete(self, request: pb.CompleteRequest, context: Context) -> pb.CompleteResponse:
        caller = _caller()
        validation.complete(request)
        upload = await self._coordinator.complete(
            caller,
            request.upload_id,
            conversion.expected(request),
            self._wait(context),
            request.checksum,
        )
        return pb.CompleteResponse(upload=self._message(upload))

    async def Abort(self, request: pb.AbortRequest, context: Context) -> pb.AbortResponse:
        caller = _caller()
        validation.abort(request)
        upload = await self._coordinator.abort(caller, request.upload_id)
        return pb.AbortResponse(upload=self._message(upload))

    async def ListParts(
        self, request: pb.ListPartsRequest, context: Context
    ) -> pb.ListPartsResponse:
        caller = _caller()
        validation.list_parts(request)
        parts, more = await self._coordinator.list_parts(
            caller,
            request.upload_id,
            after=int(request.page_token or 0),
            limit=request.page_size or validation.MAX_BATCH_PARTS,
        )
        token = str(parts[-1].number) if more else ""
        return pb.ListPartsResponse(parts=map(conversion.part, parts), next_page_token=token)

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        caller = _caller()
        validation.status(request)
        upload, progress = await self._coordinator.status(
            caller,
            request.upload_id,
            progress=request.view == pb.STATUS_VIEW_PROGRESS,
        )
        return pb.StatusResponse(
            upload=self._message(upload),
            progress=conversion.progress(progress) if progress else None,
            reported=conversion.reported(upload),
        )

    async def ReportParts(
        self, request: pb.ReportPartsRequest, context: Context
    ) -> pb.ReportPartsResponse:
        caller = _caller()
        validation.report_parts(request)
        faults, upload = await self._coordinator.report(
            caller, request.upload_id, conversion.expected(request), _parts()
        )
        return pb.ReportPartsResponse(
            results=conversion.part_results(request.parts, faults),
            reported=conversion.reported(upload),
        )

    async def UploadPart(
        self, request_iterator: AsyncIterator[pb.UploadPartRequest], context: Context
    ) -> pb.UploadPartResponse:
        caller = _caller()
        self._enter(caller, Limit.VIA_SERVICE)
        messages = aiter(request_iterator)
        first = await anext(messages, None)
        validation.part_header(first)
        assert first is not None
        header = first.header
        stored = await self._coordinator.upload_part(
            caller,
            header.upload_id,
            header.part_number,
            header.checksum,
            _chunks(messages),
            _parts(),
        )
        return pb.UploadPartResponse(part=conversion.part(stored))

    async def Watch(
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.WatchResponse]:
        caller = _caller()
        validation.watch(request)
        self._enter(caller, Limit.WATCHES)
        watch = self._coordinator.watch(caller, request.upload_id)
        async with contextlib.aclosing(watch) as uploads:
            async for upload in uploads:
                yield pb.WatchResponse(
                    upload=self._message(upload), reported=conversion.reported(upload)
                )

    def leave(self) -> None:
        """End the calls that would otherwise last as long as their callers like."""
        self._coordinator.watch.stop()

    async def Compose(self, request: pb.ComposeRequest, context: Context) -> pb.ComposeResponse:
        caller = _caller()
        validation.compose(request)
        upload = await self._coordinator.compose(
            caller, conversion.compose_params(request), self._wait(context)
        )
        return pb.ComposeResponse(upload=self._message(upload))

    async def ListUploads(
        self, request: pb.ListUploadsRequest, context: Context
    ) -> pb.ListUploadsResponse:
        caller = _caller()
        validation.list_uploads(request)
        uploads, following = await self._coordinator.list_uploads(
            caller,
            conversion.upload_filter(request),
            before=conversion.cursor(request.page_token),
            limit=request.page_size or 50,
        )
        return pb.ListUploadsResponse(
            uploads=map(self._message, uploads), next_page_token=conversion.page_token(following)
        )

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        caller = _caller()
        return conversion.usage(await self._coordinator.usage(caller))

    def _enter(self, caller: Caller, limit: Limit) -> None:
        """Count the call among those of the caller until it ends. Raises QuotaExceeded."""
        concurrency = self._coordinator.concurrency
        concurrency.enter(caller, limit)
        # However it ends, and also if its reader goes away between two messages.
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(partial(concurrency.leave, caller, limit))

    def _wait(self, context: Context) -> timedelta:
        """Return how long a call may wait for storage, leaving time for one more look."""
        return timedelta(seconds=0.8 * budget_seconds(context, self._timeout_seconds))

    def _message(self, upload: Upload) -> upload_pb2.Upload:
        return conversion.upload(upload, self._coordinator.upload_id(upload))


def _caller() -> Caller:
    return PRINCIPAL.get().caller


def _parts() -> tuple[int, int] | None:
    """Return the first and the last part that the caller's token is for, None for all."""
    token = PRINCIPAL.get().token
    return token.parts if token else None


async def _chunks(messages: AsyncIterator[pb.UploadPartRequest]) -> AsyncIterator[bytes]:
    async for message in messages:
        validation.chunk(message)
        yield message.chunk


def _signable(grant: Grant) -> bool:
    """Return whether parts can be signed with no more than Initialize was given."""
    only_part = bool(grant.whole_checksum) and grant.plan.part_count == 1
    return grant.checksum is Checksum.NONE or only_part
