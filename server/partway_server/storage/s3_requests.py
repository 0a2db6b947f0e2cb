"""What the SDK calls the fields of requests and answers, from and to the seam's nouns. Pure.

A store that tells less than S3 has a capability that says so.
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
"""S3 has no field for these in Create, Complete and HEAD, nor needs one."""

_ARGUMENTS = {
    "content-type": "ContentType",
    "content-disposition": "ContentDisposition",
    "cache-control": "CacheControl",
    "x-amz-storage-class": "StorageClass",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-tagging": "Tagging",
}
"""What the SDK calls the headers of an object."""


def create_fields(
    grant: Grant, metadata: Mapping[str, str], capabilities: Capabilities
) -> dict[str, Any]:
    """What CreateMultipartUpload is told of the object."""
    named = {"ChecksumAlgorithm": grant.checksum.upper()}
    return {
        **{_ARGUMENTS[name]: value for name, value in object_headers(grant).items()},
        "Metadata": {**metadata, WRITE_TOKEN: grant.write_token},
        **(named if _names_checksum(grant, capabilities) else {}),
    }


def _names_checksum(grant: Grant, capabilities: Capabilities) -> bool:
    """Whether the algorithm is named at create, so that the object has a checksum, too.

    Complete then asks for the parts' checksums, but for CRC64NVME; where ListParts does not
    tell them nobody could send them, and each part is verified without.
    """
    if grant.checksum in _WITHOUT_FIELD:
        return False
    return capabilities.listed_checksums or grant.checksum is Checksum.CRC64NVME


def copy_fields(source: CopySource, begin: int, size: int) -> dict[str, Any]:
    """Which bytes UploadPartCopy is to take, and of which object."""
    # A range is not taken of an object of 5 MB or less
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
    """What CompleteMultipartUpload joins, and on what conditions."""
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
    """What HeadObject is to tell beside the usual."""
    told = capabilities.whole_checksum and grant.checksum not in _WITHOUT_FIELD
    return {"ChecksumMode": "ENABLED"} if told else {}


def delete_fields(head: Head, capabilities: Capabilities) -> dict[str, str]:
    """What holds DeleteObject to the very object that HEAD showed."""
    if head.version_id:
        return {"VersionId": head.version_id}
    if capabilities.conditional_delete:
        return {"IfMatch": f'"{head.etag}"'}
    return {}


def object_head(grant: Grant, reply: Mapping[str, Any]) -> Head:
    """The object, as HeadObject tells it."""
    return Head(
        size_bytes=reply["ContentLength"],
        etag=reply.get("ETag", "").strip('"'),
        write_token=reply["Metadata"].get(WRITE_TOKEN, ""),
        version_id=reply.get("VersionId", ""),
        checksum=_checksum(grant, reply),
        metadata={k: v for k, v in reply["Metadata"].items() if k != WRITE_TOKEN},
    )


def stored_part(grant: Grant, listed: Mapping[str, Any], capabilities: Capabilities) -> StoredPart:
    """A part, as ListParts tells it."""
    etag = listed["ETag"].strip('"')
    checksum = md5_of_etag(grant, etag, capabilities) or _checksum(grant, listed)
    return StoredPart(listed["PartNumber"], listed["Size"], etag, checksum)


def md5_of_etag(grant: Grant, etag: str, capabilities: Capabilities) -> bytes:
    """The MD5 that an entity tag is, where the Upload goes by MD5 and the store means it so."""
    wanted = grant.checksum is Checksum.MD5 and capabilities.md5_etags
    return md5_in(etag) if wanted else b""


def _checksum(grant: Grant, told: Mapping[str, Any]) -> bytes:
    """The checksum of a part or of a whole object, by the Upload's algorithm, in an answer."""
    encoded: str = told.get(f"Checksum{grant.checksum.upper()}", "")
    # A checksum of the parts' checksums says how many they are: BASE64-COUNT.
    return b"" if "-" in encoded else base64.b64decode(encoded)
