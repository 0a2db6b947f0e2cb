"""The RPCs that presign parts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.part_plan import MAX_PARTS
from partway_server.domain.quota import Limit
from partway_server.domain.steps import in_turns
from partway_server.rpc import compact_parts, conversion, named_parts
from partway_server.rpc.handlers.base import Handlers, allowed_parts, current_caller
from partway_server.rpc.identity.base import Context
from partway_server.rpc.validation import MAX_BATCH_PARTS
from partway_server.workflow.presign import PresignedParts


class PresigningHandlers(Handlers):
    """PresignParts and BatchPresignParts."""

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        self._signing = asyncio.Lock()

    async def PresignParts(
        self, request: pb.PresignPartsRequest, context: Context
    ) -> AsyncIterator[pb.PresignPartsResponse]:
        caller = current_caller()
        await in_turns(named_parts.check_presign(request, MAX_PARTS))
        self.enter(caller, Limit.STREAMS)
        selection = await in_turns(named_parts.selection(request, None, allowed_parts()))
        presigned = await self.coordinator.presign(caller, request.upload_id, selection)
        writer = None if request.compact else conversion.PartWriter(presigned)
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
        self, presigned: PresignedParts, writer: conversion.PartWriter | None
    ) -> "asyncio.Task[pb.PresignPartsResponse]":
        async def make() -> pb.PresignPartsResponse:
            # One message in one round of the loop, however many streams are open, so that a small
            # call waits for one of them and not for all.
            async with self._signing:
                message = pb.PresignPartsResponse()
                if writer is None:
                    compact_parts.write(presigned, compact_parts.COMPACT_BATCH, message)
                else:
                    writer.write(presigned.take(conversion.STREAM_BATCH), message.parts)
                message.remaining_count = presigned.remaining
                await asyncio.sleep(0)
            return message

        return asyncio.create_task(make())

    async def BatchPresignParts(
        self, request: pb.BatchPresignPartsRequest, context: Context
    ) -> pb.BatchPresignPartsResponse:
        caller = current_caller()
        await in_turns(named_parts.check_presign(request, MAX_BATCH_PARTS))
        selection = await in_turns(named_parts.selection(request, MAX_BATCH_PARTS, allowed_parts()))
        presigned = await self.coordinator.presign(caller, request.upload_id, selection)
        response = pb.BatchPresignPartsResponse()
        if request.compact:
            await in_turns(compact_parts.write_parts(presigned, response))
        else:
            await in_turns(conversion.write_parts(presigned, response.parts))
        return response
