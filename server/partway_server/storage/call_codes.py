"""Name how a call to storage failed, for metrics and logs: S3's code, or a word in lower case.

| word | meaning |
|---|---|
| timeout | storage did not answer in time |
| connection | it could not be reached, or the connection broke |
| malformed | the answer is not that of an S3 store |
| unknown_backend | the backend is not configured on this replica |
| cancelled | whoever waited for the call ended it: out of time, or the caller has gone |
| caller | the sender of a part failed, not storage |
| source_changed | the object to copy from was replaced |
| other | anything else |
"""

import asyncio

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from partway_server.domain.errors import StorageRefused, StorageUnavailable, UploadError
from partway_server.storage.base import (
    CompleteRefused,
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    SourceChanged,
)
from partway_server.storage.s3_calls import S3Refusal
from partway_server.storage.s3_client import code_in
from partway_server.storage.s3_xml import Malformed

_LONGEST = 64

_EXPECTED: dict[type[BaseException], str] = {
    MultipartNotFound: "NoSuchUpload",
    KeyTaken: "PreconditionFailed",
    KeyContested: "ConditionalRequestConflict",
    SourceChanged: "source_changed",
}


def storage_call_code(error: BaseException) -> str:
    """Return S3's code for the failure, or one of the words above."""
    if known := _EXPECTED.get(type(error)):
        return known
    if isinstance(error, StorageRefused):
        return _safe(error.storage_code)
    if isinstance(error, CompleteRefused):
        return _safe(error.code)
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled"
    if isinstance(error, StorageUnavailable):
        if error.backend:
            return "unknown_backend"
        return _safe(error.storage_code) if error.storage_code else _of_cause(error.__cause__)
    if isinstance(error, UploadError):
        return "caller"
    return _of_cause(error)


def _of_cause(error: BaseException | None) -> str:
    """Return the name of what is behind an error that says only that storage is unavailable."""
    while error is not None:
        if code := _code_of_cause(error):
            return code
        error = error.__cause__
    return "other"


def _code_of_cause(error: BaseException) -> str:
    """Return the name of one error, "" if only its cause can say."""
    match error:
        case S3Refusal():
            return _safe(error.code)
        case ClientError():
            return _safe(code_in(error))
        case Malformed() | aiohttp.ClientPayloadError():
            return "malformed"
        # Before OSError, which some of them and a TimeoutError are.
        case BotoCoreError():
            return "timeout" if "Timeout" in type(error).__name__ else "connection"
        case TimeoutError():
            return "timeout"
        case OSError() | aiohttp.ClientError():
            return "connection"
        case _:
            return ""


def _safe(code: str) -> str:
    """Return a code that a store sent if it looks like one."""
    short = 0 < len(code) <= _LONGEST and code.isascii()
    return code if short and code.replace(".", "").isalnum() else "other"
