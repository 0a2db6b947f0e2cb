"""Judges how storage is reached and what it allows: facts to findings, with no I/O."""

import statistics
from collections.abc import Iterator, Sequence

from partway_server.doctor.finding import Finding, bad, ok, skipped, unclear, warn
from partway_server.doctor.probes.results import Leftovers, Permissions, ProbeResponse, Reachability
from partway_server.domain.clock import SKEW_SECONDS
from partway_server.domain.obstacle import Obstacle
from partway_server.storage.obstacles import (
    BUCKET_ACTIONS,
    OBJECT_ACTIONS,
    OWN,
    REGION_CODES,
    is_known,
    missing,
    obstacle,
    refused,
)
from partway_server.storage.obstacles import CREDENTIALS as CREDENTIALS_CODES

REACHABLE, CREDENTIALS, BUCKET = "storage.reachable", "storage.credentials", "storage.bucket"
REGION, ADDRESSING, CLOCK = "storage.region", "storage.addressing", "storage.clock"
LATENCY, CLEAN, SIGNER = "storage.latency", "storage.clean", "storage.signer"

SKEW_BAD_SECONDS = 300
"""Past it the service dates signatures by storage's clock; URLs expire early long before."""

SLOW_SECONDS = 0.5

_NOT_THE_WAY = {*CREDENTIALS_CODES, "credentials", "bucket name", "region", *REGION_CODES}
"""Words that are not about whether storage is reached."""

HARMLESS = ("ListBucket", "ListBucketMultipartUploads", "DeleteObject", "AbortMultipartUpload")
WRITING = ("PutObject", "GetObject", "ListMultipartUploadParts")
"""Permissions that are tested without making anything, and then those that need something made."""


def usable(answer: ProbeResponse) -> bool:
    """Return whether to go on: the bucket answers, or may answer more than a listing."""
    return answer.ok or (answer.forbidden and not is_known(answer.code))


def reach(
    reached: Reachability, bucket: str, region: str, addressing: str, backend: str = OWN
) -> Iterator[Finding]:
    """Judge the first contact. Everything after the first obstacle is skipped."""
    answer = reached.answer
    if not answer.status and answer.code not in _NOT_THE_WAY:
        yield _bad(REACHABLE, obstacle(answer.code, backend, addressing))
        yield from skipped((CREDENTIALS, BUCKET, REGION, ADDRESSING, CLOCK), "storage in reach")
        return
    if answer.status:
        yield ok(REACHABLE, "storage answers")
    else:
        yield from skipped((REACHABLE,), "a request that can be sent")
    yield _credentials(answer, backend)
    yield _bucket(answer, bucket, addressing, backend)
    yield _region(reached, region, backend)
    yield _addressing(answer, addressing)
    if answer.code == "RequestTimeTooSkewed":
        yield _bad(CLOCK, obstacle(answer.code, backend))
    else:
        yield clock(reached.skew_seconds, CLOCK, "storage", SKEW_SECONDS)


def _bad(name: str, found: Obstacle) -> Finding:
    return bad(name, found.found, found.remedy)


def _credentials(answer: ProbeResponse, backend: str) -> Finding:
    if answer.code in (*CREDENTIALS_CODES, "credentials"):
        return _bad(CREDENTIALS, obstacle(answer.code, backend))
    if answer.code in REGION_CODES or answer.code == "bucket name":
        return next(skipped((CREDENTIALS,), "the right region and bucket"))
    if answer.code == "RequestTimeTooSkewed":
        return next(skipped((CREDENTIALS,), "a clock that is right"))
    if answer.refused or answer.ok:
        return ok(CREDENTIALS, "storage accepts them")
    return unclear(CREDENTIALS, answer)


def _bucket(answer: ProbeResponse, bucket: str, addressing: str, backend: str) -> Finding:
    if answer.code == "bucket name":
        return _bad(BUCKET, obstacle(answer.code, backend))
    if answer.code in (*CREDENTIALS_CODES, "credentials", "RequestTimeTooSkewed"):
        return next(skipped((BUCKET,), "credentials"))
    if answer.code in REGION_CODES:
        return next(skipped((BUCKET,), "the right region"))
    if answer.status == 404:
        return _bad(BUCKET, missing(bucket, backend, addressing))
    if answer.forbidden:
        remedy = (
            "If the bucket is yours, give the credentials s3:ListBucket (below); if not, choose a"
            " name that is free."
        )
        return warn(BUCKET, f"no permission to see whether {bucket!r} exists: {answer}", remedy)
    return ok(BUCKET, f"{bucket!r} exists") if answer.ok else unclear(BUCKET, answer)


def _region(reached: Reachability, region: str, backend: str) -> Finding:
    right, answer = reached.bucket_region, reached.answer
    if right and right != region:
        remedy = f"Set PARTWAY_S3_REGION={right}, or --s3-region {right}."
        return bad(
            REGION, f"the bucket is in {right}, but requests are signed for {region}", remedy
        )
    if answer.code in REGION_CODES or answer.status in (301, 307):
        return _bad(REGION, obstacle("region", backend))
    if not answer.ok:
        return next(skipped((REGION,), "a bucket that answers"))
    return ok(REGION, region if right else f"{region} is accepted; storage does not report its own")


def _addressing(answer: ProbeResponse, addressing: str) -> Finding:
    if not answer.ok:
        return next(skipped((ADDRESSING,), "a bucket that answers"))
    where = "path of the URL" if addressing == "path" else "host name"
    return ok(ADDRESSING, f"{addressing}: the bucket is in the {where}")


def clock(skew: float | None, name: str, whose: str, patience: float) -> Finding:
    """Judge how far a clock is from ours."""
    if skew is None:
        return warn(name, f"{whose} does not report its time", "Check the clock by hand.")
    if abs(skew) < 1:
        return ok(name, f"{whose} is within a second of this machine")
    words = "ahead of" if skew > 0 else "behind"
    found = f"{whose} is {abs(skew):.1f} s {words} this machine"
    remedy = "Synchronise both machines with NTP (timedatectl set-ntp true)."
    if abs(skew) > SKEW_BAD_SECONDS:
        effect = "storage's clock is what signatures have to be dated by, and uploads end wrongly"
        return bad(name, f"{found}: {effect}", remedy)
    return warn(name, found, remedy) if abs(skew) > patience else ok(name, found)


def permissions(asked: Permissions, bucket: str) -> Iterator[Finding]:
    """Yield a Finding for each action of `asked`."""
    for action, answer in asked.items():
        yield permission(action, answer, bucket)


def permission(action: str, answer: ProbeResponse, bucket: str) -> Finding:
    """Judge whether one action is allowed."""
    name = f"storage.permission.{action}"
    if answer.forbidden:
        lacking = refused(action, bucket)
        if action in BUCKET_ACTIONS or action in OBJECT_ACTIONS:
            return _bad(name, lacking)
        # Only the doctor uses the others.
        return warn(name, lacking.found, lacking.remedy)
    if answer.ok or answer.refused:
        return ok(name, f"s3:{action} is allowed")
    return unclear(name, answer)


def signer(asked: Permissions) -> Finding:
    """Judge what the principal that signs URLs may do besides writing."""
    remedy = "Allow it s3:PutObject on the objects and nothing else: deploy/iam has the policy."
    if unknown := [answer for answer in asked.values() if not (answer.ok or answer.refused)]:
        return unclear(SIGNER, unknown[0])
    if spare := sorted(action for action, answer in asked.items() if not answer.forbidden):
        return warn(SIGNER, f"the signer may do more than write: {', '.join(spare)}", remedy)
    return ok(SIGNER, "the signer can neither read, list, delete nor abort")


def latency(seconds: Sequence[float], name: str, what: str, slow: float) -> Finding:
    """Judge how long `what` takes, by the median; the 99th percentile is reported too."""
    if len(seconds) < 2:
        return next(skipped((name,), "answers"))
    median = statistics.median(seconds)
    p99 = statistics.quantiles(seconds, n=100, method="inclusive")[98]
    found = f"{what}: median {median * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, of {len(seconds)}"
    if median > slow:
        return warn(name, f"{found}; every call waits for it", "Run the service closer to it.")
    return ok(name, found)


def cleanliness(left: Leftovers, prefix: str, bucket: str) -> Finding:
    """Judge whether everything the run made is gone."""
    sweep = f"aws s3 rm --recursive s3://{bucket}/{prefix}; incomplete uploads: aws s3api"
    sweep += f" list-multipart-uploads --bucket {bucket} --prefix {prefix}"
    if left.objects is None or left.multiparts is None:
        return warn(CLEAN, "everything was removed, but storage permits no second look", sweep)
    if left.objects or left.multiparts:
        found = f"{left.objects} objects and {left.multiparts} incomplete uploads remain"
        return bad(CLEAN, found, f"Remove them: {sweep}")
    return ok(CLEAN, "nothing of this run remains in the bucket")


def lacking(asked: Permissions, needed: Sequence[str]) -> str:
    """Return the first `needed` action that is not certainly allowed, "" if all are.

    Any answer but a 403 came after storage had allowed the action.
    """
    for action in needed:
        answer = asked.get(action, ProbeResponse(0))
        if answer.forbidden or not (answer.ok or answer.refused):
            return f"s3:{action}"
    return ""
