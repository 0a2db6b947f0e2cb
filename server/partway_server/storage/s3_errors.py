"""What the error answers of an S3 store mean, by HTTP status and S3 code.

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
    301: "it is in another region than the backend says",
    400: "storage calls the request wrong; look at the region and at the credentials",
    403: "the credentials do not reach it",
    404: "there is no such bucket",
}
"""What a status of HeadBucket says. A HEAD has no body, so there is no code."""

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

_PARTS_CODES = frozenset(
    {
        "BadDigest",
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
    """What the call is about is not there. Stores differ in what they call that."""
    return status == 404 and code != "NoSuchBucket"


def call_error(operation: str, status: int, code: str) -> StorageUnavailable | StorageRefused:
    """What an error answer to a call is to the caller of the seam."""
    if status == 429 or (status >= 500 and status != 501) or code in _TRANSIENT_CODES:
        return StorageUnavailable()
    return StorageRefused(operation, code)


def copy_error(status: int, code: str) -> Exception:
    """What an error answer to UploadPartCopy has come to.

    An error in the body of a 200 must come here as a 500. A 416 is an object that has become
    shorter.
    """
    if status == 404 and code == "NoSuchUpload":
        return MultipartNotFound()
    if status in (412, 416) or is_absent(status, code):
        return SourceChanged()
    return call_error("UploadPartCopy", status, code)


def complete_error(status: int, code: str) -> Exception:
    """What an error answer to CompleteMultipartUpload has come to.

    Only an answer below 500 says for certain that nothing was done. An error in the body of a
    200 must come here as a 500. NoSuchUpload says nothing: it is also what a repeat is told.
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
