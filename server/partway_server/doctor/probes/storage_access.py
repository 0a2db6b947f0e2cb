"""Probes of the way in: is it reached, with what, and what may it do there."""

import time
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

from partway_server.doctor.probes.results import Answer, BucketFacts, Permissions, Reached
from partway_server.doctor.probes.storage_trail import Trail
from partway_server.doctor.probes.storage_wire import Wire
from partway_server.domain.clock import Clock
from partway_server.domain.errors import StorageRefused, StorageUnavailable

_HEADS = 20
_NO_UPLOAD = "partway-no-such-upload"


async def reach(wire: Wire, trail: Trail, clock: Clock) -> Reached:
    """List one key of none: a GET, because the answer to a HEAD has no code to tell errors by."""
    before = clock.now()
    answer = await wire.call("list_objects_v2", Bucket=trail.bucket, Prefix=trail.prefix, MaxKeys=1)
    middle = before + (clock.now() - before) / 2
    region = answer.headers.get("x-amz-bucket-region", "") or str(answer.reply.get("Region", ""))
    return Reached(answer, region, _skew(answer, middle))


def _skew(answer: Answer, now: datetime) -> float | None:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    if theirs.tzinfo is None:
        return None
    # Date has whole seconds, cut off: on average it is half a second behind.
    return (theirs - now).total_seconds() + 0.5


async def harmless_permissions(wire: Wire, trail: Trail, listing: Answer) -> dict[str, Answer]:
    """Which actions are allowed, of those that can be told without making anything.

    Removing what is not there is as good as removing something: it is refused before it is looked
    for. Asked first, so that nothing is made which could not be removed. `listing` is the answer
    that is known already.
    """
    place = trail.place("absent")
    return {
        "ListBucket": listing,
        "ListBucketMultipartUploads": await wire.call(
            "list_multipart_uploads", Bucket=trail.bucket, Prefix=trail.prefix
        ),
        "DeleteObject": await wire.call("delete_object", **place),
        "AbortMultipartUpload": await wire.call(
            "abort_multipart_upload", **place, UploadId=_NO_UPLOAD
        ),
    }


async def version_permissions(wire: Wire, trail: Trail) -> dict[str, Answer]:
    """Whether versions may be found and removed, in a bucket that keeps them."""
    return {
        "DeleteObjectVersion": await wire.call(
            "delete_object", **trail.place("absent"), VersionId="null"
        ),
        "ListBucketVersions": await wire.call(
            "list_object_versions", Bucket=trail.bucket, Prefix=trail.prefix
        ),
    }


async def retention(wire: Wire, bucket: str) -> bool:
    """Whether the bucket locks all new objects, so that nothing in it can be removed."""
    answer = await wire.call("get_object_lock_configuration", Bucket=bucket)
    return "Rule" in answer.reply.get("ObjectLockConfiguration", {})


async def writing_permissions(wire: Wire, trail: Trail) -> Permissions:
    """PutObject, GetObject and ListMultipartUploadParts, tried for real."""
    put = await wire.call("put_object", **trail.place("permissions"), Body=b"")
    permissions = {"PutObject": put}
    if put.ok:
        permissions["GetObject"] = await wire.call("head_object", **trail.place("permissions"))
    opened, upload = await trail.open_multipart("permissions")
    if opened.ok:
        permissions["ListMultipartUploadParts"] = await wire.call("list_parts", **upload)
    return permissions


async def bucket_facts(wire: Wire, bucket: str) -> BucketFacts:
    """What the bucket is set to."""
    return BucketFacts(
        cors=await wire.call("get_bucket_cors", Bucket=bucket),
        lifecycle=await wire.call("get_bucket_lifecycle_configuration", Bucket=bucket),
        versioning=await wire.call("get_bucket_versioning", Bucket=bucket),
    )


async def latency(
    wire: Wire, trail: Trail, now: Callable[[], float] = time.perf_counter
) -> list[float]:
    """How long HeadBucket takes, in seconds, over and over; an answer of any kind counts."""
    taken = []
    for _ in range(_HEADS):
        begin = now()
        answer = await wire.call("head_bucket", Bucket=trail.bucket)
        if answer.status:
            taken.append(now() - begin)
    return taken


async def credentials_end(wire: Wire) -> datetime | None:
    """When the credentials of this moment end; None if they do not, or there are none."""
    try:
        _, end = await wire.own.signer.get()
    except (StorageRefused, StorageUnavailable):
        # That there are none is told by the first call.
        return None
    return end
