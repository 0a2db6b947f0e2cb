"""The RPCs that read, and change nothing."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.quota import Limit
from partway_server.domain.steps import Steps, in_turns
from partway_server.domain.upload import Upload
from partway_server.rpc import conversion, validation
from partway_server.rpc.capabilities_conversion import capabilities
from partway_server.rpc.handlers.base import Handlers, current_caller
from partway_server.rpc.identity.base import Context
from partway_server.rpc.listing_conversion import cursor, page_token, upload_filter

_UPLOAD_COST = 50
"""What it costs to show one upload, in the unit of `Steps`."""

PAGE_UPLOADS, MAX_PAGE_UPLOADS = 50, 200


class QueryHandlers(Handlers):
    """Status, Watch, ListUploads, GetUsage and GetCapabilities."""

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        caller = current_caller()
        validation.status(request)
        upload, progress = await self.coordinator.status(
            caller,
            request.upload_id,
            progress=request.view == pb.STATUS_VIEW_PROGRESS,
        )
        return pb.StatusResponse(
            upload=self.message(upload),
            progress=conversion.progress(progress) if progress else None,
            reported=conversion.reported(upload),
        )

    async def Watch(
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.WatchResponse]:
        caller = current_caller()
        validation.watch(request)
        self.enter(caller, Limit.WATCHES)
        watch = self.coordinator.watch(caller, request.upload_id)
        async with contextlib.aclosing(watch) as uploads:
            async for upload in uploads:
                yield pb.WatchResponse(
                    upload=self.message(upload), reported=conversion.reported(upload)
                )

    async def ListUploads(
        self, request: pb.ListUploadsRequest, context: Context
    ) -> pb.ListUploadsResponse:
        caller = current_caller()
        validation.list_uploads(request)
        uploads, following = await self.coordinator.list_uploads(
            caller,
            upload_filter(request),
            before=cursor(request.page_token),
            limit=min(request.page_size or PAGE_UPLOADS, MAX_PAGE_UPLOADS),
        )
        return pb.ListUploadsResponse(
            uploads=await in_turns(self._messages(uploads)),
            next_page_token=page_token(following),
        )

    def _messages(self, uploads: Sequence[Upload]) -> Steps[list[upload_pb2.Upload]]:
        messages: list[upload_pb2.Upload] = []
        for upload in uploads:
            messages.append(self.message(upload))
            yield _UPLOAD_COST
        return messages

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        caller = current_caller()
        return conversion.usage(await self.coordinator.usage(caller))

    async def GetCapabilities(
        self, request: pb.GetCapabilitiesRequest, context: Context
    ) -> pb.GetCapabilitiesResponse:
        return capabilities(self.coordinator.capabilities(current_caller()))
