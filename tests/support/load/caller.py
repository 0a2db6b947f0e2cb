"""Calls as any gRPC client makes them, with the published service config and no retry but its."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

from tests.support.load.tally import Acknowledged, Tally
from tests.support.storage import put_by

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

CONFIG = resources.files("partway.v1").joinpath("service_config.json").read_text()
OPTIONS = (("grpc.service_config", CONFIG), ("grpc.use_local_subchannel_pool", 1))

CALL_SECONDS = 60.0
_PATIENCE_SECONDS = 60.0
_MOST_SECONDS_TO_CANCEL = 0.03
_ENDED = (
    upload_pb2.UPLOAD_STATE_COMPLETED,
    upload_pb2.UPLOAD_STATE_ABORTED,
)

_WATCH_AGAIN = ("STREAM_ENDED", "STOPPING")
"""The reasons with which a Watch ends that its caller is to begin again. gRPC does not repeat a
stream of which a message was received."""


class LifeEnded(Exception):
    """A call failed, and is in the tally: what this caller wanted to do after it has no sense."""


class Caller:
    """Makes calls, each when `turn` says so, and keeps the `tally`.

    That share of the calls is first made and `cancelled` on the way, as by a user who leaves.
    """

    def __init__(
        self,
        channels: "list[grpc.aio.Channel]",
        http: aiohttp.ClientSession,
        turn: Callable[[], Awaitable[None]],
        chance: random.Random,
        cancelled: float = 0.0,
    ) -> None:
        stubs = [UploadServiceStub(channel) for channel in channels]
        self._stubs = cast("itertools.cycle[UploadServiceAsyncStub]", itertools.cycle(stubs))
        self._put = put_by(http)
        self._turn = turn
        self._cancelled = cancelled
        self.chance = chance
        self.tally = Tally()

    async def call(self, name: str, request: Any) -> Any:
        """Return the answer of a unary call. Raises LifeEnded."""
        cancelled = await self._maybe_cancel(name, request)
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            await self._turn()
            with self._counted(name) as counted:
                try:
                    answer = await self._method(name)(request, timeout=CALL_SECONDS)
                except grpc.aio.AioRpcError as error:
                    busy = cancelled and reason_of(error) == "UPLOAD_BUSY"
                    if not busy or time.monotonic() > end:
                        raise
                    # The work for the call that was cancelled goes on.
                    delay = retry_seconds_of(error)
                else:
                    counted.check(answer)
                    return answer
            await asyncio.sleep(delay)

    async def send(self, name: str, messages: Callable[[], Any]) -> Any:
        """Return the answer to a stream of messages. Raises LifeEnded."""
        await self._turn()
        with self._counted(name):
            return await self._method(name)(messages(), timeout=CALL_SECONDS)

    async def read(self, name: str, request: Any) -> list[Any]:
        """Return all messages of a stream. Raises LifeEnded."""
        await self._maybe_cancel(name, request)
        await self._turn()
        with self._counted(name):
            stream = self._method(name)(request, timeout=CALL_SECONDS)
            return [message async for message in stream]

    async def watch(self, upload_id: str) -> None:
        """Watch an upload to its end, again after a stream was ended for it. Raises LifeEnded."""
        request, state = pb.WatchRequest(upload_id=upload_id), 0
        while state not in _ENDED:
            await self._turn()
            with self._counted("Watch", timed=False):
                try:
                    stream = self._method("Watch")(request, timeout=CALL_SECONDS)
                    async for message in stream:
                        state = message.upload.state
                except grpc.aio.AioRpcError as error:
                    if reason_of(error) not in _WATCH_AGAIN:
                        raise
                    self.tally.reopened += 1

    async def put(self, part: upload_pb2.PresignedPart, body: bytes) -> str:
        """Send a part to storage, and return its entity tag. Raises LifeEnded."""
        try:
            reply = await self._put(part.url, body, dict(part.headers))
        except aiohttp.ClientError as error:
            return self._lost(f"PUT {type(error).__name__}")
        return reply.etag if reply.status == 200 else self._lost(f"PUT {reply.status} {reply.code}")

    async def complete(self, upload_id: str) -> upload_pb2.Upload:
        """Complete the upload, asking again for as long as storage joins the parts."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            answer = await self.call("Complete", pb.CompleteRequest(upload_id=upload_id))
            upload: upload_pb2.Upload = answer.upload
            if upload.state == upload_pb2.UPLOAD_STATE_COMPLETED:
                return upload
            await asyncio.sleep(upload.retry_delay.ToTimedelta().total_seconds() or 0.1)
        self._lost("Complete does not end")
        raise AssertionError

    def acknowledge(self, upload: upload_pb2.Upload, body: bytes) -> None:
        """Note that the service said that this upload, with this content, is complete."""
        found = Acknowledged(upload.id, upload.object.key, body, time.monotonic())
        self.tally.acknowledged.append(found)

    async def _maybe_cancel(self, name: str, request: Any) -> bool:
        """Make the call and cancel it, or not; return whether it was."""
        if self.chance.random() >= self._cancelled:
            return False
        await self._turn()
        self.tally.calls[name] += 1
        self.tally.cancelled += 1
        call = self._method(name)(request, timeout=CALL_SECONDS)
        await asyncio.sleep(self.chance.random() * _MOST_SECONDS_TO_CANCEL)
        call.cancel()
        return True

    def _method(self, name: str) -> Any:
        return getattr(next(self._stubs), name)

    def _lost(self, words: str) -> str:
        self.tally.failures[words] += 1
        raise LifeEnded

    def _counted(self, name: str, *, timed: bool = True) -> "_Counted":
        return _Counted(self.tally, name, timed)


class _Counted:
    """Counts one call, and its failure, after which it raises LifeEnded."""

    def __init__(self, tally: Tally, name: str, timed: bool) -> None:
        self._tally, self._name, self._timed = tally, name, timed

    def __enter__(self) -> "_Counted":
        self._tally.calls[self._name] += 1
        self._began = time.monotonic()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._timed:
            self._tally.longest = max(self._tally.longest, time.monotonic() - self._began)
        if isinstance(error, grpc.aio.AioRpcError):
            words = (self._name, error.code().name, reason_of(error) or error.details() or "")
            self._tally.failures[" ".join(words)] += 1
            raise LifeEnded from error

    def check(self, answer: Any) -> None:
        """Note each item of a batch that failed. Raises LifeEnded."""
        results = getattr(answer, "results", ())
        failed = [each.status for each in results if each.HasField("status")]
        for status in failed:
            self._tally.failures[f"an item of {self._name}: {status.message}"] += 1
        if failed:
            raise LifeEnded


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason in the details of an error, without its prefix; "" if it has none."""
    info = error_details_pb2.ErrorInfo()
    return str(info.reason).removeprefix("ERROR_REASON_") if _unpack(error, info) else ""


def retry_seconds_of(error: grpc.aio.AioRpcError) -> float:
    """Return after how many seconds the call may be repeated."""
    info = error_details_pb2.RetryInfo()
    assert _unpack(error, info), "the error does not say when to come again"
    return float(info.retry_delay.ToTimedelta().total_seconds())


def _unpack(error: grpc.aio.AioRpcError, detail: Message) -> bool:
    status = rpc_status.from_call(cast(grpc.Call, error))
    return status is not None and any(packed.Unpack(detail) for packed in status.details)
