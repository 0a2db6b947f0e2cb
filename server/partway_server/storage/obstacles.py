"""Say what is wrong with storage: the words of the service's start and of the doctor. No I/O."""

import json
from collections.abc import Mapping

from partway_server.domain.obstacle import (
    EXPIRED,
    OTHER_NAME,
    UNTRUSTED,
    Obstacle,
    StoreUnusable,
)

OWN = "default"
"""The backend that the PARTWAY_S3_ settings describe."""

_SETTINGS = {
    "endpoint": "PARTWAY_S3_ENDPOINT",
    "region": "PARTWAY_S3_REGION",
    "ca_file": "PARTWAY_S3_CA_FILE",
    "access_key": "PARTWAY_S3_ACCESS_KEY",
    "secret_key": "PARTWAY_S3_SECRET_KEY",
    "session_token": "PARTWAY_S3_SESSION_TOKEN",
    "addressing": "PARTWAY_S3_ADDRESSING",
    "bucket": "PARTWAY_BUCKET or what the policy names",
}

_OBSTACLES: Mapping[str, Obstacle] = {
    "dns": Obstacle(
        "the host name cannot be resolved",
        "Check the host in {endpoint}, and the DNS of this machine.",
        passes=True,
    ),
    "connect": Obstacle(
        "the connection is refused",
        "Check the host and the port in {endpoint}, that storage is running, and the firewalls"
        " between.",
        passes=True,
    ),
    "timeout": Obstacle(
        "no answer came in time",
        "Check the host and the port in {endpoint}, and the firewalls between.",
        passes=True,
    ),
    UNTRUSTED: Obstacle(
        "the TLS certificate is from a CA that is not trusted",
        "Name the file of its CA in {ca_file}.",
    ),
    OTHER_NAME: Obstacle(
        "the TLS certificate is for another host name",
        "Use a host name of the certificate in {endpoint}.",
    ),
    EXPIRED: Obstacle(
        "the TLS certificate has expired, or is not valid yet",
        "Renew the certificate of storage, or correct the clock of this machine.",
    ),
    "plain": Obstacle(
        "the port speaks no TLS", "Write http:// in {endpoint}, or name the port for TLS."
    ),
    "wants TLS": Obstacle("the port speaks TLS", "Write https:// in {endpoint}."),
    "tls": Obstacle(
        "the TLS handshake failed",
        "Check the port in {endpoint}, and the versions of TLS that storage accepts.",
        passes=True,
    ),
    "closed": Obstacle(
        "the connection was closed without an answer",
        "Check that the port in {endpoint} is that of the S3 API, and what is between, such as a"
        " proxy.",
        passes=True,
    ),
    "gateway": Obstacle(
        "what answers is not storage: a proxy says that storage is away",
        "Check that storage is running, and the proxy in front of it.",
        passes=True,
    ),
    "no S3": Obstacle(
        "the server there does not speak S3",
        "Set {endpoint} to the port of the S3 API, not that of a console or another web server.",
    ),
    "busy": Obstacle(
        "it answers that it cannot serve now", "Wait, or look at the log of storage.", passes=True
    ),
    "InvalidAccessKeyId": Obstacle(
        "storage does not know this access key",
        "Check {access_key}, and that it belongs to this storage.",
    ),
    "SignatureDoesNotMatch": Obstacle(
        "the secret key does not belong to the access key",
        "Check {secret_key}: copy all of it again. A proxy that changes the Host header or the path"
        " has the same effect.",
    ),
    "ExpiredToken": Obstacle("the credentials have expired", "Get new ones."),
    "InvalidToken": Obstacle(
        "the session token does not belong to the access key",
        "Check {session_token}; leave it empty for credentials that do not expire.",
    ),
    "credentials": Obstacle(
        "no credentials were found",
        "Set {access_key} and {secret_key}, or provide credentials where the AWS SDK looks for"
        " them.",
    ),
    "RequestTimeTooSkewed": Obstacle(
        "the clocks of storage and of this machine differ by more than storage accepts",
        "Synchronise both machines with NTP (timedatectl set-ntp true).",
    ),
    "region": Obstacle(
        "the bucket is in another region",
        "Set {region} to the region of the bucket, and check {endpoint}.",
    ),
    "bucket name": Obstacle("it is not a valid bucket name", "Check {bucket}."),
}

CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken")
"""The codes of S3 for credentials that are not accepted."""

REGION_CODES = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraint"}

BUCKET_ACTIONS = {
    "ListBucket": "a missing object is answered 403, and no outcome can be proven",
    "ListBucketMultipartUploads": "uploads that a crash left unfinished are not found",
}
OBJECT_ACTIONS = {
    "PutObject": "nothing can be uploaded",
    "GetObject": "no outcome can be proven",
    "DeleteObject": "the remains of an aborted upload are not removed",
    "DeleteObjectVersion": "the bucket keeps versions, and the service cannot remove them",
    "AbortMultipartUpload": "no upload can be aborted, and its parts are kept and billed",
    "ListMultipartUploadParts": "no upload can be completed",
}
"""What the service needs to be allowed, as IAM names it, and what fails without."""


def is_known(word: str) -> bool:
    """Return whether a word, or a code of S3, says what is wrong."""
    return word in _OBSTACLES or word in REGION_CODES


def obstacle(word: str, backend: str = OWN, addressing: str = "path") -> Obstacle:
    """Return what a known word says, in the names of the backend's settings."""
    known, names = _OBSTACLES["region" if word in REGION_CODES else word], _names(backend)
    remedy = known.remedy.format(**names)
    if word in ("dns", "connect") and addressing == "virtual":
        remedy += (
            " The bucket is part of the host name: set {addressing} to path if storage does not"
            " support that."
        ).format(**names)
    return Obstacle(known.found, remedy, known.passes)


def missing(bucket: str, backend: str = OWN, addressing: str = "path") -> Obstacle:
    """Return what is wrong if the bucket does not exist."""
    names = _names(backend)
    remedy = f"Create it (aws s3api create-bucket --bucket {bucket}), or check {names['bucket']}."
    if addressing == "virtual":
        remedy += f" Set {names['addressing']} to path if storage takes no bucket in the host name."
    return Obstacle("the bucket does not exist", remedy)


def refused(action: str, bucket: str) -> Obstacle:
    """Return what is wrong if the credentials may not do `action`, such as PutObject."""
    loss = {**BUCKET_ACTIONS, **OBJECT_ACTIONS}.get(action, "only the doctor needs it")
    remedy = f"Add to the policy of the credentials:\n{statement(action, bucket)}"
    return Obstacle(f"s3:{action} is refused: {loss}", remedy)


def refuses(status: int, code: str, backend: str = OWN) -> Obstacle:
    """Return what is wrong if storage refuses the bucket in another way."""
    names = _names(backend)
    return Obstacle(
        f"storage refuses the bucket: {status} {code}".rstrip(),
        f"Check {names['bucket']}, {names['region']}, the credentials and what they may do.",
    )


def no_metadata(why: str, remedy: str) -> Obstacle:
    """Return what is wrong with a store that does not keep metadata."""
    return Obstacle(f"{why}, which Partway needs to verify outcomes", remedy)


def statement(action: str, bucket: str) -> str:
    """Return the IAM statement that allows an action."""
    resource = f"arn:aws:s3:::{bucket}" + ("/*" if action in OBJECT_ACTIONS else "")
    return json.dumps({"Effect": "Allow", "Action": f"s3:{action}", "Resource": resource})


def unusable(backend: str, bucket: str, found: Obstacle) -> StoreUnusable:
    """Return the error for a bucket that cannot be used."""
    of = "" if backend == OWN else f" of [backend.{backend}]"
    return StoreUnusable(f"storage{of}, bucket {bucket!r}", found)


def not_s3(status: int) -> str:
    """Return the word for an answer without an error of S3 in it."""
    return "gateway" if status in (502, 503, 504) else "no S3"


def _names(backend: str) -> Mapping[str, str]:
    """Return what the settings of a backend are called."""
    if backend == OWN:
        return _SETTINGS
    return {name: f"{name} of [backend.{backend}]" for name in _SETTINGS} | {
        "bucket": "what the policy names"
    }
