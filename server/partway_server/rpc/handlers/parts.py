"""The RPCs that take, report and list parts."""

from collections.abc import AsyncIterator
from typing import TypeVar

from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.errors import FieldViolation, InvalidRequest
from partway_server.domain.quota import Limit
from partway_server.domain.steps import in_turns
from partway_server.rpc import (
    conversion,
    named_parts,
    page_tokens,
    part_validation,
    validation,
)
from partway_server.rpc.handlers.base import Handlers, allowed_parts, current_caller
from partway_server.rpc.identity.base import Context
from partway_server.storage.base import StoredPart

Request = TypeVar("Request")

MAX_PAGE_PARTS = 1000


class PartHandlers(Handlers):
    """UploadPart, PutPart, ReportParts and ListParts."""

    async def UploadPart(
        self, request_iterator: AsyncIterator[pb.UploadPartRequest], context: Context
    ) -> pb.UploadPartResponse:
        messages = self._counted(request_iterator)
        first = await anext(messages, None)
        part_validation.part_header(first)
        assert first is not None
        stored = await self._pass_on(first.header, _chunks(messages))
        return pb.UploadPartResponse(part=conversion.part(stored))

    async def PutPart(
        self, request_iterator: AsyncIterator[pb.PutPartRequest], context: Context
    ) -> pb.PutPartResponse:
        messages = self._counted(request_iterator)
        first = await anext(messages, None)
        part_validation.put_part(first)
        assert first is not None
        # Not kept in the message, which lasts as long as the call.
        bodies = _bodies([first.body.data], messages)
        first.ClearField("body")
        try:
            stored = await self._pass_on(first, bodies)
        except InvalidRequest as error:
            raise _by_field_of_put_part(error) from error
        return pb.PutPartResponse(part=conversion.part(stored))

    def _counted(self, requests: AsyncIterator[Request]) -> AsyncIterator[Request]:
        """Return the messages of a call that counts among the caller's from now on."""
        self.enter(current_caller(), Limit.VIA_SERVICE)
        return aiter(requests)

    async def _pass_on(
        self, named: pb.UploadPartHeader | pb.PutPartRequest, chunks: AsyncIterator[bytes]
    ) -> StoredPart:
        """Send the part to storage, as its bytes arrive."""
        return await self.coordinator.upload_part(
            current_caller(),
            named.upload_id,
            named.part_number,
            named.checksum,
            chunks,
            allowed_parts(),
        )

    async def ReportParts(
        self, request: pb.ReportPartsRequest, context: Context
    ) -> pb.ReportPartsResponse:
        caller = current_caller()
        validation.report_parts(request)
        named = await in_turns(named_parts.expected(request))
        faults, upload = await self.coordinator.report(
            caller, request.upload_id, named, allowed_parts()
        )
        return pb.ReportPartsResponse(
            results=await in_turns(named_parts.part_results(request.parts, faults)),
            reported=conversion.reported(upload),
        )

    async def ListParts(
        self, request: pb.ListPartsRequest, context: Context
    ) -> pb.ListPartsResponse:
        caller = current_caller()
        validation.list_parts(request)
        parts, more = await self.coordinator.list_parts(
            caller,
            request.upload_id,
            after=int(page_tokens.decode(request.page_token) or 0),
            limit=min(request.page_size or MAX_PAGE_PARTS, MAX_PAGE_PARTS),
        )
        token = page_tokens.encode(str(parts[-1].number)) if more else ""
        found = await in_turns(conversion.parts(parts))
        return pb.ListPartsResponse(parts=found, next_page_token=token)


async def _chunks(messages: AsyncIterator[pb.UploadPartRequest]) -> AsyncIterator[bytes]:
    async for message in messages:
        part_validation.chunk(message)
        yield message.chunk


def _by_field_of_put_part(error: InvalidRequest) -> InvalidRequest:
    """Return the error with the names of PutPartRequest: the use case has those of UploadPart."""
    return InvalidRequest(
        [
            FieldViolation(
                "body" if v.field == "chunk" else v.field.removeprefix("header."), v.description
            )
            for v in error.violations
        ]
    )


async def _bodies(
    first: list[bytes], messages: AsyncIterator[pb.PutPartRequest]
) -> AsyncIterator[bytes]:
    """Yield the bytes of the first message, if it has any, and those of the others."""
    # Popped, so that no variable keeps them while storage is slow.
    if first[0]:
        yield first.pop()
    async for message in messages:
        part_validation.body(message)
        yield message.body.data
