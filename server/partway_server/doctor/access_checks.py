"""Judges the way into storage: facts to findings, with no I/O."""

import json
import statistics
from collections.abc import Iterator, Sequence

from partway_server.doctor.finding import Finding, bad, ok, skipped, unclear, warn
from partway_server.doctor.probes.results import Leftovers, Permissions, ProbeResponse, Reachability

REACHABLE, CREDENTIALS, BUCKET = "storage.reachable", "storage.credentials", "storage.bucket"
REGION, ADDRESSING, CLOCK = "storage.region", "storage.addressing", "storage.clock"
LATENCY, CLEAN = "storage.latency", "storage.clean"

SKEW_WARN_SECONDS = 30
SKEW_BAD_SECONDS = 300
"""Past 15 minutes AWS refuses everything (RequestTimeTooSkewed); URLs end early long before."""

SLOW_SECONDS = 0.5

_OBSTACLES = {
    "dns": (
        "the name of the host is not known",
        "Check the host in PARTWAY_S3_ENDPOINT, and the DNS of this machine.",
    ),
    "connect": (
        "nobody takes the connection",
        "Check the host and the port in PARTWAY_S3_ENDPOINT, that storage is running, and what"
        " firewalls stand between.",
    ),
    "timeout": (
        "no answer came in time",
        "Check the host and the port in PARTWAY_S3_ENDPOINT, and what firewalls stand between.",
    ),
    "certificate": (
        "the TLS certificate is not one to trust for this host",
        "Use the host name of the certificate, or name the file of the authority that made it in"
        " AWS_CA_BUNDLE.",
    ),
    "tls": (
        "TLS does not come about",
        "Check whether the port of PARTWAY_S3_ENDPOINT speaks TLS: https:// if so, http:// if not.",
    ),
    "closed": (
        "the connection was closed without an answer",
        "Check whether the port of PARTWAY_S3_ENDPOINT is that of the S3 API, and speaks TLS:"
        " https:// if so, http:// if not.",
    ),
    "no S3": (
        "something answers that does not speak S3",
        "Give PARTWAY_S3_ENDPOINT the port of the S3 API, not that of a console.",
    ),
}

_CREDENTIALS = {
    "InvalidAccessKeyId": (
        "storage knows no such access key",
        "Check PARTWAY_S3_ACCESS_KEY, and that it belongs to this storage.",
    ),
    "SignatureDoesNotMatch": (
        "the secret key does not belong to the access key",
        "Check PARTWAY_S3_SECRET_KEY: copy it again, whole; a proxy that changes the Host header or"
        " the path would look the same.",
    ),
    "ExpiredToken": ("the credentials have ended", "Get new ones."),
    "InvalidToken": (
        "the session token is not one that belongs to the access key",
        "Check PARTWAY_S3_SESSION_TOKEN; leave it empty with credentials that do not end.",
    ),
    "credentials": (
        "there are none",
        "Set PARTWAY_S3_ACCESS_KEY and PARTWAY_S3_SECRET_KEY, or give the AWS SDK credentials where"
        " it looks for them.",
    ),
}

_REGION_CODES = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraint"}

_BUCKET_ACTIONS = {
    "ListBucket": "an object that is not there is answered 403, and no outcome can be proven",
    "ListBucketMultipartUploads": "uploads that a crash left half open are not found",
}
_OBJECT_ACTIONS = {
    "PutObject": "nothing can be uploaded",
    "GetObject": "no outcome can be proven",
    "DeleteObject": "what an aborted upload left is not removed",
    "DeleteObjectVersion": "the bucket keeps versions, and the service could remove none",
    "AbortMultipartUpload": "no upload can be aborted, and its parts are kept and billed",
    "ListMultipartUploadParts": "no upload can be completed",
}
HARMLESS = ("ListBucket", "ListBucketMultipartUploads", "DeleteObject", "AbortMultipartUpload")
WRITING = ("PutObject", "GetObject", "ListMultipartUploadParts")
"""What is asked without making anything, and then by making something."""


def usable(answer: ProbeResponse) -> bool:
    """Whether it is worth to go on: the bucket answers, or may, to more than a listing."""
    return answer.ok or (answer.forbidden and answer.code not in _CREDENTIALS)


def way_in(reached: Reachability, bucket: str, region: str, addressing: str) -> Iterator[Finding]:
    """As far as the way in leads. What comes after the first obstacle is skipped."""
    answer = reached.answer
    if answer.code in _OBSTACLES:
        found, remedy = _OBSTACLES[answer.code]
        if addressing == "virtual":
            remedy += (
                " The bucket is part of the host name: PARTWAY_S3_ADDRESSING=path, if storage does"
                " not do that."
            )
        yield bad(REACHABLE, found, remedy)
        yield from skipped((CREDENTIALS, BUCKET, REGION, ADDRESSING, CLOCK), "storage in reach")
        return
    if answer.status:
        yield ok(REACHABLE, "storage answers")
    else:
        yield from skipped((REACHABLE,), "a request that can be sent")
    yield _credentials(answer)
    yield _bucket(answer, bucket, addressing)
    yield _region(reached, region)
    yield _addressing(answer, addressing)
    yield clock(reached.skew_seconds, CLOCK, "storage", SKEW_WARN_SECONDS)


def _credentials(answer: ProbeResponse) -> Finding:
    if answer.code in _CREDENTIALS:
        return bad(CREDENTIALS, *_CREDENTIALS[answer.code])
    if answer.code in _REGION_CODES or answer.code == "bucket name":
        return next(skipped((CREDENTIALS,), "the right region and bucket"))
    if answer.refused or answer.ok:
        return ok(CREDENTIALS, "storage knows them")
    return unclear(CREDENTIALS, answer)


def _bucket(answer: ProbeResponse, bucket: str, addressing: str) -> Finding:
    if answer.code == "bucket name":
        return bad(BUCKET, f"{bucket!r} is no name that a bucket can have", "Check PARTWAY_BUCKET.")
    if answer.code in _CREDENTIALS:
        return next(skipped((BUCKET,), "credentials"))
    if answer.code in _REGION_CODES:
        return next(skipped((BUCKET,), "the right region"))
    if answer.status == 404:
        remedy = f"Make it (aws s3api create-bucket --bucket {bucket}), or check PARTWAY_BUCKET."
        if addressing == "virtual":
            remedy += " PARTWAY_S3_ADDRESSING=path, if storage takes no bucket in the host name."
        return bad(BUCKET, f"there is no bucket {bucket!r}", remedy)
    if answer.forbidden:
        remedy = (
            "If the bucket is yours, give the credentials s3:ListBucket (below); if not, take a"
            " name that nobody has."
        )
        return warn(BUCKET, f"whether {bucket!r} exists is not ours to know: {answer}", remedy)
    return ok(BUCKET, f"{bucket!r} exists") if answer.ok else unclear(BUCKET, answer)


def _region(reached: Reachability, region: str) -> Finding:
    right, answer = reached.bucket_region, reached.answer
    if right and right != region:
        remedy = f"PARTWAY_S3_REGION={right}, or --s3-region {right}."
        return bad(
            REGION, f"the bucket is in {right}, and requests are signed for {region}", remedy
        )
    if answer.code in _REGION_CODES or answer.status in (301, 307):
        remedy = "Set PARTWAY_S3_REGION to the region of the bucket, and see its endpoint."
        return bad(REGION, f"the bucket is elsewhere: {answer}", remedy)
    if not answer.ok:
        return next(skipped((REGION,), "a bucket that answers"))
    return ok(REGION, region if right else f"{region} is taken; storage does not tell its own")


def _addressing(answer: ProbeResponse, addressing: str) -> Finding:
    if not answer.ok:
        return next(skipped((ADDRESSING,), "a bucket that answers"))
    where = "path of the URL" if addressing == "path" else "host name"
    return ok(ADDRESSING, f"{addressing}: the bucket stands in the {where}")


def clock(skew: float | None, name: str, whose: str, patience: float) -> Finding:
    """How far a clock is from ours."""
    if skew is None:
        return warn(name, f"{whose} does not tell the time", "Nothing to do; check it by hand.")
    if abs(skew) < 1:
        return ok(name, f"{whose} is within a second of this machine")
    words = "ahead of" if skew > 0 else "behind"
    found = f"{whose} is {abs(skew):.1f} s {words} this machine"
    remedy = "Have both machines keep time with NTP (timedatectl set-ntp true)."
    if abs(skew) > SKEW_BAD_SECONDS:
        return bad(name, f"{found}: requests are refused and URLs end early or late", remedy)
    return warn(name, found, remedy) if abs(skew) > patience else ok(name, found)


def permissions(asked: Permissions, bucket: str) -> Iterator[Finding]:
    """One for each action of `asked`."""
    for action, answer in asked.items():
        yield permission(action, answer, bucket)


def permission(action: str, answer: ProbeResponse, bucket: str) -> Finding:
    """Whether one action is allowed."""
    name = f"storage.permission.{action}"
    if answer.forbidden:
        remedy = f"Add to the policy of the credentials: {statement(action, bucket)}"
        if loss := {**_BUCKET_ACTIONS, **_OBJECT_ACTIONS}.get(action):
            return bad(name, f"s3:{action} is refused: {loss}", remedy)
        # Only the doctor asks for the others.
        return warn(name, f"s3:{action} is refused, which only the doctor needs", remedy)
    if answer.ok or answer.refused:
        return ok(name, f"s3:{action} is allowed")
    return unclear(name, answer)


def statement(action: str, bucket: str) -> str:
    """The IAM statement that allows an action."""
    resource = f"arn:aws:s3:::{bucket}" + ("/*" if action in _OBJECT_ACTIONS else "")
    return json.dumps({"Effect": "Allow", "Action": f"s3:{action}", "Resource": resource})


def latency(seconds: Sequence[float], name: str, what: str, slow: float) -> Finding:
    """The median and the 99th percentile of how long `what` takes."""
    if len(seconds) < 2:
        return next(skipped((name,), "answers"))
    median = statistics.median(seconds)
    p99 = statistics.quantiles(seconds, n=100, method="inclusive")[98]
    found = f"{what}: median {median * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, of {len(seconds)}"
    if median > slow:
        return warn(name, f"{found}: every call waits for it", "Run the service closer to it.")
    return ok(name, found)


def cleanliness(left: Leftovers, prefix: str, bucket: str) -> Finding:
    """Whether what the run made is gone."""
    sweep = f"aws s3 rm --recursive s3://{bucket}/{prefix}; incomplete uploads: aws s3api"
    sweep += f" list-multipart-uploads --bucket {bucket} --prefix {prefix}"
    if left.objects is None or left.multiparts is None:
        return warn(CLEAN, "all was removed, but storage does not let us look again", sweep)
    if left.objects or left.multiparts:
        found = f"{left.objects} objects and {left.multiparts} incomplete uploads are left"
        return bad(CLEAN, found, f"Remove them: {sweep}")
    return ok(CLEAN, "nothing of this run is left in the bucket")


def lacking(asked: Permissions, needed: Sequence[str]) -> str:
    """The first of the `needed` actions that is not surely allowed, "" if all are.

    Any answer but a 403 came after storage had allowed it.
    """
    for action in needed:
        answer = asked.get(action, ProbeResponse(0))
        if answer.forbidden or not (answer.ok or answer.refused):
            return f"s3:{action}"
    return ""
