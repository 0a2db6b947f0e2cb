"""The RPCs that make the object, or discard the parts."""

from partway.v1 import upload_service_pb2 as pb

from partway_server.rpc import conversion, validation
from partway_server.rpc.handlers.base import Handlers, current_caller
from partway_server.rpc.identity.base import Context


class EndingHandlers(Handlers):
    """Complete, BatchComplete, Abort and Compose."""

    async def Complete(self, request: pb.CompleteRequest, context: Context) -> pb.CompleteResponse:
        caller = current_caller()
        validation.complete(request)
        upload = await self.coordinator.complete(
            caller,
            request.upload_id,
            conversion.expected(request),
            self.wait(context),
            request.checksum,
        )
        return pb.CompleteResponse(upload=self.message(upload))

    async def BatchComplete(
        self, request: pb.BatchCompleteRequest, context: Context
    ) -> pb.BatchCompleteResponse:
        raise NotImplementedError

    async def Abort(self, request: pb.AbortRequest, context: Context) -> pb.AbortResponse:
        caller = current_caller()
        validation.abort(request)
        upload = await self.coordinator.abort(caller, request.upload_id)
        return pb.AbortResponse(upload=self.message(upload))

    async def Compose(self, request: pb.ComposeRequest, context: Context) -> pb.ComposeResponse:
        caller = current_caller()
        validation.compose(request)
        upload = await self.coordinator.compose(
            caller, conversion.compose_params(request), self.wait(context)
        )
        return pb.ComposeResponse(upload=self.message(upload))
