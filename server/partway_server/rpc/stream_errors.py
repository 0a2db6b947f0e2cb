"""Errors as the last message of a stream, for callers that see no trailers.

A REST gateway has sent its 200 with the first message; what comes after can be said only in the
body. A call asks for it by metadata.
"""

from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from partway.v1 import upload_service_pb2

from partway_server.rpc.identity.base import Context

KEY, IN_MESSAGE = "partway-stream-errors", "message"

_METHODS = upload_service_pb2.DESCRIPTOR.services_by_name["UploadService"].methods_by_name


def wants_message(context: Context) -> bool:
    """Return whether the caller wants an error after the first message as a message."""
    return (KEY, IN_MESSAGE) in (context.invocation_metadata() or ())


def last_message(rpc: str, status: status_pb2.Status) -> bytes:
    """Return the message that ends a stream of the RPC with an error, encoded."""
    response = GetMessageClass(_METHODS[rpc].output_type)
    return response(status=status).SerializeToString()
