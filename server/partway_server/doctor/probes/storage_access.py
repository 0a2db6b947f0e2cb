"""Probes of access: whether storage is reached, with which credentials, and what they may do."""

import time
from collections.abc import Callable
from datetime import datetime

from partway_server.doctor.probes.results import (
    BucketFacts,
    Permissions,
    ProbeResponse,
    Reachability,
)
from partway_server.doctor.probes.storage_connection import ProbeConnection
from partway_server.doctor.probes.storage_objects import ProbeObjects
from partway_server.domain.clock import Clock, skew_seconds
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.storage.s3_diagnosis import closer, listing_word
from partway_server.storage.store_clock import time_in

_HEADS = 20
_NO_UPLOAD = "partway-no-such-upload"


async def reach(connection: ProbeConnection, objects: ProbeObjects, clock: Clock) -> Reachability:
    """List one key: a GET, because the answer to a HEAD has no error code."""
    before = clock.now()
    answer = await connection.call(
        "list_objects_v2", Bucket=objects.bucket, Prefix=objects.prefix, MaxKeys=1
    )
    theirs = time_in(answer.headers)
    known = (
        answer.code if not answer.status else listing_word(answer.status, answer.code, answer.reply)
    )
    endpoint = connection.clients.once.meta.endpoint_url
    if word := await closer(known, answer.status, endpoint):
        answer = ProbeResponse(0, word)
    skew = None if theirs is None else skew_seconds(theirs, before, clock.now())
    region = answer.headers.get("x-amz-bucket-region", "") or str(answer.reply.get("Region", ""))
    return Reachability(answer, region, skew)


async def harmless_permissions(
    connection: ProbeConnection, objects: ProbeObjects, listing: ProbeResponse
) -> dict[str, ProbeResponse]:
    """Test the actions that need nothing made.

    Removing a missing object is as good as removing one: permission is checked before existence.
    These come first, so that nothing is made which could not be removed. `listing` is the answer
    that is known already.
    """
    place = objects.place("absent")
    return {
        "ListBucket": listing,
        "ListBucketMultipartUploads": await connection.call(
            "list_multipart_uploads", Bucket=objects.bucket, Prefix=objects.prefix
        ),
        "DeleteObject": await connection.call("delete_object", **place),
        "AbortMultipartUpload": await connection.call(
            "abort_multipart_upload", **place, UploadId=_NO_UPLOAD
        ),
    }


async def version_permissions(
    connection: ProbeConnection, objects: ProbeObjects
) -> dict[str, ProbeResponse]:
    """Test whether versions may be found and removed, in a bucket that keeps them."""
    return {
        "DeleteObjectVersion": await connection.call(
            "delete_object", **objects.place("absent"), VersionId="null"
        ),
        "ListBucketVersions": await connection.call(
            "list_object_versions", Bucket=objects.bucket, Prefix=objects.prefix
        ),
    }


async def retention(connection: ProbeConnection, bucket: str) -> bool:
    """Return whether the bucket locks all new objects, so that nothing in it can be removed."""
    answer = await connection.call("get_object_lock_configuration", Bucket=bucket)
    return "Rule" in answer.reply.get("ObjectLockConfiguration", {})


async def writing_permissions(connection: ProbeConnection, objects: ProbeObjects) -> Permissions:
    """Test PutObject, GetObject and ListMultipartUploadParts for real."""
    put = await connection.call("put_object", **objects.place("permissions"), Body=b"")
    permissions = {"PutObject": put}
    if put.ok:
        permissions["GetObject"] = await connection.call(
            "head_object", **objects.place("permissions")
        )
    opened, upload = await objects.open_multipart("permissions")
    if opened.ok:
        permissions["ListMultipartUploadParts"] = await connection.call("list_parts", **upload)
    return permissions


async def signer_permissions(
    connection: ProbeConnection, signing: ProbeConnection, objects: ProbeObjects
) -> Permissions:
    """Test what a principal that signs URLs needs none of.

    The object to read is there: AWS denies one that is missing to those who may not list.
    """
    place, absent = objects.place("signer"), objects.place("absent")
    await connection.call("put_object", **place, Body=b"")
    return {
        "ListBucket": await signing.call(
            "list_objects_v2", Bucket=objects.bucket, Prefix=objects.prefix, MaxKeys=1
        ),
        "GetObject": await signing.call("head_object", **place),
        "DeleteObject": await signing.call("delete_object", **absent),
        "AbortMultipartUpload": await signing.call(
            "abort_multipart_upload", **absent, UploadId=_NO_UPLOAD
        ),
    }


async def bucket_facts(connection: ProbeConnection, bucket: str) -> BucketFacts:
    """Read how the bucket is configured."""
    return BucketFacts(
        cors=await connection.call("get_bucket_cors", Bucket=bucket),
        lifecycle=await connection.call("get_bucket_lifecycle_configuration", Bucket=bucket),
        versioning=await connection.call("get_bucket_versioning", Bucket=bucket),
    )


async def latency(
    connection: ProbeConnection, objects: ProbeObjects, now: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Measure HeadBucket, in seconds, many times; an answer of any kind counts."""
    taken = []
    for _ in range(_HEADS):
        begin = now()
        answer = await connection.call("head_bucket", Bucket=objects.bucket)
        if answer.status:
            taken.append(now() - begin)
    return taken


async def credentials_end(connection: ProbeConnection) -> datetime | None:
    """Return when the present credentials expire; None if they do not, or are missing."""
    try:
        _, end = await connection.own.signer.get()
    except (StorageRefused, StorageUnavailable):
        # The first call reports that there are no credentials.
        return None
    return end
