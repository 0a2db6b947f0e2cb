"""Check at startup that a bucket can be used, so that no upload is the first to fail."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from partway_server.domain.errors import StorageUnavailable
from partway_server.storage.base import md5_in
from partway_server.storage.obstacles import no_metadata, refused, unusable
from partway_server.storage.presigner import WRITE_TOKEN
from partway_server.storage.s3_client import status_in, translate_errors
from partway_server.storage.s3_diagnosis import bucket_obstacle

PROBE_PREFIX = "partway-probe/"


async def check_bucket(client: Any, bucket: str, *, backend: str) -> None:
    """Raise StoreUnusable if storage cannot be reached, or the bucket is missing or denied.

    A listing: the answer to a HEAD has no error code.
    """
    listing = client.list_objects_v2(Bucket=bucket, Prefix=PROBE_PREFIX, MaxKeys=1)
    found = await bucket_obstacle(
        listing,
        endpoint=client.meta.endpoint_url,
        bucket=bucket,
        backend=backend,
        addressing=client.meta.config.s3["addressing_style"],
    )
    if found is not None:
        raise unusable(backend, bucket, found)


async def check_metadata(client: Any, bucket: str, token: str, *, backend: str) -> None:
    """Put, read and delete an empty object with a write token, which every upload needs.

    `token` is random, and names the object. Raises StoreUnusable if storage does not return the
    token, is known to lose it, or denies one of the three.
    """
    permitted = partial(_permitted, backend, bucket)
    place = {"Bucket": bucket, "Key": PROBE_PREFIX + token}
    with permitted("PutObject"):
        put = await client.put_object(**place, Body=b"", Metadata={WRITE_TOKEN: token})
    # In a versioned bucket, a plain delete would leave a version and a marker at every start.
    only = {"VersionId": put["VersionId"]} if put.get("VersionId") else {}
    try:
        with permitted("HeadObject", "GetObject"):
            head = await client.head_object(**place)
    finally:
        with permitted("DeleteObject", "DeleteObjectVersion" if only else "DeleteObject"):
            await client.delete_object(**place, **only)
    if head["Metadata"].get(WRITE_TOKEN) != token:
        found = no_metadata(
            "storage does not return an object's metadata",
            "Use another store, or configure the proxy in front of it to pass x-amz-meta-*"
            " headers.",
        )
        raise unusable(backend, bucket, found)
    if _is_rclone(head):
        found = no_metadata(
            "this storage is `rclone serve s3`, which loses the metadata of all objects when it"
            " stops",
            "Use another store.",
        )
        raise unusable(backend, bucket, found)


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
def _permitted(
    backend: str, bucket: str, operation: str, action: str = "PutObject"
) -> Iterator[None]:
    with translate_errors(operation):
        try:
            yield
        except ClientError as exc:
            if status_in(exc) != 403:
                raise
            raise unusable(backend, bucket, refused(action, bucket)) from exc
