"""The gRPC interceptor that every call passes through, so that nothing happens outside of it.

A call is authenticated, its permission is checked, and it is admitted, before its request is read:
so a call that is refused costs next to nothing. Then its request is decoded, its handler runs
within a time limit, and what goes wrong becomes a status: grpc.aio would send the text of any
exception that is not caught.

gRPC takes all methods for streams of requests. Of a method that takes one, it would read the
request before the interceptor sees the call.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import grpc

from partway_server.domain import errors
from partway_server.domain.grant import Caller
from partway_server.rpc.admission import Admission, Ticket
from partway_server.rpc.batch_results import failed_items
from partway_server.rpc.call_meter import CallMeter
from partway_server.rpc.call_outcome import fail, log_call, status_for
from partway_server.rpc.deadlines import CLIENT_STREAM_SECONDS, STREAM_SECONDS, budget_seconds
from partway_server.rpc.identity.base import PRINCIPAL, Context, Identity
from partway_server.rpc.permissions import PERMISSIONS
from partway_server.rpc.slow_readers import end_stalled
from partway_server.rpc.storage_use import STORAGE_RPCS, UNQUEUED_RPCS, needs_storage
from partway_server.rpc.stream_errors import last_message, wants_message

Handler = Any
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]


@dataclass(frozen=True, slots=True)
class _Method:
    """One RPC: its names, its handler, and how to decode and encode its messages."""

    path: str
    rpc: str
    behaviour: Any
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Authenticates and admits calls, decodes requests, enforces time limits, maps errors.

    `take_call` raises QuotaExceeded if the caller makes too many calls.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        admission: Admission,
        timeout_seconds: float,
        random_bytes: Callable[[int], bytes],
        take_call: Callable[[Caller], Awaitable[None]],
        meter: CallMeter,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._identity = identity
        self._admission = admission
        self._take_call = take_call
        self._meter = meter
        self._timeout_seconds = timeout_seconds
        self._random_bytes = random_bytes
        self._jitter = jitter
        self._limits: set[asyncio.Timeout] = set()
        self._handlers: dict[str, Handler] = {}

    def end(self) -> None:
        """End all calls in progress as timed out."""
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(now)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        path = handler_call_details.method
        if (made := self._handlers.get(path)) is not None:
            return made
        handler = await continuation(handler_call_details)
        # Health and reflection are left alone: Watch, for one, writes instead of yielding.
        if handler is None or not path.startswith("/partway."):
            return handler
        made = self._handlers[path] = self._wrapped(path, handler)
        return made

    def _wrapped(self, path: str, handler: Handler) -> Handler:
        # Without a deserializer and a serializer, gRPC passes the raw bytes.
        behaviour = handler.stream_unary or handler.unary_stream or handler.unary_unary
        method = _Method(
            path,
            path.rpartition("/")[2],
            behaviour,
            handler.request_deserializer,
            handler.response_serializer,
        )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(self._client_stream(method))
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(self._stream(method))
        return grpc.stream_unary_rpc_method_handler(self._unary(method))

    def _unary(self, method: _Method) -> Any:
        async def call(_requests: Any, context: Context) -> bytes:
            begun = time.monotonic()
            try:
                async with self._within(budget_seconds(context, self._timeout_seconds)):
                    ticket = await self._enter(method, context)
                    request = await self._request(method, ticket, context)
                    response = await method.behaviour(request, context)
                    raw = method.encode(response)
                    failed = failed_items(response)
                    # Only its bytes stay in memory until they are read.
                    del response
                ticket.work_done()
                ticket.reply(len(raw))
            except BaseException as error:
                await self._fail(method, begun, context, error)
            self._meter.succeeded(method.rpc, begun, failed)
            log_call(method.path, begun, "OK", failed_items=failed)
            return raw

        return call

    def _stream(self, method: _Method) -> Any:
        async def call(_requests: Any, context: Context) -> AsyncIterator[bytes]:
            begun, by_message, under_way = time.monotonic(), False, False
            try:
                async with self._within(budget_seconds(context, self._timeout_seconds)):
                    ticket = await self._enter(method, context)
                    request = await self._request(method, ticket, context)
                async with aclosing(method.behaviour(request, context)) as responses:
                    # Only the first message waits for Redis and storage. After that, the reader
                    # sets the pace.
                    async with self._within(budget_seconds(context, self._timeout_seconds)):
                        waiting = [await anext(responses)]
                    ticket.work_done()
                    self._meter.first_message(method.rpc, begun)
                    under_way = True
                    asked, until = wants_message(context), self._end_of_stream(method)
                    # Popped, so that no variable keeps a message that has been sent: while a reader
                    # stalls, only its bytes stay in memory.
                    while waiting[0] is not None:
                        raw = [method.encode(waiting.pop())]
                        ticket.reply(len(raw[0]))
                        by_message = asked
                        yield raw.pop()
                        if ticket.ended and by_message:
                            raise errors.StreamEnded
                        ticket.read()
                        ticket.end = partial(end_stalled, ticket, responses, by_message)
                        waiting = [await _next(responses, until)]
            except BaseException as error:
                if not by_message or not isinstance(error, Exception):
                    await self._fail(method, begun, context, error, midway=under_way)
                self._meter.failed(method.rpc, begun, error, midway=under_way)
                last = last_message(
                    method.rpc, status_for(method.path, begun, error, self._reference)
                )
            else:
                self._meter.stream_ended(method.rpc)
                log_call(method.path, begun, "OK")
                return
            yield last

        return call

    def _client_stream(self, method: _Method) -> Any:
        async def call(raw: AsyncIterator[bytes], context: Context) -> bytes:
            begun = time.monotonic()
            try:
                async with self._within(budget_seconds(context, CLIENT_STREAM_SECONDS)):
                    await self._enter(method, context)
                    response = await method.behaviour(self._messages(method, raw), context)
            except BaseException as error:
                await self._fail(method, begun, context, error)
            self._meter.succeeded(method.rpc, begun)
            log_call(method.path, begun, "OK")
            return method.encode(response)

        return call

    async def _enter(self, method: _Method, context: Context) -> Ticket:
        """Authenticate and admit the call, and return its ticket."""
        principal = await self._identity.principal(context)
        permission = PERMISSIONS.get(method.rpc)
        if permission is not None:
            principal.require(permission)
        PRINCIPAL.set(principal)
        ticket = self._admission.admit(method.rpc, principal.caller.tenant, context)
        # Not by the context, which would refer to itself and live until the next collection of
        # garbage. So would the call in gRPC, which counts it as one of its connection.
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(ticket.close)
        await self._take_call(principal.caller)
        if method.rpc not in UNQUEUED_RPCS:
            await ticket.work(storage=method.rpc in STORAGE_RPCS)
        return ticket

    async def _request(self, method: _Method, ticket: Ticket, context: Context) -> Any:
        """Return the one request of a call, decoded. Raises Overloaded."""
        raw = await context.read()
        if raw is grpc.aio.EOF:
            raise errors.UndecodableRequest("the call has no request")
        request = _decoded(method, raw)
        if needs_storage(request):
            await ticket.work(storage=True)
        return request

    async def _messages(self, method: _Method, raw: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Yield messages, each decoded on demand. Raises TimeoutError if none arrives in time."""
        while True:
            async with asyncio.timeout(self._timeout_seconds):
                waiting: list[Any] = [await anext(raw, None)]
            if waiting[0] is None:
                return
            # Popped, so that no variable keeps it while storage is slow.
            yield _decoded(method, waiting.pop())

    @asynccontextmanager
    async def _within(self, seconds: float) -> AsyncIterator[None]:
        async with asyncio.timeout(seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    def _end_of_stream(self, method: _Method) -> float:
        """Return when a stream that begins now must end, by the clock of the event loop.

        Not all at once: their callers come back.
        """
        seconds = STREAM_SECONDS[method.rpc] * (1 - self._jitter() / 10)
        return asyncio.get_running_loop().time() + seconds

    async def _fail(
        self,
        method: _Method,
        begun: float,
        context: Context,
        error: BaseException,
        *,
        midway: bool = False,
    ) -> NoReturn:
        """End the call with the status for `error`; one that is cancelled has none."""
        self._meter.failed(method.rpc, begun, error, midway=midway)
        if not isinstance(error, Exception):
            raise error
        await fail(method.path, begun, context, error, self._reference)

    def _reference(self) -> str:
        return self._random_bytes(8).hex()


async def _next(responses: AsyncIterator[Any], until: float) -> Any:
    """Return the next message, None after the last. Raises StreamEnded if the time is up."""
    try:
        async with asyncio.timeout_at(until) as limit:
            return await anext(responses, None)
    except TimeoutError:
        if limit.expired():
            raise errors.StreamEnded from None
        raise


def _decoded(method: _Method, raw: bytes) -> Any:
    try:
        return method.decode(raw)
    except Exception as error:
        raise errors.UndecodableRequest("the request cannot be decoded") from error
