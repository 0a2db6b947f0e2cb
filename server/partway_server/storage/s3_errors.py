"""Interpret the error responses of an S3 store, by HTTP status and S3 code."""

from collections.abc import Iterator
from contextlib import contextmanager

from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.storage.base import (
    CompleteRefused,
    CompleteUnknown,
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    SourceChanged,
)
from partway_server.storage.s3_calls import S3Refusal
from partway_server.storage.s3_codes import (
    DAMAGED_CODES,
    OPERATOR_CODES,
    PARTS_CODES,
    TRANSIENT_CODES,
)


def is_absent(status: int, code: str) -> bool:
    """Return whether the target of the call does not exist. Stores use different codes for it."""
    return status == 404 and code != "NoSuchBucket"


def is_transient(status: int, code: str) -> bool:
    """Return whether the same request may succeed later."""
    return status == 429 or (status >= 500 and status != 501) or code in TRANSIENT_CODES


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
    if status in (403, 501) or (status < 500 and code in OPERATOR_CODES):
        return StorageRefused("CompleteMultipartUpload", code)
    if status < 500 and code in DAMAGED_CODES:
        # By one name for all stores, since callers decide by it.
        return CompleteRefused("BadDigest")
    if status < 500 and code in PARTS_CODES:
        return CompleteRefused(code)
    return CompleteUnknown()


@contextmanager
def translate_refusal(operation: str) -> Iterator[None]:
    """Raise the error of the storage interface for a refusal of S3's."""
    try:
        yield
    except S3Refusal as exc:
        raise call_error(operation, exc.status, exc.code) from exc
