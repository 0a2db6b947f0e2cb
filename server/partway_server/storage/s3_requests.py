"""Convert between the storage interface and the headers and elements of S3. No I/O.

A store that returns less than S3 has a capability that says so.
"""

import asyncio
import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import StorageUnavailable
from partway_server.domain.grant import CopySource, Grant
from partway_server.storage.base import Head, StoredPart, md5_of_etag
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.presigner import WRITE_TOKEN, object_headers
from partway_server.storage.s3_calls import ListedPart, NamedPart
from partway_server.storage.s3_evidence import has_s3_header

_STEP = 1000
_META = "x-amz-meta-"
_NUMBER = re.compile(r"[0-9]{1,19}")

_WITHOUT_FIELD = (Checksum.NONE, Checksum.MD5)
"""S3 has no field for these in Create, Complete and HEAD, and needs none."""


def create_headers(
    grant: Grant, metadata: Mapping[str, str], capabilities: Capabilities
) -> dict[str, str]:
    """Return the headers of CreateMultipartUpload that describe the object."""
    named = {"x-amz-checksum-algorithm": grant.checksum.upper()}
    return {
        **object_headers(grant),
        **{f"{_META}{name}": value for name, value in metadata.items()},
        f"{_META}{WRITE_TOKEN}": grant.write_token,
        **(named if _names_checksum(grant, capabilities) else {}),
    }


def _names_checksum(grant: Grant, capabilities: Capabilities) -> bool:
    """Return whether Create names the algorithm, so that the object gets a checksum, too.

    Complete then requires the parts' checksums, except for CRC64NVME. If ListParts does not return
    them, they cannot be sent, and each part is verified without.
    """
    if grant.checksum in _WITHOUT_FIELD:
        return False
    return capabilities.listed_checksums or grant.checksum is Checksum.CRC64NVME


def copy_headers(source: CopySource, begin: int, size: int) -> dict[str, str]:
    """Return the headers of UploadPartCopy: which bytes, of which object."""
    # A range is refused for an object of 5 MB or less
    # (https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html).
    part_of_it = {"x-amz-copy-source-range": f"bytes={begin}-{begin + size - 1}"}
    return {
        "x-amz-copy-source": quote(f"{source.bucket}/{source.key}"),
        "x-amz-copy-source-if-match": f'"{source.etag}"',
        **(part_of_it if size < source.size_bytes else {}),
    }


def complete_headers(checksum: bytes, capabilities: Capabilities) -> dict[str, str]:
    """Return the headers of CompleteMultipartUpload: the conditions."""
    headers = {"if-none-match": "*"} if capabilities.conditional_complete else {}
    if checksum and capabilities.whole_checksum:
        headers |= {
            "x-amz-checksum-type": "FULL_OBJECT",
            "x-amz-checksum-crc64nvme": _encoded(checksum),
        }
    return headers


async def named_parts(grant: Grant, parts: Sequence[StoredPart]) -> list[NamedPart]:
    """Return the parts as CompleteMultipartUpload names them, letting others have their turn."""
    named: list[NamedPart] = []
    for at in range(0, len(parts), _STEP):
        if at:
            await asyncio.sleep(0)  # Others get their turn after each thousand.
        named += (_named_part(grant, part) for part in parts[at : at + _STEP])
    return named


def _named_part(grant: Grant, part: StoredPart) -> NamedPart:
    if part.checksum and grant.checksum not in _WITHOUT_FIELD:
        field = f"Checksum{grant.checksum.upper()}"
        return NamedPart(part.number, f'"{part.etag}"', field, _encoded(part.checksum))
    return NamedPart(part.number, f'"{part.etag}"')


def _encoded(checksum: bytes) -> str:
    return base64.b64encode(checksum).decode("ascii")


def head_headers(grant: Grant, capabilities: Capabilities) -> dict[str, str]:
    """Return the headers of HeadObject that ask for more than the default."""
    has_checksum = capabilities.whole_checksum and grant.checksum not in _WITHOUT_FIELD
    return {"x-amz-checksum-mode": "ENABLED"} if has_checksum else {}


def delete_condition(head: Head, capabilities: Capabilities) -> tuple[str, dict[str, str]]:
    """Return the version and the headers that limit DeleteObject to what HEAD returned."""
    if head.version_id:
        return head.version_id, {}
    if capabilities.conditional_delete:
        return "", {"if-match": f'"{head.etag}"'}
    return "", {}


def object_head(grant: Grant, headers: Mapping[str, str]) -> Head:
    """Return the object from a HeadObject response.

    Raises StorageUnavailable for one that is not about an object: a proxy may have sent it.
    """
    size, etag = headers.get("content-length", ""), headers.get("etag", "").strip('"')
    if not has_s3_header(headers) or not etag or not _NUMBER.fullmatch(size):
        raise StorageUnavailable
    metadata = {
        name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)
    }
    token = metadata.pop(WRITE_TOKEN, "")
    return Head(
        size_bytes=int(size),
        etag=etag,
        write_token=token,
        version_id=headers.get("x-amz-version-id", ""),
        checksum=_decoded(headers.get(f"x-amz-checksum-{grant.checksum}", "")),
        metadata=metadata,
    )


def stored_part(grant: Grant, listed: ListedPart, capabilities: Capabilities) -> StoredPart:
    """Return a part from a ListParts response. Raises StorageUnavailable if it is garbled."""
    etag = listed.etag.strip('"')
    checksum = md5_of_etag(grant, etag, capabilities) or _decoded(
        listed.fields.get(f"Checksum{grant.checksum.upper()}", "")
    )
    return StoredPart(listed.number, listed.size_bytes, etag, checksum)


def is_newer(part: ListedPart, other: ListedPart) -> bool:
    """Return whether `part` was stored after `other`, or at the same time.

    Raises StorageUnavailable if the store does not say when.
    """
    if part.last_modified == other.last_modified and part.last_modified:
        return True
    try:
        return _time(part.last_modified) >= _time(other.last_modified)
    except ValueError as exc:
        raise StorageUnavailable from exc


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _decoded(encoded: str) -> bytes:
    """Return the checksum of a part or of a whole object."""
    # A checksum of the parts' checksums ends with their number: BASE64-COUNT.
    if not encoded or "-" in encoded:
        return b""
    try:
        return base64.b64decode(encoded)
    except ValueError as exc:
        raise StorageUnavailable from exc
