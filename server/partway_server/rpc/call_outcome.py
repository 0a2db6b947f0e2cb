"""How a call ends: its status for the caller, and its line in the log."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.rpc import code_pb2, status_pb2
from grpc_status import rpc_status

from partway_server.domain import errors
from partway_server.observability.call_context import current_call, is_sampled, request_id
from partway_server.observability.store_calls import StoreCall
from partway_server.rpc.error_mapping import INTERNAL_REASON, internal, reason_of, status_of
from partway_server.rpc.identity.base import Context

logger = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"
"""The metadata, and the key in the details of an error, of the id of a request."""

_OVERLOADED: Any = rpc_status.to_status(status_of(errors.Overloaded()))
"""Made once: a refusal has to cost next to nothing."""

_OVERLOADED_REASON = reason_of(errors.Overloaded())

_UNIMPLEMENTED = status_pb2.Status(
    code=code_pb2.UNIMPLEMENTED, message="this method is not implemented"
)


@dataclass(frozen=True, slots=True)
class CallFailure:
    """The status of a call that failed; its name, and what operators must know, for the log.

    `cause` is in words, and `fields` are the same for machines.
    """

    status: status_pb2.Status
    name: str
    reason: str
    cause: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """Return the name of the gRPC status code."""
        name: str = code_pb2.Code.Name(self.status.code)
        return name


async def fail(
    method: str, begun: float, context: Context, error: Exception, reference_of: Callable[[], str]
) -> NoReturn:
    """End the call with the status for `error`. An internal error is logged with a reference."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    try:
        if isinstance(error, errors.Overloaded):
            # Without a line in the log, for the same reason. Admission has one a minute.
            _note_end(_OVERLOADED.code.name, _OVERLOADED_REASON)
            await context.abort_with_status(_with_request_id(_OVERLOADED))
        status = status_for(method, begun, error, reference_of)
        await context.abort_with_status(_with_request_id(rpc_status.to_status(status)))
    except grpc.aio.AbortError as aborted:
        _forget_traceback(aborted, error)
        raise
    raise AssertionError("abort raises")


def _with_request_id(status: Any) -> Any:
    """Return the status with the id of the request in its trailers, which replace all others."""
    if not (sent := request_id()):
        return status
    return status._replace(trailing_metadata=(*status.trailing_metadata, (REQUEST_ID, sent)))


def status_for(
    method: str, begun: float, error: Exception, reference_of: Callable[[], str]
) -> status_pb2.Status:
    """Log how the call ends, and return its status."""
    if isinstance(error, NotImplementedError):
        _note_end("UNIMPLEMENTED", "")
        return _UNIMPLEMENTED
    failure = failure_of(method, error, reference_of)
    log_failure(method, begun, failure)
    return failure.status


def failure_of(method: str, error: Exception, reference_of: Callable[[], str]) -> CallFailure:
    """Return how a call failed that raised `error`. An internal error is logged."""
    if isinstance(error, TimeoutError):
        error = errors.TimedOut()
    if isinstance(error, errors.UploadError):
        return _failure_of_ours(error)
    reference = reference_of()
    logger.error("%s failed, reference %s", method, reference, exc_info=error)
    status = internal(reference, {REQUEST_ID: request_id()})
    return CallFailure(status, "internal", INTERNAL_REASON)


def _failure_of_ours(error: errors.UploadError) -> CallFailure:
    return CallFailure(
        status_of(error, {REQUEST_ID: request_id()}),
        type(error).__name__,
        reason_of(error),
        _cause_for_operators(error),
        _fields_of(error),
    )


def _forget_traceback(*raised: Exception) -> None:
    """Drop the tracebacks once the call is over.

    The context of a call that is aborted keeps the exception, whose traceback keeps the context.
    gRPC would count the call as one of its connection until the next collection of garbage.
    """
    task = asyncio.current_task()
    if task is not None:

        def forget(_task: object) -> None:
            for error in raised:
                error.__traceback__ = error.__context__ = None

        task.add_done_callback(forget)


def log_success(method: str, begun: float, *, failed_items: int = 0) -> None:
    """Log the line of a call that went well, if it is one of those that are logged.

    `failed_items` are those of a batch, which is always logged then.
    """
    _note_end("OK", "")
    if not failed_items and not is_sampled(current_call()):
        return
    extra: dict[str, Any] = {"outcome": "OK", "code": "OK"}
    words = ""
    if failed_items:
        extra["failed_items"] = failed_items
        words = f", {failed_items} of its items failed"
    _log(method, begun, "OK", words, extra)


def log_failure(method: str, begun: float, failure: CallFailure) -> None:
    """Log the line of a call that failed.

    It is no warning, whoever is to blame: while storage is away, there would be one for each call.
    `outages` has one a minute.
    """
    _note_end(failure.code, failure.reason)
    words = f": {failure.cause}" if failure.cause else ""
    _log(method, begun, failure.name, words, _outcome(failure))


def _outcome(failure: CallFailure) -> dict[str, Any]:
    return {
        "outcome": failure.name,
        "code": failure.code,
        "reason": failure.reason,
        **failure.fields,
    }


def log_failed_item(method: str, begun: float, error: errors.UploadError) -> None:
    """Log the line of an item of a batch that failed."""
    failure = _failure_of_ours(error)
    words = " (an item)" + (f": {failure.cause}" if failure.cause else "")
    _log(method, begun, failure.name, words, _outcome(failure))


def log_cancelled(method: str, begun: float, *, expected: bool) -> None:
    """Log the line of a call that its caller has ended, or whose deadline has passed.

    If that is how such calls end, it is a good one.
    """
    _note_end("CANCELLED", "")
    if not expected or is_sampled(current_call()):
        extra = {"outcome": "cancelled", "code": "CANCELLED", **_fields_of(errors.TimedOut())}
        asked = _asked_of_store()
        words = "" if asked is None else f": {_words(asked)}"
        _log(method, begun, "cancelled", f" by the caller, or its deadline{words}", extra)


def _log(method: str, begun: float, name: str, words: str, extra: dict[str, Any]) -> None:
    rpc, milliseconds = method.rpartition("/")[2], (time.monotonic() - begun) * 1000
    extra.update(rpc=rpc, ms=round(milliseconds, 1))
    logger.info("%s %s %.1f ms%s", rpc, name, milliseconds, words, extra=extra)


def _note_end(code: str, reason: str) -> None:
    if (call := current_call()) is not None:
        call.code, call.reason = code, reason


def _fields_of(error: errors.UploadError) -> Mapping[str, str]:
    """Return the fields about a fault of a store, of those that are known."""
    if isinstance(error, errors.StorageRefused | errors.StorageUnavailable) and error.operation:
        found = (error.operation, error.storage_code, *error.place)
    elif isinstance(error, _FROM_STORES) and (asked := _asked_of_store()) is not None:
        found = (asked.operation, asked.code, asked.backend, asked.bucket)
    else:
        return {}
    names = ("operation", "storage_code", "backend", "bucket")
    return {name: value for name, value in zip(names, found, strict=True) if value}


_FROM_STORES = errors.TimedOut | errors.StorageUnavailable | errors.SessionsUnavailable
"""What a call may end in because a store does not answer."""


def _asked_of_store() -> StoreCall | None:
    """Return what the call waits for, or what it was that got no answer last, None if nothing."""
    if (call := current_call()) is None:
        return None
    return call.waits[0] if call.waits else call.fault


def _cause_for_operators(error: errors.UploadError) -> str:
    """Return what an operator must know about an error, "" if it does not concern them.

    Of a cause, only its type and the leading code of a Redis error, such as BUSY: its text may
    contain an address or secrets.
    """
    if isinstance(error, errors.StorageUnavailable) and error.backend:
        return str(error)
    if isinstance(error, errors.StorageRefused | errors.StorageUnavailable) and error.operation:
        where = "/".join(filter(None, error.place))
        return f"{error.operation} {error.storage_code}" + (f" at {where}" if where else "")
    if isinstance(error, _FROM_STORES):
        asked = _asked_of_store()
        waited = "" if asked is None else _words(asked)
        return waited or _kind(error.__cause__) or _own_words(error)
    return ""


def _own_words(error: errors.UploadError) -> str:
    return "" if isinstance(error, errors.TimedOut) else str(error)


def _words(asked: StoreCall) -> str:
    """Say what was asked of a store, and how that ended, or for how long it has waited."""
    ended = asked.code if asked.code not in ("", "cancelled") else "has no answer"
    where = f"{asked.backend}/{asked.bucket}" if asked.backend else "Redis"
    return f"{asked.operation} at {where}: {ended} after {asked.waited:.1f} s"


def _kind(cause: BaseException | None) -> str:
    if cause is None:
        return ""
    code = str(cause).partition(" ")[0]
    coded = code.isalpha() and code.isupper()
    return f"{type(cause).__name__} {code}" if coded else type(cause).__name__
