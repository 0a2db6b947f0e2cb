"""Maps gRPC statuses to exceptions, and decides which calls are worth repeating."""

import re

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from partway_client.errors import (
    BY_REASON,
    CallFailed,
    PartwayError,
    QuotaExceeded,
    ServiceUnreachable,
    UploadBusy,
)

DOMAIN = "partway"

QUOTA_PATIENCE_SECONDS = 600.0
"""How long a wait for a limit may be that is worth waiting for."""

_PARTS = re.compile(r"parts/(\d{1,5})-(\d{1,5})")

_RETRIED_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        # Every RPC is idempotent, so one that was lost on its way is repeated too.
        grpc.StatusCode.DEADLINE_EXCEEDED,
        # A stopping service ends calls like this. Our own cancellations never come here.
        grpc.StatusCode.CANCELLED,
    }
)
_UNREACHABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


def error_of(failure: grpc.aio.AioRpcError, server: str) -> tuple[PartwayError, bool]:
    """Return the exception for a failed call to `server`, and whether to repeat the call."""
    info, retry_seconds, parts = _details(failure)
    text = failure.details() or failure.code().name.lower().replace("_", " ")
    retried = failure.code() in _RETRIED_CODES
    # The service's own INTERNAL has a reason. Without one the stream was reset on its way, as
    # gateways do on a timeout:
    # https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors
    retried |= failure.code() is grpc.StatusCode.INTERNAL and info is None
    known = BY_REASON.get(info.reason.removeprefix("ERROR_REASON_")) if info is not None else None
    if info is not None and known is not None:
        made = known(text, metadata=info.metadata, retry_seconds=retry_seconds, parts=parts)
        if known is QuotaExceeded:
            # Only some limits are a matter of seconds: others wait for uploads to end, or midnight.
            return made, retry_seconds is not None and retry_seconds <= QUOTA_PATIENCE_SECONDS
        return made, retried or known is UploadBusy
    if failure.code() in _UNREACHABLE:
        return ServiceUnreachable(_unreachable(server, text)), True
    return CallFailed(f"{server} answers {failure.code().name}: {text}"), retried


def _unreachable(server: str, text: str) -> str:
    return (
        f"no answer from the service at {server} ({text}); check the address, "
        "that the service is running, and whether it requires TLS or a client certificate"
    )


def _details(
    failure: grpc.aio.AioRpcError,
) -> tuple[error_details_pb2.ErrorInfo | None, float | None, list[tuple[int, int]]]:
    try:
        status = rpc_status.from_call(failure)  # type: ignore[arg-type]
    except ValueError:
        # Code and trailer disagree: a proxy between us and the service rewrote the status.
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
