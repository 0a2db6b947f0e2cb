"""Interpret the error responses of an S3 store, by HTTP status and S3 code.

The codes are those of
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList.
"""

from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.storage.base import (
    CompleteRefused,
    CompleteUnknown,
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    SourceChanged,
)

BUCKET_PROBLEMS = {
    301: "it is in another region than configured for the backend",
    400: "storage rejects the request as invalid; check the region and the credentials",
    403: "the credentials have no access to it",
    404: "it does not exist",
}
"""The meaning of HeadBucket's status. A HEAD response has no body, and so no code."""

_OPERATOR_CODES = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "NoSuchBucket",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)

DAMAGED_CODES = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})
"""The bytes are not those of the checksum. The second is MinIO's (cmd/api-errors.go)."""

_PARTS_CODES = frozenset(
    {
        *DAMAGED_CODES,
        "EntityTooLarge",
        "EntityTooSmall",
        "InvalidArgument",
        "InvalidPart",
        "InvalidPartOrder",
        "InvalidRequest",
        "MalformedXML",
    }
)

# Some stores send these with a status below 500.
_TRANSIENT_CODES = frozenset(
    {"OperationAborted", "RequestLimitExceeded", "RequestTimeout", "SlowDown", "Throttling"}
)


def is_absent(status: int, code: str) -> bool:
    """Return whether the target of the call does not exist. Stores use different codes for it."""
    return status == 404 and code != "NoSuchBucket"


def is_transient(status: int, code: str) -> bool:
    """Return whether the same request may succeed later."""
    return status == 429 or (status >= 500 and status != 501) or code in _TRANSIENT_CODES


def call_error(operation: str, status: int, code: str) -> StorageUnavailable | StorageRefused:
    """Return the error of the storage interface for an error response."""
    if is_transient(status, code):
        return StorageUnavailable(operation=operation, storage_code=code)
    return StorageRefused(operation, code)


def copy_error(status: int, code: str) -> Exception:
    """Return the error for an error response to UploadPartCopy.

    An error in the body of a 200 must be passed as a 500. A 416 means that the object has become
    shorter.
    """
    if status == 404 and code == "NoSuchUpload":
        return MultipartNotFound()
    if status in (412, 416) or is_absent(status, code):
        return SourceChanged()
    return call_error("UploadPartCopy", status, code)


def complete_error(status: int, code: str) -> Exception:
    """Return the error for an error response to CompleteMultipartUpload.

    Only a status below 500 guarantees that nothing was done. An error in the body of a 200 must be
    passed as a 500. NoSuchUpload is inconclusive: a repeated Complete gets it, too.
    """
    if status == 412:
        return KeyTaken()
    if status == 409 and code == "ConditionalRequestConflict":
        return KeyContested()
    if status in (403, 501) or (status < 500 and code in _OPERATOR_CODES):
        return StorageRefused("CompleteMultipartUpload", code)
    if status < 500 and code in _PARTS_CODES:
        return CompleteRefused(code)
    return CompleteUnknown()
