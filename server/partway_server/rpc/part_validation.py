"""Validate the messages of a part that passes through the service: those of two RPCs.

As in `validation`, only what depends on nothing but the message is checked here.
"""

from collections.abc import Iterator

from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.errors import FieldViolation, InvalidRequest
from partway_server.domain.part_plan import MAX_PARTS
from partway_server.rpc.validation import reject_if, upload_id_violations

MAX_CHUNK_BYTES = 1024 * 1024


def part_header(message: pb.UploadPartRequest | None) -> None:
    """Check the first message of an UploadPart, None if the stream was empty."""
    reject_if(_part_header(message))


def chunk(message: pb.UploadPartRequest) -> None:
    """Check every other message of an UploadPart."""
    if message.WhichOneof("payload") != "chunk" or not 1 <= len(message.chunk) <= MAX_CHUNK_BYTES:
        limit = f"each message after the header must have a chunk of 1 to {MAX_CHUNK_BYTES:,} bytes"
        raise InvalidRequest([FieldViolation("chunk", limit)])


def put_part(message: pb.PutPartRequest | None) -> None:
    """Check the first message of a PutPart, None if the stream was empty."""
    reject_if(_put_part(message or pb.PutPartRequest()))


def body(message: pb.PutPartRequest) -> None:
    """Check every other message of a PutPart."""
    reject_if(_body(message))


def _part_header(message: pb.UploadPartRequest | None) -> Iterator[FieldViolation]:
    if message is None or message.WhichOneof("payload") != "header":
        yield FieldViolation("header", "must be in the first message")
        return
    yield from _part(message.header, "header.")


def _part(
    named: pb.UploadPartHeader | pb.PutPartRequest, prefix: str = ""
) -> Iterator[FieldViolation]:
    yield from upload_id_violations(named.upload_id)
    if not 1 <= named.part_number <= MAX_PARTS:
        yield FieldViolation(f"{prefix}part_number", f"must be 1 to {MAX_PARTS:,}")
    if len(named.checksum) not in (0, 4, 8, 16, 32):
        yield FieldViolation(f"{prefix}checksum", "must have 0, 4, 8, 16 or 32 bytes")


def _put_part(message: pb.PutPartRequest) -> Iterator[FieldViolation]:
    yield from _part(message)
    if len(message.body.data) > MAX_CHUNK_BYTES:
        yield FieldViolation("body.data", f"must have at most {MAX_CHUNK_BYTES:,} bytes a message")


def _body(message: pb.PutPartRequest) -> Iterator[FieldViolation]:
    for field in ("upload_id", "part_number", "checksum"):
        if getattr(message, field):
            yield FieldViolation(field, "must be in the first message alone")
    if not 1 <= len(message.body.data) <= MAX_CHUNK_BYTES:
        limit = f"must have 1 to {MAX_CHUNK_BYTES:,} bytes in each message after the first"
        yield FieldViolation("body.data", limit)
