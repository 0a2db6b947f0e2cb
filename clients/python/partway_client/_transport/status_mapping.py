"""gRPC statuses into exceptions, and which of them are worth another try."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from partway_client.errors import (
    BY_REASON,
    CallFailed,
    PartwayError,
    ServiceUnreachable,
    UploadBusy,
)

DOMAIN = "partway.v1"

_TELL_SECONDS = 1.0

_PARTS = re.compile(r"parts/(\d{1,5})-(\d{1,5})")

_RETRIED_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        # Every RPC is safe to repeat, so one that was lost on its way is repeated too.
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # A service that stops ends calls like this. What we cancel ourselves never comes here.
        grpc.StatusCode.CANCELLED,
    }
)
_UNREACHABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class ToldStatus:
    """How a client stream ended, as the other side told it.

    grpc.aio overwrites the status of a call that ends while something is being written to it with
    one of its own, or sets that first (https://github.com/grpc/grpc/issues/36066). Callbacks are
    called at once whenever a status is set, so the one that is not its own is kept here.
    """

    def __init__(self, call: grpc.aio.StreamUnaryCall[Any, Any]) -> None:
        self._told: asyncio.Future[grpc.aio.AioRpcError] = asyncio.Future()
        call.add_done_callback(self._keep)

    async def failure(self) -> grpc.aio.AioRpcError | None:
        """The status of a call that failed; None if nothing but grpc.aio's own comes soon."""
        await asyncio.wait({self._told}, timeout=_TELL_SECONDS)
        return self._told.result() if self._told.done() else None

    def _keep(self, call: Any) -> None:
        code, details = _at_hand(call.code()), _at_hand(call.details())
        own = (code, details) == (grpc.StatusCode.INTERNAL, "Internal error from Core")
        if not own and not self._told.done():
            trailing = _at_hand(call.trailing_metadata())
            found = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details)
            self._told.set_result(found)


def _at_hand(answer: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that need not wait; None if it would."""
    try:
        answer.send(None)
    except StopIteration as ended:
        return ended.value
    finally:
        answer.close()
    return None


def error_of(failure: grpc.aio.AioRpcError, server: str) -> tuple[PartwayError, bool]:
    """The exception for a failed call to `server`, and whether the call is worth repeating."""
    info, retry_seconds, parts = _details(failure)
    text = failure.details() or failure.code().name.lower().replace("_", " ")
    retried = failure.code() in _RETRIED_CODES
    # The service's own has a reason. Without one a stream was reset on its way, as gateways do when
    # its time is up: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
    retried |= failure.code() is grpc.StatusCode.INTERNAL and info is None
    known = BY_REASON.get(info.reason.removeprefix("ERROR_REASON_")) if info is not None else None
    if info is not None and known is not None:
        made = known(text, metadata=info.metadata, retry_seconds=retry_seconds, parts=parts)
        return made, retried or known is UploadBusy
    if failure.code() in _UNREACHABLE:
        return ServiceUnreachable(_unreachable(server, text)), True
    return CallFailed(f"{server} answers {failure.code().name}: {text}"), retried


def _unreachable(server: str, text: str) -> str:
    return (
        f"no answer from the service at {server} ({text}); check the address, "
        "whether it runs, and whether it wants TLS"
    )


def _details(
    failure: grpc.aio.AioRpcError,
) -> tuple[error_details_pb2.ErrorInfo | None, float | None, list[tuple[int, int]]]:
    try:
        status = rpc_status.from_call(failure)  # type: ignore[arg-type]
    except ValueError:
        # Code and trailer disagree: something between us and the service rewrote the status.
        status = None
    info, retry_seconds, parts = None, None, []
    for detail in status.details if status is not None else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            unpacked = error_details_pb2.ErrorInfo()
            detail.Unpack(unpacked)
            info = unpacked if unpacked.domain == DOMAIN else info
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Is(error_details_pb2.PreconditionFailure.DESCRIPTOR):
            precondition = error_details_pb2.PreconditionFailure()
            detail.Unpack(precondition)
            subjects = (violation.subject for violation in precondition.violations)
            found = (_PARTS.fullmatch(subject) for subject in subjects)
            parts = [(int(run[1]), int(run[2])) for run in found if run is not None]
    return info, retry_seconds, parts
