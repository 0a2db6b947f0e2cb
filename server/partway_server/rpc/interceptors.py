"""The gRPC interceptors that every call passes through, outermost first.

1. `ErrorInterceptor` is outermost, so that no exception reaches a caller unmapped: grpc.aio sends
   the text of any exception that is not caught. It authenticates each call, and decodes its
   request, because a request that cannot be decoded would otherwise be UNKNOWN.
2. `Admission` is next: a rejected call costs no more than its decoding. Watches have a limit of
   their own, because they last long and cost next to nothing: under the limit of working calls
   there would be too few, and they would leave no room for those.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
from grpc_status import rpc_status

from partway_server.domain import errors
from partway_server.domain.grant import Caller
from partway_server.rpc.error_mapping import internal, status_of
from partway_server.rpc.identity.base import PRINCIPAL, Context, Identity
from partway_server.rpc.permissions import PERMISSIONS

logger = logging.getLogger(__name__)

Handler = Any
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]

_WATCH = "/Watch"


def budget_seconds(context: Context, cap_seconds: float) -> float:
    """Return how long a call may take and still be answered before its caller's deadline."""
    remaining = context.time_remaining()
    if remaining is None:
        return cap_seconds
    return min(remaining * 0.9, remaining - 0.02, cap_seconds)


CLIENT_STREAM_SECONDS = 3 * 3600
"""The time limit of a client stream: a part of 5 GiB at 500 kB/s. It is shorter than the time by
which a transfer to storage may outlive its upload."""


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Authenticates calls, decodes requests, enforces time limits, maps errors to statuses.

    `admit` raises QuotaExceeded if the caller makes too many calls.
    """

    def __init__(
        self,
        *,
        identity: Identity,
        timeout_seconds: float,
        random_bytes: Callable[[int], bytes],
        admit: Callable[[Caller], Awaitable[None]] | None = None,
    ) -> None:
        self._identity = identity
        self._admit = admit
        self._timeout_seconds = timeout_seconds
        self._random_bytes = random_bytes
        self._limits: set[asyncio.Timeout] = set()

    def end(self) -> None:
        """End all calls in progress as timed out."""
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(now)

    @asynccontextmanager
    async def _within(self, seconds: float) -> AsyncIterator[None]:
        async with asyncio.timeout(seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        handler = await continuation(handler_call_details)
        # Health and reflection are left alone: Watch, for one, writes instead of yielding.
        if handler is None or not _ours(handler_call_details):
            return handler
        method, decode = handler_call_details.method, handler.request_deserializer
        # Without a deserializer, gRPC passes the raw bytes.
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._client_stream(method, decode, handler.stream_unary),
                response_serializer=handler.response_serializer,
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, decode, handler.unary_stream),
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, decode, handler.unary_unary),
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: str, decode: Any, behaviour: Any) -> Any:
        async def call(raw: bytes, context: Context) -> Any:
            begun = time.monotonic()
            try:
                async with self._within(budget_seconds(context, self._timeout_seconds)):
                    await self._authenticate(method, context)
                    response = await behaviour(_decoded(decode, raw), context)
            except Exception as error:
                await self._fail(method, begun, context, error)
            _log(method, begun, "OK")
            return response

        return call

    def _stream(self, method: str, decode: Any, behaviour: Any) -> Any:
        async def call(raw: bytes, context: Context) -> AsyncIterator[Any]:
            begun = time.monotonic()
            try:
                await self._authenticate(method, context)
                async with aclosing(behaviour(_decoded(decode, raw), context)) as responses:
                    # Only the first message waits for Redis and storage. After that, the reader
                    # sets the pace.
                    async with self._within(budget_seconds(context, self._timeout_seconds)):
                        waiting = [await anext(responses)]
                    # Popped, so that no variable keeps a message that has been sent: while a reader
                    # stalls, only its bytes stay in memory.
                    while waiting[0] is not None:
                        yield waiting.pop()
                        waiting = [await anext(responses, None)]
            except Exception as error:
                await self._fail(method, begun, context, error)
            _log(method, begun, "OK")

        return call

    def _client_stream(self, method: str, decode: Any, behaviour: Any) -> Any:
        async def call(raw: AsyncIterator[bytes], context: Context) -> Any:
            begun = time.monotonic()
            try:
                async with self._within(budget_seconds(context, CLIENT_STREAM_SECONDS)):
                    await self._authenticate(method, context)
                    response = await behaviour(self._messages(decode, raw), context)
            except Exception as error:
                await self._fail(method, begun, context, error)
            _log(method, begun, "OK")
            return response

        return call

    async def _authenticate(self, method: str, context: Context) -> None:
        principal = await self._identity.principal(context)
        permission = PERMISSIONS.get(method.rpartition("/")[2])
        if permission is not None:
            principal.require(permission)
        PRINCIPAL.set(principal)
        if self._admit is not None:
            await self._admit(principal.caller)

    async def _messages(self, decode: Any, raw: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Yield messages, each decoded on demand. Raises TimeoutError if none arrives in time."""
        while True:
            async with asyncio.timeout(self._timeout_seconds):
                waiting: list[Any] = [await anext(raw, None)]
            if waiting[0] is None:
                return
            # Popped, so that no variable keeps it while storage is slow.
            yield _decoded(decode, waiting.pop())

    async def _fail(self, method: str, begun: float, context: Context, error: Exception) -> None:
        """End the call with the status for `error`. Always raises."""
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if isinstance(error, NotImplementedError):
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this method is not implemented")
        if isinstance(error, TimeoutError):
            error = errors.TimedOut()
        if isinstance(error, errors.UploadError):
            _log(method, begun, type(error).__name__, _cause_for_operators(error))
            await context.abort_with_status(rpc_status.to_status(status_of(error)))
        reference = self._random_bytes(8).hex()
        logger.error("%s failed, reference %s", method, reference, exc_info=error)
        _log(method, begun, "internal")
        await context.abort_with_status(rpc_status.to_status(internal(reference)))


class Admission(grpc.aio.ServerInterceptor):
    """Rejects calls while as many are in progress as the service allows.

    Watches are counted separately. Client streams have a lower limit in addition to that of all
    calls: each may use a few MiB, for hours. Health and reflection are always admitted.
    """

    def __init__(self, *, max_calls: int, max_watchers: int, max_client_streams: int) -> None:
        self._calls = _CallLimit(max_calls)
        self._watchers = _CallLimit(max_watchers)
        self._client_streams = _CallLimit(max_client_streams)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        handler = await continuation(handler_call_details)
        if handler is None or not _ours(handler_call_details):
            return handler
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._client_stream(handler.stream_unary),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(handler.unary_stream, self._limit_for(handler_call_details)),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _unary(self, behaviour: Any) -> Any:
        async def call(request: Any, context: Context) -> Any:
            self._calls.enter()
            try:
                return await behaviour(request, context)
            finally:
                self._calls.leave()

        return call

    def _client_stream(self, behaviour: Any) -> Any:
        admitted = self._unary(behaviour)

        async def call(requests: Any, context: Context) -> Any:
            self._client_streams.enter()
            try:
                return await admitted(requests, context)
            finally:
                self._client_streams.leave()

        return call

    def _stream(self, behaviour: Any, limit: "_CallLimit") -> Any:
        def call(request: Any, context: Context) -> AsyncIterator[Any]:
            limit.enter()
            context.add_done_callback(limit.leave)  # type: ignore[arg-type]
            responses: AsyncIterator[Any] = behaviour(request, context)
            return responses

        return call

    def _limit_for(self, call: grpc.HandlerCallDetails) -> "_CallLimit":
        return self._watchers if call.method.endswith(_WATCH) else self._calls


class _CallLimit:
    """A limit on concurrent calls."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0

    def enter(self) -> None:
        """Count a call in. Raises Overloaded if the limit is reached."""
        if self._inside >= self._most:
            raise errors.Overloaded
        self._inside += 1

    def leave(self, _context: Any = None) -> None:
        self._inside -= 1


def _ours(call: grpc.HandlerCallDetails) -> bool:
    method: str = call.method
    return method.startswith("/partway.")


def _decoded(decode: Any, raw: bytes) -> Any:
    try:
        return decode(raw)
    except Exception as error:
        raise errors.UndecodableRequest("the request cannot be decoded") from error


def _cause_for_operators(error: errors.UploadError) -> str:
    """Return what an operator must know about an error, "" if it does not concern them.

    Of a cause, only its type and the leading code of a Redis error, such as BUSY: its text may
    contain an address or secrets.
    """
    if isinstance(error, errors.StorageRefused):
        return f"{error.operation} {error.storage_code}"
    if isinstance(error, errors.StorageUnavailable | errors.SessionsUnavailable):
        # Without a cause it is our own error, such as a backend that is not configured.
        return _kind(error.__cause__) if error.__cause__ else str(error)
    return ""


def _kind(cause: BaseException) -> str:
    code = str(cause).partition(" ")[0]
    coded = code.isalpha() and code.isupper()
    return f"{type(cause).__name__} {code}" if coded else type(cause).__name__


def _log(method: str, begun: float, outcome: str, cause: str = "") -> None:
    milliseconds = (time.monotonic() - begun) * 1000
    extra = {"rpc": method.rpartition("/")[2], "outcome": outcome, "ms": round(milliseconds, 1)}
    if cause:
        text = "%s %s %.1f ms: %s"
        logger.warning(text, extra["rpc"], outcome, milliseconds, cause, extra=extra)
    else:
        logger.info("%s %s %.1f ms", extra["rpc"], outcome, milliseconds, extra=extra)
