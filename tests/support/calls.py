"""Calls every RPC by its name, so that one test can go through them all."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_client._transport.part_stream import RemoteStatus
from partway_server.rpc.upload_binding import id_paths

from tests.support.world import ALICE

METHODS = pb.DESCRIPTOR.services_by_name["UploadService"].methods_by_name

ABOUT_AN_UPLOAD: Mapping[str, Callable[[str], Message]] = {
    "PresignParts": lambda upload_id: pb.PresignPartsRequest(upload_id=upload_id),
    "BatchPresignParts": lambda upload_id: pb.BatchPresignPartsRequest(upload_id=upload_id),
    "Complete": lambda upload_id: pb.CompleteRequest(upload_id=upload_id),
    "Abort": lambda upload_id: pb.AbortRequest(upload_id=upload_id),
    "ListParts": lambda upload_id: pb.ListPartsRequest(upload_id=upload_id),
    "Status": lambda upload_id: pb.StatusRequest(upload_id=upload_id, view=pb.STATUS_VIEW_PROGRESS),
    # Before any deadline: it changes nothing.
    "ExtendUpload": lambda upload_id: pb.ExtendUploadRequest(
        upload_id=upload_id, expire_time=Timestamp(seconds=1)
    ),
    "ReportParts": lambda upload_id: pb.ReportPartsRequest(
        upload_id=upload_id, parts=[upload_pb2.Part(part_number=1)]
    ),
}
"""The RPCs that take an upload_id and end by themselves, each with its plainest request."""

ALL: Mapping[str, Message] = {
    "Initialize": pb.InitializeRequest(size_bytes=1),
    "BatchInitialize": pb.BatchInitializeRequest(requests=[pb.InitializeRequest(size_bytes=1)]),
    "BatchComplete": pb.BatchCompleteRequest(requests=[pb.CompleteRequest(upload_id="x")]),
    "ListUploads": pb.ListUploadsRequest(),
    **{name: request("x") for name, request in ABOUT_AN_UPLOAD.items()},
}
"""Every RPC that ends by itself, each with a request that has nothing wrong with its fields."""

WATCHED: Mapping[str, Message] = {**ALL, "Watch": pb.WatchRequest(upload_id="x")}
"""Those, and the one that goes on for as long as there may be more to report."""


NAMING = [name for name, method in METHODS.items() if id_paths(method.input_type)]
"""Every RPC whose request names an Upload, as the descriptor says."""

_ALSO: Mapping[str, Message] = {
    "ReportParts": pb.ReportPartsRequest(parts=[upload_pb2.Part(part_number=1)]),
    "ExtendUpload": pb.ExtendUploadRequest(expire_time=Timestamp(seconds=1)),
    "UploadPart": pb.UploadPartRequest(header=pb.UploadPartHeader(part_number=1)),
    "PutPart": pb.PutPartRequest(part_number=1),
}
"""What those need beside the id, where the id alone is refused."""


def naming(name: str, upload_id: str) -> Message:
    """Return a request of an RPC of NAMING that names the Upload wherever it can."""
    request = GetMessageClass(METHODS[name].input_type)()
    if name in _ALSO:
        request.MergeFrom(_ALSO[name])
    for *way, field in id_paths(METHODS[name].input_type):
        message: Any = request
        for step in way:
            inner = getattr(message, step.name)
            message = inner.add() if step.is_repeated else inner
        setattr(message, field.name, upload_id)
    return request


async def _only(request: Message) -> AsyncIterator[Message]:
    yield request


async def call(
    stub: "rpc.UploadServiceAsyncStub",
    name: str,
    request: Message,
    metadata: Any = ALICE,
    seconds: float | None = None,
) -> Any:
    """Return the response of an RPC, or a list of them if it streams."""
    sent = _only(request) if METHODS[name].client_streaming else request
    answer = getattr(stub, name)(sent, metadata=metadata, timeout=seconds)
    if METHODS[name].server_streaming:
        return [message async for message in answer]
    return await answer


async def call_raw(
    channel: Any,
    name: str,
    request: bytes,
    metadata: Any = ALICE,
    service: str = "partway.v1.UploadService",
) -> Any:
    """Call an RPC with these bytes; return its response as bytes, or a list if it streams."""
    method = f"/{service}/{name}"
    if name in METHODS and METHODS[name].server_streaming:
        stream = channel.unary_stream(method)(request, metadata=metadata)
        return [message async for message in stream]
    return await channel.unary_unary(method)(request, metadata=metadata)


async def send_part(call: Any) -> Any:
    """Return the answer of a client stream, or raise what the service said.

    If the status arrives during a write, grpc.aio reports only a status of its own.
    """
    reported = RemoteStatus(call)
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise await reported.failure() or error from None


def ranges(*runs: tuple[int, int]) -> list[upload_pb2.PartRange]:
    return [upload_pb2.PartRange(first=first, last=last) for first, last in runs]
