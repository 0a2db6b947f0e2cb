"""Counts how calls end, by RPC, code and reason, from the errors that their handlers raise."""

import time
from collections.abc import Callable, Mapping

import grpc
from google.rpc import code_pb2
from partway.v1 import error_reason_pb2 as reasons

from partway_server.domain import errors
from partway_server.observability.rpc_metrics import RpcMetrics
from partway_server.rpc.error_mapping import TABLE
from partway_server.rpc.identity.base import PRINCIPAL

_OUTCOMES: Mapping[type[Exception], tuple[str, str]] = {
    kind: (
        code_pb2.Code.Name(row.code),
        reasons.ErrorReason.Name(row.reason).removeprefix("ERROR_REASON_"),
    )
    for kind, row in TABLE.items()
}


def outcome_of(error: BaseException) -> tuple[str, str]:
    """Return the code and the reason, without its prefix, of a call that raised `error`."""
    if isinstance(error, TimeoutError):
        return _OUTCOMES[errors.TimedOut]
    if isinstance(error, NotImplementedError):
        return "UNIMPLEMENTED", ""
    # An AbortError says that the call was ended elsewhere, and known there.
    if not isinstance(error, Exception) or isinstance(error, grpc.aio.AbortError):
        return "CANCELLED", ""
    return _OUTCOMES.get(type(error), ("INTERNAL", "INTERNAL"))


class CallMeter:
    """Feeds the metrics of RPCs. `begun` is when a call began, by `now`."""

    def __init__(self, metrics: RpcMetrics, now: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._now = now

    def succeeded(self, rpc: str, begun: float, failed_items: int = 0) -> None:
        """Count a unary call that is answered; `failed_items` are those of a batch."""
        self._metrics.ended(rpc, "OK", "", self._now() - begun, _tenant())
        if failed_items:
            self._metrics.items_failed(rpc, failed_items)

    def first_message(self, rpc: str, begun: float) -> None:
        """Observe the time that a stream took until its first message."""
        self._metrics.took(rpc, self._now() - begun, ok=True)

    def stream_ended(self, rpc: str) -> None:
        """Count a stream that ended after its last message."""
        self._metrics.ended(rpc, "OK", "", None, _tenant())

    def failed(self, rpc: str, begun: float, error: BaseException, *, midway: bool = False) -> None:
        """Count a call that `error` ends, `midway` if its time was observed before."""
        code, reason = outcome_of(error)
        seconds = None if midway else self._now() - begun
        self._metrics.ended(rpc, code, reason, seconds, _tenant())
        if isinstance(error, errors.QuotaExceeded):
            self._metrics.quota_refused(error.limit, error.owner)


def _tenant() -> str:
    principal = PRINCIPAL.get(None)
    return principal.caller.tenant if principal is not None else ""
