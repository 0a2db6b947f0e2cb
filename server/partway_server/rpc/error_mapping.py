"""Map errors to gRPC statuses, in one table.

UNAVAILABLE means: retry this call. ABORTED: retry from the read. FAILED_PRECONDITION: do not retry
until the cause is fixed. Details travel in trailers, which fail at about 8 kB, so lists contain
ranges and at most 50 entries.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from partway.v1 import error_reason_pb2 as reasons

from partway_server.domain import errors

DOMAIN = "partway"

MAX_DETAILS = 50
MAX_DESCRIPTION = 500


@dataclass(frozen=True, slots=True)
class ErrorMapping:
    """How callers see one class of errors: code, reason, metadata to show, further details."""

    code: int
    reason: "reasons.ErrorReason.ValueType"
    show: Mapping[str, Callable[[Any], str]]
    details: Callable[[Any], Iterator[Message]] | None = None


def _bad_request(error: errors.InvalidRequest) -> Iterator[Message]:
    yield error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=v.field, description=v.description[:MAX_DESCRIPTION]
            )
            for v in error.violations[:MAX_DETAILS]
        ]
    )


def _missing(error: errors.PartsMissing) -> Iterator[Message]:
    yield _precondition(
        "PART_MISSING", [(f"parts/{a}-{b}", "not stored") for a, b in error.ranges[:MAX_DETAILS]]
    )


def _mismatch(error: errors.PartsMismatch) -> Iterator[Message]:
    yield _precondition(
        "PART_MISMATCH", [(f"parts/{n}-{n}", why) for n, why in error.mismatches[:MAX_DETAILS]]
    )


def _precondition(kind: str, found: list[tuple[str, str]]) -> Message:
    failure: Message = error_details_pb2.PreconditionFailure(
        violations=[
            error_details_pb2.PreconditionFailure.Violation(
                type=kind, subject=subject, description=description
            )
            for subject, description in found[:MAX_DETAILS]
        ]
    )
    return failure


def _not_found(error: errors.UploadNotFound) -> Iterator[Message]:
    yield error_details_pb2.ResourceInfo(
        resource_type="partway.v1.Upload", description="does not exist or belongs to another caller"
    )


def _retry(error: errors.TryAgain) -> Iterator[Message]:
    yield _retry_info(error.retry_seconds)


def _retry_info(seconds: float) -> Message:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(int(seconds * 1000))
    message: Message = info
    return message


def _exceeded(error: errors.QuotaExceeded) -> Iterator[Message]:
    yield error_details_pb2.QuotaFailure(
        violations=[
            error_details_pb2.QuotaFailure.Violation(
                subject=error.owner,
                description=f"{error.limit}: {error.used} of {error.maximum}",
            )
        ]
    )
    if error.retry_seconds is not None:
        yield _retry_info(error.retry_seconds)


def _quota(error: errors.Overloaded) -> Iterator[Message]:
    yield error_details_pb2.QuotaFailure(
        violations=[
            error_details_pb2.QuotaFailure.Violation(
                subject="service", description="calls in progress"
            )
        ]
    )
    yield from _retry(error)


def _state(error: errors.UploadNotActive) -> str:
    return f"UPLOAD_STATE_{error.state.upper()}"


def _abort_reason(error: errors.UploadNotActive) -> str:
    return f"ABORT_REASON_{error.abort_reason.upper()}" if error.abort_reason else ""


_UPLOAD = {"upload": attrgetter("sid")}
_STORAGE: Mapping[str, Callable[[Any], str]] = {
    "operation": attrgetter("operation"),
    "storage_code": attrgetter("storage_code"),
    "backend": lambda error: error.place[0],
    "bucket": lambda error: error.place[1],
}
_SOURCE = {"source": attrgetter("source"), "problem": attrgetter("problem")}

TABLE: Mapping[type[errors.UploadError], ErrorMapping] = {
    errors.InvalidRequest: ErrorMapping(
        code_pb2.INVALID_ARGUMENT, reasons.ERROR_REASON_INVALID_REQUEST, {}, _bad_request
    ),
    errors.UndecodableRequest: ErrorMapping(
        code_pb2.INVALID_ARGUMENT, reasons.ERROR_REASON_UNDECODABLE_REQUEST, {}
    ),
    errors.RequestIdReused: ErrorMapping(
        code_pb2.INVALID_ARGUMENT,
        reasons.ERROR_REASON_REQUEST_ID_REUSED,
        {"request_id": attrgetter("request_id")},
    ),
    errors.CallerUnknown: ErrorMapping(
        code_pb2.UNAUTHENTICATED, reasons.ERROR_REASON_CALLER_UNKNOWN, {"key": attrgetter("key")}
    ),
    errors.CredentialsRejected: ErrorMapping(
        code_pb2.UNAUTHENTICATED, reasons.ERROR_REASON_CREDENTIALS_REJECTED, {}
    ),
    errors.UploadTokenExpired: ErrorMapping(
        code_pb2.UNAUTHENTICATED, reasons.ERROR_REASON_UPLOAD_TOKEN_EXPIRED, {}
    ),
    errors.PermissionDenied: ErrorMapping(
        code_pb2.PERMISSION_DENIED,
        reasons.ERROR_REASON_PERMISSION_DENIED,
        {"needed": attrgetter("needed")},
    ),
    errors.QuotaExceeded: ErrorMapping(
        code_pb2.RESOURCE_EXHAUSTED,
        reasons.ERROR_REASON_QUOTA_EXCEEDED,
        {
            "limit": attrgetter("limit"),
            "used": attrgetter("used"),
            "max": attrgetter("maximum"),
        },
        _exceeded,
    ),
    errors.UploadNotFound: ErrorMapping(
        code_pb2.NOT_FOUND, reasons.ERROR_REASON_UPLOAD_NOT_FOUND, {}, _not_found
    ),
    errors.UploadNotActive: ErrorMapping(
        code_pb2.FAILED_PRECONDITION,
        reasons.ERROR_REASON_UPLOAD_NOT_ACTIVE,
        {**_UPLOAD, "state": _state, "abort_reason": _abort_reason},
    ),
    errors.PartsMissing: ErrorMapping(
        code_pb2.FAILED_PRECONDITION,
        reasons.ERROR_REASON_PARTS_MISSING,
        {**_UPLOAD, "missing_count": attrgetter("count")},
        _missing,
    ),
    errors.PartsMismatch: ErrorMapping(
        code_pb2.FAILED_PRECONDITION,
        reasons.ERROR_REASON_PARTS_MISMATCH,
        {**_UPLOAD, "mismatch_count": attrgetter("count")},
        _mismatch,
    ),
    errors.PartsRefused: ErrorMapping(
        code_pb2.FAILED_PRECONDITION,
        reasons.ERROR_REASON_PARTS_REFUSED,
        {**_UPLOAD, "storage_code": attrgetter("storage_code")},
    ),
    errors.CompletedOtherwise: ErrorMapping(
        code_pb2.FAILED_PRECONDITION, reasons.ERROR_REASON_COMPLETED_OTHERWISE, _UPLOAD
    ),
    errors.ObjectExists: ErrorMapping(
        code_pb2.ALREADY_EXISTS, reasons.ERROR_REASON_OBJECT_EXISTS, _UPLOAD
    ),
    errors.UploadConflict: ErrorMapping(
        code_pb2.ABORTED, reasons.ERROR_REASON_UPLOAD_CONFLICT, _UPLOAD
    ),
    errors.UploadBusy: ErrorMapping(
        code_pb2.ABORTED, reasons.ERROR_REASON_UPLOAD_BUSY, _UPLOAD, _retry
    ),
    errors.Overloaded: ErrorMapping(
        code_pb2.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_OVERLOADED, {}, _quota
    ),
    errors.SessionsUnavailable: ErrorMapping(
        code_pb2.UNAVAILABLE, reasons.ERROR_REASON_SESSIONS_UNAVAILABLE, {}, _retry
    ),
    errors.SessionsFull: ErrorMapping(
        code_pb2.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_SESSIONS_FULL, {}, _retry
    ),
    errors.StorageUnavailable: ErrorMapping(
        code_pb2.UNAVAILABLE, reasons.ERROR_REASON_STORAGE_UNAVAILABLE, _STORAGE, _retry
    ),
    errors.TimedOut: ErrorMapping(code_pb2.UNAVAILABLE, reasons.ERROR_REASON_TIMED_OUT, {}, _retry),
    errors.Stopping: ErrorMapping(code_pb2.UNAVAILABLE, reasons.ERROR_REASON_STOPPING, {}, _retry),
    errors.StreamEnded: ErrorMapping(
        code_pb2.UNAVAILABLE, reasons.ERROR_REASON_STREAM_ENDED, {}, _retry
    ),
    errors.PartTooSlow: ErrorMapping(
        code_pb2.ABORTED,
        reasons.ERROR_REASON_PART_TOO_SLOW,
        {**_UPLOAD, "part_number": attrgetter("part_number")},
        _retry,
    ),
    errors.ViaServiceOff: ErrorMapping(
        code_pb2.FAILED_PRECONDITION,
        reasons.ERROR_REASON_VIA_SERVICE_OFF,
        {**_UPLOAD, "policy": attrgetter("policy")},
    ),
    errors.PartChanged: ErrorMapping(
        code_pb2.ABORTED,
        reasons.ERROR_REASON_PART_CHANGED,
        {**_UPLOAD, "part_number": attrgetter("part_number")},
        _retry,
    ),
    errors.SourceUnusable: ErrorMapping(
        code_pb2.FAILED_PRECONDITION, reasons.ERROR_REASON_SOURCE_UNUSABLE, _SOURCE
    ),
    errors.SourcesNotJoinable: ErrorMapping(
        code_pb2.FAILED_PRECONDITION, reasons.ERROR_REASON_SOURCES_NOT_JOINABLE, _SOURCE
    ),
    errors.StorageRefused: ErrorMapping(
        code_pb2.INTERNAL,
        reasons.ERROR_REASON_STORAGE_REFUSED,
        _STORAGE,
    ),
}


def status_of(
    error: errors.UploadError, also: Mapping[str, str] | None = None
) -> status_pb2.Status:
    """Return the status that a caller sees for `error`, with what is `also` to be shown."""
    row = TABLE[type(error)]
    shown = {name: str(get(error)) for name, get in row.show.items()} | dict(also or {})
    details = list(row.details(error)) if row.details else []
    metadata = {name: value for name, value in shown.items() if value}
    return _status(row.code, str(error)[:MAX_DESCRIPTION], row.reason, metadata, details)


def reason_of(error: errors.UploadError) -> str:
    """Return the reason that a caller sees for `error`."""
    name: str = reasons.ErrorReason.Name(TABLE[type(error)].reason)
    return name


INTERNAL_REASON: str = reasons.ErrorReason.Name(reasons.ERROR_REASON_INTERNAL)


def internal(reference: str, also: Mapping[str, str] | None = None) -> status_pb2.Status:
    """Return the status for an internal error, with a reference to search the logs for."""
    shown = {"reference": reference} | dict(also or {})
    return _status(
        code_pb2.INTERNAL,
        "internal error",
        reasons.ERROR_REASON_INTERNAL,
        {name: value for name, value in shown.items() if value},
        [],
    )


def _status(
    code: int,
    message: str,
    reason: "reasons.ErrorReason.ValueType",
    metadata: Mapping[str, str],
    details: list[Message],
) -> status_pb2.Status:
    info = error_details_pb2.ErrorInfo(
        reason=reasons.ErrorReason.Name(reason), domain=DOMAIN, metadata=metadata
    )
    status = status_pb2.Status(code=code, message=message)
    for detail in (info, *details):
        status.details.add().Pack(detail)
    return status
