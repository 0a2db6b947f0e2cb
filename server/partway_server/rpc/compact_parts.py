"""Write presigned parts as what their URLs have in common and, for each, its signature."""

import re
from collections.abc import Sequence

from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.part_plan import runs
from partway_server.domain.steps import Steps
from partway_server.rpc.conversion import PART_COST, STREAM_BATCH, PartWriter, timestamp
from partway_server.storage.base import PresignedPart
from partway_server.workflow.presign import PresignedParts

COMPACT_BATCH = 512
"""Parts in one message of the stream: what takes about as long to make as one of plain parts."""

_HEX_DIGITS = 64
"""A signature is an HMAC with SHA-256, and the end of its URL."""

_PART_URL = re.compile(
    rf"(?P<prefix>.*[?&]partNumber=)[0-9]+(?P<infix>&.*&X-Amz-Signature=)[0-9a-f]{{{_HEX_DIGITS}}}"
)


def write(
    presigned: PresignedParts,
    count: int,
    into: pb.PresignPartsResponse | pb.BatchPresignPartsResponse,
) -> None:
    """Take the next `count` parts, and append them in the compact form if they have one.

    A single PUT has none: no number is in its URL, and it needs the headers of the object.
    """
    parts = presigned.take(count)
    shared = _PART_URL.fullmatch(parts[0].url) if parts else None
    if shared is None:
        PartWriter(presigned).write(parts, into.parts)
    else:
        into.compact_parts.url_prefix = shared["prefix"]
        into.compact_parts.url_infix = shared["infix"]
        _write_compact(presigned, parts, into.compact_parts)


def write_parts(presigned: PresignedParts, into: pb.BatchPresignPartsResponse) -> Steps[None]:
    """Take all parts, and write them so."""
    while presigned.remaining:
        write(presigned, STREAM_BATCH, into)
        yield STREAM_BATCH * PART_COST


def _write_compact(
    presigned: PresignedParts, parts: Sequence[PresignedPart], into: upload_pb2.CompactParts
) -> None:
    """Write all but what the URLs of these parts have in common.

    They are signed from one moment and with headers of the same names, so that their URLs differ in
    number and signature alone. Their only header, if they have one, is that of the checksum.
    """
    into.checksum_header = next(iter(parts[0].headers), "")
    into.signatures += bytes.fromhex("".join([part.url[-_HEX_DIGITS:] for part in parts]))
    for first, last in runs(part.number for part in parts):
        if into.ranges and into.ranges[-1].last == first - 1:
            into.ranges[-1].last = last
        else:
            into.ranges.add(first=first, last=last)
    into.part_size_bytes = presigned.plan.part_size_bytes
    into.size_bytes = presigned.plan.size_bytes
    into.expire_time.CopyFrom(timestamp(presigned.expire_time))
