"""What storage in memory keeps: finished objects and unfinished multipart uploads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Self

from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import Grant
from partway_server.storage.base import Head, StoredPart
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.memory_checksums import CRC64NVME
from partway_server.storage.presigner import WRITE_TOKEN, object_headers

_KEPT_HEADERS = (
    "cache-control",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-tagging",
)
"""The headers of a PUT that are kept with the object, besides its type and its disposition."""

_METADATA_PREFIX = "x-amz-meta-"


@dataclass(frozen=True, slots=True)
class MemoryObject:
    """A finished object. `multipart_id` is that of the upload it was joined from, "" for a PUT.

    `headers` are the other headers that are kept with it.
    """

    head: Head
    content_type: str
    disposition: str
    metadata: Mapping[str, str]
    multipart_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_put(
        cls, part: StoredPart, signed: Mapping[str, str], capabilities: Capabilities
    ) -> Self:
        """Return the object that one PUT with these signed headers creates."""
        metadata = {
            name.removeprefix(_METADATA_PREFIX): value
            for name, value in signed.items()
            if name.startswith(_METADATA_PREFIX)
        }
        token = metadata.pop(WRITE_TOKEN)
        return cls(
            Head(
                part.size_bytes,
                part.etag,
                token,
                checksum=part.checksum if capabilities.whole_checksum else b"",
                metadata=metadata,
            ),
            signed["content-type"],
            signed["content-disposition"],
            metadata,
            headers={name: signed[name] for name in _KEPT_HEADERS if name in signed},
        )

    @classmethod
    def from_parts(
        cls, multipart: "MemoryMultipart", multipart_id: str, *, etag: str, size: int, whole: bytes
    ) -> Self:
        """Return the object that joining a multipart upload creates."""
        headers = object_headers(multipart.grant)
        return cls(
            Head(
                size_bytes=size,
                etag=etag,
                write_token=multipart.grant.write_token,
                checksum=whole,
                metadata=multipart.metadata,
            ),
            headers.pop("content-type"),
            headers.pop("content-disposition"),
            multipart.metadata,
            multipart_id,
            headers,
        )


@dataclass(frozen=True, slots=True)
class MemoryMultipart:
    """An unfinished multipart upload, with its parts by number."""

    grant: Grant
    metadata: Mapping[str, str]
    initiated: datetime
    parts: dict[int, StoredPart] = field(default_factory=dict)

    def whole_checksum(self, numbers: Sequence[int], capabilities: Capabilities) -> bytes:
        """Return the object's checksum, which S3 has where every part was sent with its own."""
        parts = [self.parts[number] for number in numbers]
        named = self.grant.checksum is Checksum.CRC64NVME and all(p.checksum for p in parts)
        if not (named and capabilities.whole_checksum):
            return b""
        whole = 0
        for part in parts:
            whole = CRC64NVME.shifted(whole, part.size_bytes) ^ int.from_bytes(part.checksum)
        return whole.to_bytes(8)

    def refusal(self, parts: Sequence[StoredPart], capabilities: Capabilities) -> str:
        """Return the S3 code of why the parts cannot be joined, "" if they can."""
        if not parts:
            return "MalformedXML"
        if any(second.number <= first.number for first, second in pairwise(parts)):
            return "InvalidPartOrder"
        stored = [self.parts.get(part.number) for part in parts]
        sizes = [
            s.size_bytes for s, part in zip(stored, parts, strict=True) if s and _same(s, part)
        ]
        if len(sizes) < len(parts):
            return "InvalidPart"
        if any(size < capabilities.limits.min_part_bytes for size in sizes[:-1]):
            return "EntityTooSmall"
        if capabilities.equal_parts and len(set(sizes[:-1])) > 1:
            return "InvalidPart"
        return ""


def _same(stored: StoredPart, named: StoredPart) -> bool:
    return stored.etag == named.etag and named.checksum in (b"", stored.checksum)
