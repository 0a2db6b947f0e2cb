"""Bind the holder of an upload token to its upload, whatever the RPC.

Every `upload_id` field of a request is found by its descriptor, so that a new RPC, or a new field,
is bound without a line of its own. A handler is reached only if all name the upload of the token.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from functools import cache
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from partway_server.domain.clock import Clock
from partway_server.domain.errors import UploadNotFound, UploadTokenExpired
from partway_server.domain.principal import UploadToken
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.rpc.identity.base import PRINCIPAL, Context

ID_FIELD = "upload_id"

Path = tuple[FieldDescriptor, ...]


class UploadBinding(grpc.aio.ServerInterceptor):
    """Refuses calls by upload token that concern any other upload. Sees decoded requests."""

    def __init__(self, *, upload_ids: UploadIdCipher, clock: Clock) -> None:
        self._upload_ids = upload_ids
        self._clock = clock

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith("/partway."):
            return handler
        if handler.request_streaming:
            wrap, behaviour = grpc.stream_unary_rpc_method_handler, handler.stream_unary
            bound = self._client_stream(behaviour)
        elif handler.response_streaming:
            wrap, bound = grpc.unary_stream_rpc_method_handler, self._stream(handler.unary_stream)
        else:
            wrap, bound = grpc.unary_unary_rpc_method_handler, self._unary(handler.unary_unary)
        return wrap(bound, handler.request_deserializer, handler.response_serializer)

    def _unary(self, behaviour: Any) -> Any:
        async def call(request: Message, context: Context) -> Any:
            if token := PRINCIPAL.get().token:
                self._check(token, request)
            return await behaviour(request, context)

        return call

    def _stream(self, behaviour: Any) -> Any:
        def call(request: Message, context: Context) -> AsyncIterator[Any]:
            token = PRINCIPAL.get().token
            if token:
                self._check(token, request)
            responses: AsyncIterator[Any] = behaviour(request, context)
            return self._until_end(token, responses) if token else responses

        return call

    async def _until_end(self, token: UploadToken, responses: Any) -> AsyncIterator[Any]:
        """Yield the responses of a stream as long as its token is valid."""
        async with aclosing(responses):
            async for response in responses:
                if token.expire_time <= self._clock.now():
                    raise UploadTokenExpired
                yield response

    def _client_stream(self, behaviour: Any) -> Any:
        async def call(requests: AsyncIterator[Message], context: Context) -> Any:
            token = PRINCIPAL.get().token
            return await behaviour(self._checked(token, requests) if token else requests, context)

        return call

    async def _checked(
        self, token: UploadToken, requests: AsyncIterator[Message]
    ) -> AsyncIterator[Message]:
        """Yield the messages of a stream, whose first must name the upload."""
        named = False
        async for request in requests:
            if not named or next(upload_ids_of(request), None) is not None:
                self._check(token, request)
                named = True
            yield request

    def _check(self, token: UploadToken, request: Message) -> None:
        """Raise UploadNotFound unless the request names the token's upload, and only that."""
        named = False
        for upload_id in upload_ids_of(request):
            grant = self._upload_ids.decrypt(upload_id)
            # The sid alone may have been used again; the write token never is.
            if (grant.sid, grant.write_token) != (token.sid, token.write_token):
                raise UploadNotFound
            named = True
        if not named:
            raise UploadNotFound


def upload_ids_of(request: Message) -> Iterator[str]:
    """Yield every upload_id that a request names, at any depth."""
    for path in id_paths(request.DESCRIPTOR):
        yield from _values(request, path)


@cache
def id_paths(descriptor: Descriptor) -> Sequence[Path]:
    """Return the ways from a message to its upload_id fields."""
    found: list[Path] = []
    for field in descriptor.fields:
        if field.name == ID_FIELD:
            found.append((field,))
        elif field.message_type is not None and field.message_type.file.package == "partway.v1":
            found.extend((field, *rest) for rest in id_paths(field.message_type))
    return found


def _values(message: Message, path: Path) -> Iterator[str]:
    field, *rest = path
    if not rest:
        if upload_id := getattr(message, field.name):
            yield upload_id
    elif field.is_repeated:
        for each in getattr(message, field.name):
            yield from _values(each, tuple(rest))
    elif message.HasField(field.name):
        yield from _values(getattr(message, field.name), tuple(rest))
