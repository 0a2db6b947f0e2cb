"""Calls any of the services and sends parts by PUT or UploadPart, recording each answer."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_client._transport.part_stream import RemoteStatus

from tests.chaos.ledger import ABORTED, COMPLETED, Answer, Sending, Story
from tests.support.storage import Put, put_by

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

CALL_SECONDS = 12.0
PUT_SECONDS = 30.0
_CHUNK_BYTES = 1024 * 1024

_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),
)
_PASSING_CODES = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "RESOURCE_EXHAUSTED")
_PASSING_REASONS = ("UPLOAD_BUSY",)


class OutOfPatience(Exception):
    """No service gave a decisive answer for as long as a caller waits."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller that asks one service after another until one answers."""

    stubs: Sequence["UploadServiceAsyncStub"]
    put_bytes: Put
    patience: float

    async def once(self, story: Story, verb: str, request: Any, chance: random.Random) -> Any:
        """Call once; return the response and its Answer, or (None, Answer) if it failed."""
        began = time.monotonic()
        stub = chance.choice(self.stubs)
        try:
            response = await getattr(stub, verb)(request, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            answer = _of_error(error, verb, began)
            story.answers.append(answer)
            return None, answer
        answer = _of_response(response, verb, began)
        story.answers.append(answer)
        return response, answer

    async def ask(self, story: Story, verb: str, request: Any, chance: random.Random) -> Any:
        """Call until the answer is not transient; return as `once` does. Raises OutOfPatience."""
        deadline = time.monotonic() + self.patience
        for tries in range(10_000):
            if verb in ("Complete", "Compose"):
                story.completes.append(time.monotonic())
            if verb == "Abort":
                story.aborts.append(time.monotonic())
            response, answer = await self.once(story, verb, request, chance)
            if not _passing(answer):
                return response, answer
            if time.monotonic() > deadline:
                raise OutOfPatience(f"{verb}: {answer.state} {answer.reason} {answer.code}".strip())
            await asyncio.sleep(min(0.05 * 1.6**tries, 1.0) * (0.5 + chance.random()))
        raise AssertionError("more tries than seconds")

    async def watch(self, story: Story, request: pb.WatchRequest, chance: random.Random) -> None:
        """Watch until the upload ends, again after each cut. Raises OutOfPatience."""
        deadline = time.monotonic() + self.patience
        while True:
            answer = await self._watch_once(story, request, chance)
            if not _passing(answer):
                return
            if time.monotonic() > deadline:
                raise OutOfPatience(f"Watch: {answer.reason} {answer.code}".strip())
            # As a caller does that is asked to watch again.
            await asyncio.sleep(0.2 * (0.5 + chance.random()))

    async def _watch_once(
        self, story: Story, request: pb.WatchRequest, chance: random.Random
    ) -> Answer:
        began, last = time.monotonic(), Answer(0.0, 0.0, "Watch")
        try:
            async for message in chance.choice(self.stubs).Watch(request, timeout=CALL_SECONDS):
                last = _of_response(message, "Watch", began)
                story.answers.append(last)
        except grpc.aio.AioRpcError as error:
            last = _of_error(error, "Watch", began)
            story.answers.append(last)
            return last
        if last.state not in (COMPLETED, ABORTED):
            story.wrong.append("a Watch ended with OK before the upload did")
        return last

    async def put(
        self, story: Story, part: upload_pb2.PresignedPart, data: bytes, *, right: bool = True
    ) -> Sending:
        """Send a part once."""
        sending = Sending(part.part_number, right, time.monotonic())
        story.sendings.append(sending)
        body = data[part.offset_bytes : part.offset_bytes + part.size_bytes]
        if not right:
            body = bytes(255 - byte for byte in body[:64]) + body[64:]
        try:
            async with asyncio.timeout(PUT_SECONDS):
                reply = await self.put_bytes(part.url, body, part.headers)
        except (aiohttp.ClientError, TimeoutError):
            # The end was not seen: the Sending keeps NEVER.
            return sending
        sending.status, sending.ended = reply.status, time.monotonic()
        return sending

    async def upload_part(
        self,
        story: Story,
        part: upload_pb2.PresignedPart,
        data: bytes,
        upload_id: str,
        chance: random.Random,
    ) -> Sending:
        """Send a part once by UploadPart, through any of the services."""
        sending = Sending(part.part_number, True, time.monotonic(), by_service=True)
        story.sendings.append(sending)
        body = data[part.offset_bytes : part.offset_bytes + part.size_bytes]
        header = pb.UploadPartHeader(upload_id=upload_id, part_number=part.part_number)
        call = chance.choice(self.stubs).UploadPart(_stream(header, body), timeout=PUT_SECONDS)
        reported = RemoteStatus(call)
        try:
            await call
        except grpc.aio.AioRpcError:
            if (failure := await reported.failure()) is not None:
                story.answers.append(_of_error(failure, "UploadPart", sending.began))
            if failure is not None and not _passing(story.answers[-1]):
                sending.status, sending.ended = 404, time.monotonic()
            # Otherwise as for a PUT without an answer: the bytes may be in storage, or in flight.
            return sending
        sending.status, sending.ended = 200, time.monotonic()
        return sending


@asynccontextmanager
async def a_caller(addresses: Sequence[str], patience: float) -> AsyncIterator[Caller]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        channels = [grpc.aio.insecure_channel(a, options=_OPTIONS) for a in addresses]
        for channel in channels:
            await stack.enter_async_context(channel)
        yield Caller([UploadServiceStub(c) for c in channels], put_by(http), patience)


def state_name(number: upload_pb2.UploadState.ValueType) -> str:
    return upload_pb2.UploadState.Name(number).removeprefix("UPLOAD_STATE_")


def _passing(answer: Answer) -> bool:
    if answer.reason:
        passing_state = answer.verb == "Abort" and answer.state in ("COMPLETING", "ABORTING")
        return (
            passing_state
            or answer.reason in _PASSING_REASONS
            or (answer.code in _PASSING_CODES and not answer.state)
        )
    if answer.code:
        return answer.code in _PASSING_CODES
    if answer.verb == "Compose" and answer.state == "ACTIVE":
        return True
    passing_verb = answer.verb in ("Complete", "Abort", "Compose")
    return passing_verb and answer.state in ("COMPLETING", "ABORTING")


def _stream(header: pb.UploadPartHeader, body: bytes) -> Iterator[pb.UploadPartRequest]:
    yield pb.UploadPartRequest(header=header)
    for at in range(0, len(body), _CHUNK_BYTES):
        yield pb.UploadPartRequest(chunk=body[at : at + _CHUNK_BYTES])


def _of_response(response: Any, verb: str, began: float) -> Answer:
    ended, reported = time.monotonic(), -1
    if hasattr(response, "reported") and response.HasField("reported"):
        reported = response.reported.parts_stored
    if not hasattr(response, "upload"):
        return Answer(began, ended, verb, reported=reported)
    upload = response.upload
    progress = getattr(response, "progress", None)
    listed = isinstance(response, pb.StatusResponse) and response.HasField("progress")
    reason = upload_pb2.AbortReason.Name(upload.abort_reason).removeprefix("ABORT_REASON_")
    return Answer(
        began,
        ended,
        verb,
        state=state_name(upload.state),
        etag=upload.object.etag,
        key=upload.object.key,
        abort_reason="" if reason == "UNSPECIFIED" else reason,
        parts_stored=progress.parts_stored if listed and progress is not None else -1,
        reported=reported,
    )


def _of_error(error: grpc.aio.AioRpcError, verb: str, began: float) -> Answer:
    ended, info = time.monotonic(), error_details_pb2.ErrorInfo()
    try:
        status = rpc_status.from_call(cast(grpc.Call, error))
    except ValueError:
        # Code and trailer disagree: the connection broke in the middle of the answer.
        status = None
    for detail in status.details if status is not None else ():
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
    return Answer(
        began,
        ended,
        verb,
        state=info.metadata.get("state", "").removeprefix("UPLOAD_STATE_"),
        reason=info.reason.removeprefix("ERROR_REASON_"),
        code=error.code().name,
        abort_reason=info.metadata.get("abort_reason", "").removeprefix("ABORT_REASON_"),
    )
