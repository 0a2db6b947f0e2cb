"""Sends one part through the service, by the client stream UploadPart."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import grpc
from partway.v1 import upload_service_pb2 as service_pb

from partway_client._transport.retrying_caller import RetryingCaller
from partway_client._transport.status_mapping import error_of
from partway_client.errors import PartwayError, ServiceError

_STATUS_SECONDS = 1.0


class RemoteStatus:
    """The status with which the other side ended a client stream.

    grpc.aio overwrites the status of a call that ends during a write with one of its own, or sets
    its own first (https://github.com/grpc/grpc/issues/36066). Callbacks run as soon as any status
    is set, so the one that is not grpc.aio's own is kept here.
    """

    def __init__(self, call: grpc.aio.StreamUnaryCall[Any, Any]) -> None:
        self._remote: asyncio.Future[grpc.aio.AioRpcError] = asyncio.Future()
        call.add_done_callback(self._keep)

    async def failure(self) -> grpc.aio.AioRpcError | None:
        """Return the status of a failed call; None if only grpc.aio's own comes soon."""
        await asyncio.wait({self._remote}, timeout=_STATUS_SECONDS)
        return self._remote.result() if self._remote.done() else None

    def _keep(self, call: Any) -> None:
        code, details = _at_hand(call.code()), _at_hand(call.details())
        own = (code, details) == (grpc.StatusCode.INTERNAL, "Internal error from Core")
        if not own and not self._remote.done():
            trailing = _at_hand(call.trailing_metadata())
            found = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details)
            self._remote.set_result(found)


async def send_part(
    caller: RetryingCaller,
    header: service_pb.UploadPartHeader,
    chunks: AsyncIterator[bytes],
) -> str | tuple[PartwayError, bool]:
    """Try once. Return the entity tag, or the error and whether another try may help.

    No deadline: a part may take hours. Exceptions from `chunks` propagate.
    """
    connection = caller.connection
    caller.attempts += 1
    metadata = await connection.credentials.metadata()
    call = connection.stub.UploadPart(metadata=metadata)
    remote = RemoteStatus(call)
    try:
        await call.write(service_pb.UploadPartRequest(header=header))
        async for chunk in chunks:
            await call.write(service_pb.UploadPartRequest(chunk=chunk))
        await call.done_writing()
        answer = await call
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        failure = await remote.failure()
        if failure is None:
            return caller.cut(), True
        error, retried = error_of(failure, connection.server)
        connection.reached |= isinstance(error, ServiceError)
        return error, retried or await connection.credentials.renew(error, metadata)
    finally:
        call.cancel()
    connection.answered()
    etag: str = answer.part.etag
    return etag


def _at_hand(answer: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that need not wait; None if it would."""
    try:
        answer.send(None)
    except StopIteration as ended:
        return ended.value
    finally:
        answer.close()
    return None
