"""The one table of the error codes of S3 stores: what each of them means.

The service and the doctor read it. The client of uploads has a table of its own, since it does not
install the service; tests/contract/test_s3_codes.py compares them. Most codes are those of
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList; a code of another
store has its source beside it.
"""

from collections.abc import Mapping
from enum import Enum


class Meaning(Enum):
    """What an error code says, and whom it concerns."""

    ABSENT = "the object, or the multipart upload, does not exist"
    BUCKET = "the bucket does not exist"
    CLOCK = "the time that the request was signed at is not that of storage"
    CREDENTIALS = "the credentials are not valid"
    DAMAGED = "the bytes are not those of the checksum"
    DENIED = "the credentials have no permission"
    EXPIRED = "the credentials, or the URL, have expired"
    PARTS = "the parts cannot be joined"
    REGION = "the request went to another region than the bucket's"
    TRANSIENT = "the same request may succeed later"


MEANINGS: Mapping[str, Meaning] = {
    "AccessDenied": Meaning.DENIED,
    "AllAccessDisabled": Meaning.DENIED,
    "AuthorizationHeaderMalformed": Meaning.REGION,
    "BadDigest": Meaning.DAMAGED,
    "EntityTooLarge": Meaning.PARTS,
    "EntityTooSmall": Meaning.PARTS,
    "ExpiredToken": Meaning.EXPIRED,
    "IllegalLocationConstraintException": Meaning.REGION,
    "IncompleteBody": Meaning.TRANSIENT,
    "InvalidAccessKeyId": Meaning.CREDENTIALS,
    "InvalidArgument": Meaning.PARTS,
    "InvalidPart": Meaning.PARTS,
    "InvalidPartOrder": Meaning.PARTS,
    "InvalidRequest": Meaning.PARTS,
    "InvalidToken": Meaning.CREDENTIALS,
    "MalformedXML": Meaning.PARTS,
    "NoSuchBucket": Meaning.BUCKET,
    "NoSuchKey": Meaning.ABSENT,
    "NoSuchUpload": Meaning.ABSENT,
    "NoSuchVersion": Meaning.ABSENT,
    "OperationAborted": Meaning.TRANSIENT,
    "PermanentRedirect": Meaning.REGION,
    "RequestLimitExceeded": Meaning.TRANSIENT,
    "RequestTimeTooSkewed": Meaning.CLOCK,
    "RequestTimeout": Meaning.TRANSIENT,
    "SignatureDoesNotMatch": Meaning.CREDENTIALS,
    "SlowDown": Meaning.TRANSIENT,
    "Throttling": Meaning.TRANSIENT,
    "TokenRefreshRequired": Meaning.EXPIRED,
    # MinIO, for a checksum in a header
    # (https://github.com/minio/minio/blob/master/cmd/api-errors.go).
    "XAmzContentChecksumMismatch": Meaning.DAMAGED,
    "XAmzContentSHA256Mismatch": Meaning.DAMAGED,
    # MinIO, while it starts or has lost disks (the same file).
    "SlowDownRead": Meaning.TRANSIENT,
    "SlowDownWrite": Meaning.TRANSIENT,
    "XMinioServerNotInitialized": Meaning.TRANSIENT,
}

_OPERATORS = frozenset(
    {
        Meaning.BUCKET,
        Meaning.CLOCK,
        Meaning.CREDENTIALS,
        Meaning.DENIED,
        Meaning.EXPIRED,
        Meaning.REGION,
    }
)


def codes_of(*meanings: Meaning) -> frozenset[str]:
    """Return the codes that have one of the meanings."""
    return frozenset(code for code, meaning in MEANINGS.items() if meaning in meanings)


OPERATOR_CODES = codes_of(*_OPERATORS)
"""What an operator must fix, and no caller can."""

DAMAGED_CODES = codes_of(Meaning.DAMAGED)
PARTS_CODES = codes_of(Meaning.PARTS)
TRANSIENT_CODES = codes_of(Meaning.TRANSIENT)
"""Some stores send these with a status below 500."""

REGION_CODES = codes_of(Meaning.REGION)
CLOCK_CODES = codes_of(Meaning.CLOCK)
EXPIRED_CODES = codes_of(Meaning.EXPIRED)
