"""What logs and traces learn from calls to the stores: observers of `store_calls`."""

from partway_server.domain.errors import (
    SessionsUnavailable,
    StorageRefused,
    StorageUnavailable,
)
from partway_server.observability import tracing
from partway_server.observability.call_context import current_call, note_sid
from partway_server.observability.outages import GIVEN_UP_SECONDS, Dependency, Outages
from partway_server.observability.store_calls import Store, StoreCall

PATIENT = frozenset({"CompleteMultipartUpload", "UploadPartCopy", "UploadPart", "PutObject"})
"""The operations of storage that may take long without anything being wrong."""

_UNANSWERED = frozenset(
    {
        *("timeout", "connection", "malformed", "500", "502", "503", "504"),
        *("InternalError", "ServiceUnavailable", "SlowDown"),
    }
)
"""How a call fails that got no answer about what was asked for."""


class CallNotes:
    """Notes for the log which upload a call is about, what it waits for, and where it failed."""

    def on_start(self, call: StoreCall) -> None:
        # Compose names its sources before it makes an upload.
        note_sid(call.sid, new=call.operation == "insert")
        if (current := current_call()) is not None:
            current.waits.append(call)

    def on_end(self, call: StoreCall, error: BaseException | None) -> None:
        if (current := current_call()) is not None:
            if call in current.waits:
                current.waits.remove(call)
            if error is not None and (call.code == "cancelled" or call.code in _UNANSWERED):
                current.fault = call
        if isinstance(error, StorageRefused | StorageUnavailable):
            error.place = call.backend, call.bucket
            error.operation = error.operation or call.operation
            error.storage_code = error.storage_code or call.code


class OutageObserver:
    """Reports to the outages how the calls to each store go."""

    def __init__(self, outages: Outages) -> None:
        self._outages = outages

    def on_start(self, call: StoreCall) -> None:
        self._dependency(call).start(call, call.operation, call.began)

    def on_end(self, call: StoreCall, error: BaseException | None) -> None:
        dependency, now = self._dependency(call), call.began + call.seconds
        if call.code == "cancelled" and (
            call.operation in PATIENT or call.seconds < GIVEN_UP_SECONDS
        ):
            dependency.give_up(call)
        elif call.code == "cancelled":
            dependency.end(call, f"{call.operation} given up", now)
        elif _failed(call, error):
            dependency.end(call, f"{call.operation} {call.code}", now)
        else:
            dependency.end(call, "", now)

    def _dependency(self, call: StoreCall) -> Dependency:
        if call.store is Store.SESSIONS:
            return self._outages.of("Redis")
        return self._outages.of(f"storage ({call.backend})", PATIENT)


def _failed(call: StoreCall, error: BaseException | None) -> bool:
    """Return whether a call failed for a reason that concerns all calls."""
    if error is None:
        return False
    known = isinstance(error, StorageUnavailable | StorageRefused | SessionsUnavailable)
    return known or call.code in _UNANSWERED


class SpanObserver:
    """Makes a span of each call to a store that is part of another span."""

    def __init__(self) -> None:
        self._spans: dict[StoreCall, tracing.Span] = {}

    def on_start(self, call: StoreCall) -> None:
        if not tracing.is_on():
            return
        attributes: dict[str, str | int] = {"partway.upload.sid": call.sid} if call.sid else {}
        if call.store is Store.SESSIONS:
            name = f"redis {call.operation}"
            attributes |= {"db.system.name": "redis", "db.operation.name": call.operation}
        else:
            name = f"S3 {call.operation}"
            attributes |= {
                "rpc.system": "aws-api",
                "rpc.service": "S3",
                "rpc.method": call.operation,
                "aws.s3.bucket": call.bucket,
                "partway.backend": call.backend,
            }
        if (span := tracing.begin(name, attributes)) is not None:
            self._spans[call] = span

    def on_end(self, call: StoreCall, error: BaseException | None) -> None:
        if (span := self._spans.pop(call, None)) is not None:
            span.end(call.code)
