"""Validate batches as a whole. Each item is validated as a call of its own is."""

from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.errors import FieldViolation, InvalidRequest
from partway_server.domain.part_plan import MAX_PARTS
from partway_server.rpc.validation import MAX_BATCH_PARTS

MAX_BATCH_UPLOADS = 100


def batch_initialize(request: pb.BatchInitializeRequest) -> None:
    """Check a BatchInitializeRequest, except its files."""
    _check_count(len(request.requests))
    if sum(max(each.presign_parts, 0) for each in request.requests) > MAX_BATCH_PARTS:
        _reject(f"must ask for at most {MAX_BATCH_PARTS:,} presigned parts in all")


def batch_complete(request: pb.BatchCompleteRequest) -> None:
    """Check a BatchCompleteRequest, except its Uploads."""
    _check_count(len(request.requests))
    if sum(len(each.parts) for each in request.requests) > MAX_PARTS:
        _reject(f"must name at most {MAX_PARTS:,} parts in all")


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_BATCH_UPLOADS:
        _reject(f"must have 1 to {MAX_BATCH_UPLOADS} entries")


def _reject(description: str) -> None:
    raise InvalidRequest([FieldViolation("requests", description)])
