"""Check at startup that a bucket can be used, so that no upload is the first to fail."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from partway_server.domain.errors import StorageUnavailable
from partway_server.storage.base import md5_in
from partway_server.storage.presigner import WRITE_TOKEN
from partway_server.storage.s3_client import status_in, translate_errors
from partway_server.storage.s3_errors import BUCKET_PROBLEMS

PROBE_PREFIX = "partway-probe/"


async def check_bucket(client: Any, bucket: str) -> None:
    """Raise ValueError, with a message for operators, if the bucket is missing or denied."""
    with translate_errors("HeadBucket"):
        try:
            await client.head_bucket(Bucket=bucket)
        except ClientError as exc:
            if problem := BUCKET_PROBLEMS.get(status_in(exc)):
                raise ValueError(f"bucket {bucket!r}: {problem}") from exc
            raise
        except ParamValidationError as exc:
            raise ValueError(f"{bucket!r} is not a valid bucket name") from exc


async def check_metadata(client: Any, bucket: str, token: str) -> None:
    """Put, read and delete an empty object with a write token, which every upload needs.

    `token` is random, and names the object. Raises ValueError, with a message for operators, if
    storage does not return the token, is known to lose it, or denies one of the three.
    """
    place = {"Bucket": bucket, "Key": PROBE_PREFIX + token}
    with _permitted(bucket, "PutObject", "s3:PutObject"):
        put = await client.put_object(**place, Body=b"", Metadata={WRITE_TOKEN: token})
    # In a versioned bucket, a plain delete would leave a version and a marker at every start.
    only = {"VersionId": put["VersionId"]} if put.get("VersionId") else {}
    try:
        with _permitted(bucket, "HeadObject", "s3:GetObject"):
            head = await client.head_object(**place)
    finally:
        permission = "s3:DeleteObjectVersion" if only else "s3:DeleteObject"
        with _permitted(bucket, "DeleteObject", permission):
            await client.delete_object(**place, **only)
    if head["Metadata"].get(WRITE_TOKEN) != token:
        raise ValueError(
            f"bucket {bucket!r}: storage does not return an object's metadata, which Partway needs"
            " to verify outcomes; use another store, or configure the proxy in front of it to pass"
            " x-amz-meta-* headers"
        )
    if _is_rclone(head):
        raise ValueError(
            f"bucket {bucket!r}: this storage is `rclone serve s3`, which loses the metadata of all"
            " objects when it stops, but Partway needs it to verify outcomes; use another store"
        )


def _is_rclone(head: Mapping[str, Any]) -> bool:
    """Return whether the store is rclone, which behaves correctly until it stops.

    It keeps metadata only in memory (https://rclone.org/commands/rclone_serve_s3/#limitations), and
    identifies itself as AmazonS3. But each of its responses allows browsers a fixed list of
    headers, including this one that no other store names (https://github.com/rclone/gofakes3).
    """
    allowed = head["ResponseMetadata"]["HTTPHeaders"].get("access-control-allow-headers", "")
    return "x-amz-meta-private" in allowed


async def probe_md5(client: Any, bucket: str, token: str, *, single: bool) -> bool:
    """Return whether the ETag of an object, or else of a part, is the MD5 of its bytes.

    `token` is random; it is the name and the content of the probe.
    """
    place, body = {"Bucket": bucket, "Key": PROBE_PREFIX + token}, token.encode()
    with translate_errors("PutObject" if single else "UploadPart"):
        if single:
            put = await client.put_object(**place, Body=body)
            await client.delete_object(
                **place, **({"VersionId": put["VersionId"]} if put.get("VersionId") else {})
            )
        else:
            opened = await client.create_multipart_upload(**place)
            if not opened.get("UploadId"):
                raise StorageUnavailable
            place["UploadId"] = opened["UploadId"]
            try:
                put = await client.upload_part(**place, PartNumber=1, Body=body)
            finally:
                await client.abort_multipart_upload(**place)
    if not (etag := put.get("ETag", "").strip('"')):
        raise StorageUnavailable
    return md5_in(etag) == hashlib.md5(body, usedforsecurity=False).digest()


@contextmanager
def _permitted(bucket: str, operation: str, permission: str) -> Iterator[None]:
    with translate_errors(operation):
        try:
            yield
        except ClientError as exc:
            if status_in(exc) != 403:
                raise
            raise ValueError(
                f"bucket {bucket!r}: storage denied {operation}; grant the credentials {permission}"
            ) from exc
