"""The RPCs that make the object, or discard the parts."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.errors import TimedOut
from partway_server.domain.steps import in_turns
from partway_server.rpc import batch_validation, conversion, named_parts, validation
from partway_server.rpc.batch_results import complete_result
from partway_server.rpc.handlers.base import Handlers, current_caller
from partway_server.rpc.identity.base import Context
from partway_server.workflow.batch import StorageTurn
from partway_server.workflow.part_checks import ExpectedPart


class EndingHandlers(Handlers):
    """Complete, BatchComplete, Abort and Compose."""

    async def Complete(self, request: pb.CompleteRequest, context: Context) -> pb.CompleteResponse:
        return await self._complete(request, await self._named(request), self.wait(context))

    async def _named(self, request: pb.CompleteRequest) -> Sequence[ExpectedPart]:
        """Return the parts that a valid request names. Raises InvalidRequest."""
        await in_turns(named_parts.check_complete(request))
        return await in_turns(named_parts.expected(request))

    async def _complete(
        self, request: pb.CompleteRequest, named: Sequence[ExpectedPart], wait: timedelta
    ) -> pb.CompleteResponse:
        upload = await self.coordinator.complete(
            current_caller(), request.upload_id, named, wait, request.checksum
        )
        return pb.CompleteResponse(upload=self.message(upload))

    async def BatchComplete(
        self, request: pb.BatchCompleteRequest, context: Context
    ) -> pb.BatchCompleteResponse:
        batch_validation.batch_complete(request)
        # One time for all: each waits for as long as is left when it begins.
        until = asyncio.get_running_loop().time() + self.wait(context).total_seconds()
        answers = await self.batches.run(
            "BatchComplete",
            current_caller(),
            context,
            request.requests,
            partial(self._complete_in_turn, until=until),
        )
        return pb.BatchCompleteResponse(results=map(complete_result, answers))

    async def _complete_in_turn(
        self, request: pb.CompleteRequest, storage_turn: StorageTurn, *, until: float
    ) -> pb.CompleteResponse:
        named = await self._named(request)
        async with storage_turn():
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                # Begun now, it could not be waited for.
                raise TimedOut
            return await self._complete(request, named, timedelta(seconds=left))

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
