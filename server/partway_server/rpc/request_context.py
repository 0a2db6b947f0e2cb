"""Begins and ends what surrounds a call: its fields in the log, its request id, its span.

The outermost interceptor, so that whatever happens inside says whose call it was. A caller may give
its own request id, as a gateway does, in `x-request-id`; every caller gets it back in the trailers,
and in the details of an error.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc

from partway_server.observability import tracing
from partway_server.observability.call_context import CallContext, begin_call
from partway_server.rpc.call_outcome import REQUEST_ID, log_cancelled
from partway_server.rpc.identity.base import Context

_ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,63}", re.ASCII)
"""A request id that is taken over: short, and safe in any log."""

_ENDED_BY_CALLERS = frozenset({"Watch"})

Handler = Any


class RequestContext(grpc.aio.ServerInterceptor):
    """Gives each call a context. Of good calls, the share `good_calls` is logged.

    Sees raw handlers, which are streams of requests, as `interceptors.ErrorInterceptor` makes them.
    """

    def __init__(self, *, random_bytes: Callable[[int], bytes], good_calls: float = 1.0) -> None:
        self._random_bytes = random_bytes
        self._good_calls = good_calls
        self._made: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        path = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None or not path.startswith("/partway."):
            return handler
        inner, outer = self._made.get(path, (None, None))
        # The one inside is made once for each path.
        if inner is not handler:
            outer = self._wrapped(path, handler)
            self._made[path] = handler, outer
        return outer

    def _wrapped(self, path: str, handler: Handler) -> Handler:
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(self._stream(path, handler.stream_stream))
        return grpc.stream_unary_rpc_method_handler(self._unary(path, handler.stream_unary))

    def _unary(self, path: str, behaviour: Any) -> Any:
        async def call(requests: Any, context: Context) -> bytes:
            with self._surrounding(path, context):
                raw: bytes = await behaviour(requests, context)
                return raw

        return call

    def _stream(self, path: str, behaviour: Any) -> Any:
        async def call(requests: Any, context: Context) -> AsyncIterator[bytes]:
            with self._surrounding(path, context):
                async with aclosing(behaviour(requests, context)) as responses:
                    # Popped, so that no variable keeps a message that has been sent.
                    waiting: list[Any] = [await anext(responses, None)]
                    while waiting[0] is not None:
                        yield waiting.pop()
                        waiting.append(await anext(responses, None))

        return call

    @contextmanager
    def _surrounding(self, path: str, context: Context) -> Iterator[None]:
        sent = _first_values(context)
        request_id = sent.get(REQUEST_ID, "")
        if not _ACCEPTED.fullmatch(request_id):
            request_id = self._random_bytes(8).hex()
        call = CallContext(request_id, path.rpartition("/")[2], context.peer())
        call.good_share = self._good_calls
        begin_call(call)
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        begun = time.monotonic()
        with tracing.call_span(path, sent, call):
            try:
                yield
            except (asyncio.CancelledError, GeneratorExit):
                log_cancelled(path, begun, expected=call.rpc in _ENDED_BY_CALLERS)
                raise


def _first_values(context: Context) -> dict[str, str]:
    """Return the metadata that a caller sent of which a context consists."""
    found: dict[str, str] = {}
    for key, value in context.invocation_metadata() or ():
        if key in _KEYS and isinstance(value, str):
            found.setdefault(key, value)
    return found


_KEYS = frozenset({REQUEST_ID, *tracing.PROPAGATED})
