"""The calls of S3 through the AWS SDK, for stores that the lean client does not get on with."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from partway_server.domain.errors import StorageUnavailable
from partway_server.storage.s3_calls import (
    BareRefusal,
    ListedPart,
    NamedPart,
    PageOfParts,
    S3Refusal,
)
from partway_server.storage.s3_client import (
    S3Clients,
    code_in,
    headers_in,
    is_s3_error,
    status_in,
    translate_errors,
)

_META = "x-amz-meta-"

_ARGUMENTS = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-type": "ContentType",
    "if-match": "IfMatch",
    "if-none-match": "IfNoneMatch",
    "x-amz-checksum-algorithm": "ChecksumAlgorithm",
    "x-amz-checksum-crc64nvme": "ChecksumCRC64NVME",
    "x-amz-checksum-mode": "ChecksumMode",
    "x-amz-checksum-type": "ChecksumType",
    "x-amz-copy-source": "CopySource",
    "x-amz-copy-source-if-match": "CopySourceIfMatch",
    "x-amz-copy-source-range": "CopySourceRange",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-storage-class": "StorageClass",
    "x-amz-tagging": "Tagging",
}
"""The SDK's names for the headers of a request."""

_OF_A_PAGE = frozenset({"Bucket", "Key", "MaxParts", "PartNumberMarker", "Parts", "UploadId"})
"""What shows that a document is a page of parts: the SDK does not check what its root is called."""


class SdkCalls:
    """Calls through the SDK's clients, which are closed by whoever opened them."""

    def __init__(self, clients: S3Clients) -> None:
        self._clients = clients

    async def create(self, bucket: str, key: str, headers: Mapping[str, str]) -> str:
        with _translated("CreateMultipartUpload"):
            async with asyncio.timeout(self._clients.call_seconds):
                reply = await self._clients.once.create_multipart_upload(
                    Bucket=bucket, Key=key, **_arguments(headers)
                )
            multipart_id: str = reply["UploadId"]
        return multipart_id

    async def list_parts(
        self, bucket: str, key: str, multipart_id: str, *, after: int, limit: int
    ) -> PageOfParts:
        with _translated("ListParts"):
            page = await self._clients.control.list_parts(
                Bucket=bucket,
                Key=key,
                UploadId=multipart_id,
                PartNumberMarker=after,
                MaxParts=limit,
            )
            if not _OF_A_PAGE & page.keys():
                raise StorageUnavailable
            parts = [_listed(part) for part in page.get("Parts", [])]
        return PageOfParts(parts, page.get("IsTruncated"))

    async def copy_part(
        self, bucket: str, key: str, multipart_id: str, number: int, headers: Mapping[str, str]
    ) -> None:
        with _translated("UploadPartCopy"):
            async with asyncio.timeout(self._clients.complete_seconds):
                reply = await self._clients.joining.upload_part_copy(
                    Bucket=bucket,
                    Key=key,
                    UploadId=multipart_id,
                    PartNumber=number,
                    **_arguments(headers),
                )
            if not reply.get("CopyPartResult", {}).get("ETag"):
                raise StorageUnavailable

    async def complete(
        self,
        bucket: str,
        key: str,
        multipart_id: str,
        parts: Sequence[NamedPart],
        headers: Mapping[str, str],
    ) -> None:
        with _translated("CompleteMultipartUpload"):
            async with asyncio.timeout(self._clients.complete_seconds):
                reply = await self._clients.joining.complete_multipart_upload(
                    Bucket=bucket,
                    Key=key,
                    UploadId=multipart_id,
                    MultipartUpload={"Parts": [_named(part) for part in parts]},
                    **_arguments(headers),
                )
            # Ceph RGW can return an empty one, which is a result nevertheless.
            if "ETag" not in reply:
                raise StorageUnavailable

    async def abort(self, bucket: str, key: str, multipart_id: str) -> Mapping[str, str]:
        with _translated("AbortMultipartUpload"):
            reply = await self._clients.control.abort_multipart_upload(
                Bucket=bucket, Key=key, UploadId=multipart_id
            )
        return headers_in(reply)

    async def head(self, bucket: str, key: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        with _translated("HeadObject"):
            reply = await self._clients.control.head_object(
                Bucket=bucket, Key=key, **_arguments(headers)
            )
        return headers_in(reply)

    async def get_byte(self, bucket: str, key: str) -> None:
        with _translated("GetObject"):
            reply = await self._clients.control.get_object(
                Bucket=bucket, Key=key, Range="bytes=0-0"
            )
            reply["Body"].close()

    async def delete(
        self, bucket: str, key: str, version_id: str, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        only = {"VersionId": version_id} if version_id else {}
        with _translated("DeleteObject"):
            async with asyncio.timeout(self._clients.call_seconds):
                reply = await self._clients.once.delete_object(
                    Bucket=bucket, Key=key, **only, **_arguments(headers)
                )
        return headers_in(reply)

    async def aclose(self) -> None:
        pass  # The clients are not this object's own.


@contextmanager
def _translated(operation: str) -> Iterator[None]:
    with translate_errors(operation):
        try:
            yield
        except ClientError as exc:
            # The SDK turns an error in the body of a 200, or half a body, into a 500.
            raise _refusal(operation, exc) from exc
        except KeyError as exc:
            # A 200 whose body lacks what the call returns is not an answer to it.
            raise StorageUnavailable from exc


def _refusal(operation: str, error: ClientError) -> Exception:
    """Return the error for an error response: of S3's, or of something else."""
    status = status_in(error)
    if is_s3_error(error):
        return S3Refusal(status, code_in(error) or str(status))
    return BareRefusal(status, str(status)) if operation == "HeadObject" else StorageUnavailable()


def _arguments(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the SDK's arguments for the headers of a request."""
    arguments: dict[str, Any] = {
        _ARGUMENTS[name]: _DECODED.get(name, str)(value)
        for name, value in headers.items()
        if not name.startswith(_META)
    }
    metadata = {
        name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)
    }
    return {**arguments, **({"Metadata": metadata} if metadata else {})}


def _copy_source(header: str) -> dict[str, str]:
    # The SDK encodes it again, and would take the end of some keys for a version.
    bucket, _, key = unquote(header).partition("/")
    return {"Bucket": bucket, "Key": key}


_DECODED: Mapping[str, Callable[[str], Any]] = {"x-amz-copy-source": _copy_source}


def _named(part: NamedPart) -> dict[str, Any]:
    checksum = {part.checksum_field: part.checksum} if part.checksum_field else {}
    return {"PartNumber": part.number, "ETag": part.etag, **checksum}


def _listed(part: Mapping[str, Any]) -> ListedPart:
    modified = part.get("LastModified")
    when = modified.isoformat() if modified else ""
    return ListedPart(part["PartNumber"], part["Size"], part["ETag"], when, part)
