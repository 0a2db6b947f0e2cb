"""Convert between the storage interface and the SDK's request and response fields. No I/O.

A store that returns less than S3 has a capability that says so.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import CopySource, Grant
from partway_server.storage.base import Head, StoredPart, md5_in
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.presigner import WRITE_TOKEN, object_headers

_WITHOUT_FIELD = (Checksum.NONE, Checksum.MD5)
"""S3 has no field for these in Create, Complete and HEAD, and needs none."""

_ARGUMENTS = {
    "content-type": "ContentType",
    "content-disposition": "ContentDisposition",
    "cache-control": "CacheControl",
    "x-amz-storage-class": "StorageClass",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-tagging": "Tagging",
}
"""The SDK's names for the headers of an object."""


def create_fields(
    grant: Grant, metadata: Mapping[str, str], capabilities: Capabilities
) -> dict[str, Any]:
    """Return the fields of CreateMultipartUpload that describe the object."""
    named = {"ChecksumAlgorithm": grant.checksum.upper()}
    return {
        **{_ARGUMENTS[name]: value for name, value in object_headers(grant).items()},
        "Metadata": {**metadata, WRITE_TOKEN: grant.write_token},
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


def copy_fields(source: CopySource, begin: int, size: int) -> dict[str, Any]:
    """Return the fields of UploadPartCopy: which bytes, of which object."""
    # A range is refused for an object of 5 MB or less
    # (https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html).
    part_of_it = {"CopySourceRange": f"bytes={begin}-{begin + size - 1}"}
    return {
        "CopySource": {"Bucket": source.bucket, "Key": source.key},
        "CopySourceIfMatch": f'"{source.etag}"',
        **(part_of_it if size < source.size_bytes else {}),
    }


def complete_fields(
    grant: Grant, parts: Sequence[StoredPart], checksum: bytes, capabilities: Capabilities
) -> dict[str, Any]:
    """Return the fields of CompleteMultipartUpload: the parts and the conditions."""
    condition = {"IfNoneMatch": "*"} if capabilities.conditional_complete else {}
    if checksum and capabilities.whole_checksum:
        condition |= {"ChecksumType": "FULL_OBJECT", "ChecksumCRC64NVME": _encoded(checksum)}
    return {"MultipartUpload": {"Parts": [_named_part(grant, part) for part in parts]}, **condition}


def _named_part(grant: Grant, part: StoredPart) -> dict[str, Any]:
    named: dict[str, Any] = {"PartNumber": part.number, "ETag": f'"{part.etag}"'}
    if part.checksum and grant.checksum not in _WITHOUT_FIELD:
        named[f"Checksum{grant.checksum.upper()}"] = _encoded(part.checksum)
    return named


def _encoded(checksum: bytes) -> str:
    return base64.b64encode(checksum).decode("ascii")


def head_fields(grant: Grant, capabilities: Capabilities) -> dict[str, str]:
    """Return the fields of HeadObject that ask for more than the default."""
    has_checksum = capabilities.whole_checksum and grant.checksum not in _WITHOUT_FIELD
    return {"ChecksumMode": "ENABLED"} if has_checksum else {}


def delete_fields(head: Head, capabilities: Capabilities) -> dict[str, str]:
    """Return the fields that limit DeleteObject to the object that HEAD returned."""
    if head.version_id:
        return {"VersionId": head.version_id}
    if capabilities.conditional_delete:
        return {"IfMatch": f'"{head.etag}"'}
    return {}


def object_head(grant: Grant, reply: Mapping[str, Any]) -> Head:
    """Return the object from a HeadObject response."""
    return Head(
        size_bytes=reply["ContentLength"],
        etag=reply.get("ETag", "").strip('"'),
        write_token=reply["Metadata"].get(WRITE_TOKEN, ""),
        version_id=reply.get("VersionId", ""),
        checksum=_checksum(grant, reply),
        metadata={k: v for k, v in reply["Metadata"].items() if k != WRITE_TOKEN},
    )


def stored_part(grant: Grant, listed: Mapping[str, Any], capabilities: Capabilities) -> StoredPart:
    """Return a part from a ListParts response."""
    etag = listed["ETag"].strip('"')
    checksum = md5_of_etag(grant, etag, capabilities) or _checksum(grant, listed)
    return StoredPart(listed["PartNumber"], listed["Size"], etag, checksum)


def md5_of_etag(grant: Grant, etag: str, capabilities: Capabilities) -> bytes:
    """Return the MD5 in an ETag, if the upload uses MD5 and the store's ETags are MD5s."""
    wanted = grant.checksum is Checksum.MD5 and capabilities.md5_etags
    return md5_in(etag) if wanted else b""


def _checksum(grant: Grant, reply: Mapping[str, Any]) -> bytes:
    """Return the checksum of a part or of a whole object, by the upload's algorithm."""
    encoded: str = reply.get(f"Checksum{grant.checksum.upper()}", "")
    # A checksum of the parts' checksums ends with their number: BASE64-COUNT.
    return b"" if "-" in encoded else base64.b64decode(encoded)
