"""Tests the vectors of docs/reference/compact_parts.json, from which other languages can test.

Run it as a module to write them anew: `python -m tests.contract.test_compact_parts`.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_client._transport.compact_parts import expand
from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import Plan
from partway_server.rpc import compact_parts
from partway_server.rpc.conversion import PartWriter
from partway_server.storage.presigner import PartPresigner
from partway_server.storage.sigv4 import Credentials, S3Endpoint, Signer
from partway_server.workflow.presign import PresignedParts

from tests.support.uploads import an_upload

VECTORS = Path(__file__).parents[2] / "docs/reference/compact_parts.json"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIB = 1024 * 1024

EXAMPLES: dict[str, dict[str, Any]] = {
    "two ranges, the last part included": {"ranges": [(9, 11), (2, 2)]},
    "one part": {"ranges": [(1, 1)]},
    "a temporary credential": {"ranges": [(1, 2)], "session_token": "token/+="},
    "CRC-64/NVME": {"ranges": [(3, 4)], "checksum": Checksum.CRC64NVME},
    "MD5": {"ranges": [(1, 1)], "checksum": Checksum.MD5},
}


def presigned(
    ranges: Sequence[tuple[int, int]],
    checksums: Mapping[int, bytes],
    checksum: Checksum,
    token: str,
) -> PresignedParts:
    """Return parts of a file of eleven, the last of 7 bytes, signed at NOW for an hour."""
    plan = Plan(10 * 8 * MIB + 7, 8 * MIB)
    grant = replace(
        an_upload(plan=plan).grant,
        checksum=checksum,
        key="acme/a file+%.bin",
        multipart_id="abc/+=",
    )
    signer = Signer(
        Credentials("AKIAEXAMPLE", "example-secret", token),
        S3Endpoint("https://s3.example.com", "eu-central-1"),
    ).for_parts(grant.bucket, grant.key, grant.multipart_id, lifetime_seconds=3600, now=NOW)
    presigner = PartPresigner(grant, signer, NOW + timedelta(hours=1))
    return PresignedParts(plan, ranges, checksums, presigner)


def vector(
    ranges: Sequence[tuple[int, int]],
    checksum: Checksum = Checksum.NONE,
    session_token: str = "",
) -> dict[str, Any]:
    """Return one example: what the service sends, and what it means."""
    numbers = [number for first, last in ranges for number in range(first, last + 1)]
    sizes = {Checksum.NONE: 0, Checksum.CRC64NVME: 8, Checksum.MD5: 16}
    checksums = {number: bytes([number] * sizes[checksum]) for number in numbers if sizes[checksum]}
    compact, plain = pb.PresignPartsResponse(), pb.PresignPartsResponse()
    compact_parts.write(presigned(ranges, checksums, checksum, session_token), 100, compact)
    parts = presigned(ranges, checksums, checksum, session_token)
    PartWriter(parts).write(parts.take_all(), plain.parts)
    return {
        "checksums": {
            str(number): base64.b64encode(each).decode() for number, each in checksums.items()
        },
        "compactParts": json_format.MessageToDict(compact.compact_parts),
        "parts": json_format.MessageToDict(plain)["parts"],
    }


def vectors() -> dict[str, Any]:
    return {name: vector(**example) for name, example in EXAMPLES.items()}


def test_the_vectors_are_what_the_service_sends() -> None:
    assert json.loads(VECTORS.read_text()) == vectors()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_client_expands_them(name: str) -> None:
    found = json.loads(VECTORS.read_text())[name]
    message = json_format.ParseDict(found["compactParts"], upload_pb2.CompactParts())
    checksums = {int(number): base64.b64decode(each) for number, each in found["checksums"].items()}
    expanded = [
        upload_pb2.PresignedPart(
            part_number=part.part_number,
            method=part.method,
            url=part.url,
            headers=part.headers,
            offset_bytes=part.offset_bytes,
            size_bytes=part.size_bytes,
            expire_time=Timestamp(seconds=part.expires_at),
        )
        for part in expand(message, checksums)
    ]
    assert [json_format.MessageToDict(part) for part in expanded] == found["parts"]


def test_a_url_takes_less_than_forty_bytes() -> None:
    response = pb.PresignPartsResponse()
    parts = presigned([(1, 11)] * 40, {}, Checksum.NONE, "token" * 100)
    compact_parts.write(parts, compact_parts.COMPACT_BATCH, response)
    assert response.ByteSize() < 40 * 11 * 40


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=2) + "\n")
