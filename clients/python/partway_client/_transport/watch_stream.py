"""Follows one Upload by the Watch RPC, reconnecting until the Upload has ended."""

from collections.abc import AsyncGenerator

import grpc
from partway.v1 import upload_service_pb2 as service_pb

from partway_client._transport.conversion import upload_from_proto
from partway_client._transport.retrying_caller import RetryingCaller
from partway_client._transport.status_mapping import error_of
from partway_client.models import State, UploadInfo

_OVER = (State.COMPLETED, State.ABORTED)


async def watch(caller: RetryingCaller, upload_id: str) -> AsyncGenerator[UploadInfo, None]:
    """Yield the Upload at once and after each change, to its end, across reconnects.

    Reconnecting misses nothing, since Watch is level-triggered: each message holds the complete
    current state.
    """
    connection = caller.connection
    request = service_pb.WatchRequest(upload_id=upload_id)
    tries, renewed = 0, False
    while True:
        tries += 1
        caller.attempts += 1
        # No deadline: an upload may take days. gRPC's keepalive notices a dead connection.
        metadata = await connection.credentials.metadata()
        call = connection.stub.Watch(request, metadata=metadata)
        try:
            async for message in call:
                tries, renewed = 1, False
                connection.answered()
                reported = message.reported if message.HasField("reported") else None
                upload = upload_from_proto(message.upload, reported=reported)
                yield upload
                if upload.state in _OVER:
                    return
            error, retried = caller.cut(), True
        except grpc.aio.AioRpcError as failure:
            error, retried = error_of(failure, connection.server)
        finally:
            call.cancel()
        if not renewed and await connection.credentials.renew(error, metadata):
            renewed = True
            continue
        await caller.wait_or_raise(error, tries, retried=retried)
