"""How a call ends: its status for the caller, and its line in the log."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import grpc
from google.rpc import code_pb2, status_pb2
from grpc_status import rpc_status

from partway_server.domain import errors
from partway_server.rpc.error_mapping import internal, status_of
from partway_server.rpc.identity.base import Context

logger = logging.getLogger(__name__)

_OVERLOADED = rpc_status.to_status(status_of(errors.Overloaded()))
"""Made once: a refusal has to cost next to nothing."""

_UNIMPLEMENTED = status_pb2.Status(
    code=code_pb2.UNIMPLEMENTED, message="this method is not implemented"
)


@dataclass(frozen=True, slots=True)
class CallFailure:
    """The status of a call that failed; its name and what operators must know, for the log."""

    status: status_pb2.Status
    name: str
    cause: str = ""


async def fail(
    method: str, begun: float, context: Context, error: Exception, reference_of: Callable[[], str]
) -> NoReturn:
    """End the call with the status for `error`. An internal error is logged with a reference."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    try:
        if isinstance(error, errors.Overloaded):
            # Without a line in the log, for the same reason. Admission has one a minute.
            await context.abort_with_status(_OVERLOADED)
        status = status_for(method, begun, error, reference_of)
        await context.abort_with_status(rpc_status.to_status(status))
    except grpc.aio.AbortError as aborted:
        _forget_traceback(aborted, error)
        raise
    raise AssertionError("abort raises")


def status_for(
    method: str, begun: float, error: Exception, reference_of: Callable[[], str]
) -> status_pb2.Status:
    """Log how the call ends, and return its status."""
    if isinstance(error, NotImplementedError):
        return _UNIMPLEMENTED
    failure = failure_of(method, error, reference_of)
    log_call(method, begun, failure.name, failure.cause)
    return failure.status


def failure_of(method: str, error: Exception, reference_of: Callable[[], str]) -> CallFailure:
    """Return how a call failed that raised `error`. An internal error is logged."""
    if isinstance(error, TimeoutError):
        error = errors.TimedOut()
    if isinstance(error, errors.UploadError):
        return CallFailure(status_of(error), type(error).__name__, _cause_for_operators(error))
    reference = reference_of()
    logger.error("%s failed, reference %s", method, reference, exc_info=error)
    return CallFailure(internal(reference), "internal")


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


def log_call(
    method: str, begun: float, outcome: str, cause: str = "", *, failed_items: int = 0
) -> None:
    """Log one line for a call: a warning if it has a cause that operators must know.

    `failed_items` are those of a batch.
    """
    milliseconds = (time.monotonic() - begun) * 1000
    extra = {"rpc": method.rpartition("/")[2], "outcome": outcome, "ms": round(milliseconds, 1)}
    if failed_items:
        extra["failed_items"] = failed_items
        text = "%s %s %.1f ms, %d of its items failed"
        logger.info(text, extra["rpc"], outcome, milliseconds, failed_items, extra=extra)
        return
    if cause:
        text = "%s %s %.1f ms: %s"
        logger.warning(text, extra["rpc"], outcome, milliseconds, cause, extra=extra)
    else:
        logger.info("%s %s %.1f ms", extra["rpc"], outcome, milliseconds, extra=extra)


def _cause_for_operators(error: errors.UploadError) -> str:
    """Return what an operator must know about an error, "" if it does not concern them.

    Of a cause, only its type and the leading code of a Redis error, such as BUSY: its text may
    contain an address or secrets.
    """
    if isinstance(error, errors.StorageRefused):
        return f"{error.operation} {error.storage_code}"
    if isinstance(error, errors.StorageUnavailable | errors.SessionsUnavailable):
        # Without a cause it is our own error, such as a backend that is not configured.
        return _kind(error.__cause__) if error.__cause__ else str(error)
    return ""


def _kind(cause: BaseException) -> str:
    code = str(cause).partition(" ")[0]
    coded = code.isalpha() and code.isupper()
    return f"{type(cause).__name__} {code}" if coded else type(cause).__name__
