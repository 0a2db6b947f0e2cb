"""Expand CompactParts: put each part's URL together from what all have in common."""

import base64
from collections.abc import Iterator, Mapping

from partway.v1 import upload_pb2 as pb

from partway_client._transport.messages import PartUrl

_SIGNATURE_BYTES = 32


def expand(compact: pb.CompactParts, checksums: Mapping[int, bytes]) -> Iterator[PartUrl]:
    """Yield the parts in order. `checksums`, by number, are those that the request named.

    The rule is that of the message's comment in partway/v1/upload.proto.
    """
    numbers = (number for run in compact.ranges for number in range(run.first, run.last + 1))
    for index, number in enumerate(numbers):
        begin = index * _SIGNATURE_BYTES
        signature = compact.signatures[begin : begin + _SIGNATURE_BYTES].hex()
        offset = (number - 1) * compact.part_size_bytes
        yield PartUrl(
            part_number=number,
            method="PUT",
            url=f"{compact.url_prefix}{number}{compact.url_infix}{signature}",
            headers=_headers(compact.checksum_header, checksums.get(number)),
            offset_bytes=offset,
            size_bytes=min(compact.part_size_bytes, compact.size_bytes - offset),
            expires_at=compact.expire_time.seconds,
        )


def _headers(name: str, checksum: bytes | None) -> dict[str, str]:
    if not name or checksum is None:
        return {}
    return {name: base64.b64encode(checksum).decode("ascii")}
