"""The metrics of calls to storage and to Redis."""

from partway_server.observability.definitions import (
    FAST,
    STORAGE,
    Children,
    Definitions,
    Joined,
    TraceId,
    exemplar,
)
from partway_server.observability.flights import Flights
from partway_server.observability.store_calls import StoreCall


class StorageMetrics:
    """Observes the calls to storage."""

    def __init__(self, define: Definitions, trace_id: TraceId) -> None:
        define.begin("Storage")
        self._trace_id = trace_id
        self._seconds = Children(
            define.histogram(
                "partway_storage_call_duration_seconds",
                "Calls to storage by S3 operation, with their retries, until they ended in any way."
                " UploadPart and PutObject are parts through the service, and last as long as their"
                " sender takes. Credentials is what the SDK takes to find them.",
                ["backend", "operation"],
                buckets=STORAGE,
            )
        )
        self._errors = Children(
            define.counter(
                "partway_storage_errors",
                "Calls to storage that failed, by S3's code or: timeout, connection, malformed,"
                " cancelled (the caller's time was up, or it went away), caller (the sender of a"
                " part failed), source_changed, unknown_backend, other."
                " NoSuchUpload and PreconditionFailed are answers that uploads get in normal work.",
                ["backend", "operation", "code"],
            )
        )
        self._retries = Children(
            define.counter(
                "partway_storage_retries",
                "Requests to storage that were sent again, by what failed before"
                " (with PARTWAY_S3_CLIENT=lean).",
                ["backend", "operation", "code"],
            )
        )
        self._in_flight = define.gauge(
            "partway_storage_calls_in_flight", "Calls to storage in flight.", ["backend"]
        )
        self._oldest = define.gauge(
            "partway_storage_oldest_call_age_seconds",
            "How long the oldest call in flight has waited for storage, parts through the service"
            " aside; 0 if none does. A storage that hangs shows here first.",
            ["backend"],
            joined=Joined.MAX,
        )
        self._flights: dict[str, Flights] = {}

    def on_start(self, call: StoreCall) -> None:
        flights = self._flights.get(call.backend)
        (flights if flights is not None else self._watched(call.backend)).start(call)

    def on_end(self, call: StoreCall, error: BaseException | None) -> None:
        self._flights[call.backend].end(call)
        self._seconds(call.backend, call.operation).observe(
            call.seconds, exemplar(self._trace_id())
        )
        if error is not None:
            self._errors(call.backend, call.operation, call.code).inc()

    def retried(self, backend: str, operation: str, code: str) -> None:
        """Count a request that is sent again after a failure with `code`."""
        self._retries(backend, operation, code).inc()

    def _watched(self, backend: str) -> Flights:
        flights = self._flights[backend] = Flights({"UploadPart", "PutObject"})
        self._in_flight.labels(backend).set_function(flights.number)
        self._oldest.labels(backend).set_function(flights.oldest_age)
        return flights


class RedisMetrics:
    """Observes the calls to the session store."""

    def __init__(self, define: Definitions, trace_id: TraceId) -> None:
        define.begin("Redis")
        self._trace_id = trace_id
        self._seconds = Children(
            define.histogram(
                "partway_redis_call_duration_seconds",
                "Operations on session records, with their retries, until they ended in any way.",
                ["operation"],
                buckets=FAST,
            )
        )
        self._errors = Children(
            define.counter(
                "partway_redis_errors",
                "Operations on session records that failed, by the error's name, the code of"
                " Redis's answer, or cancelled.",
                ["operation", "code"],
            )
        )
        self._retries = Children(
            define.counter(
                "partway_redis_retries",
                "Commands to Redis that were sent again, by the error's name.",
                ["code"],
            )
        )
        flights = self._flights = Flights(frozenset())
        define.gauge(
            "partway_redis_calls_in_flight", "Operations on session records in flight."
        ).set_function(flights.number)
        define.gauge(
            "partway_redis_oldest_call_age_seconds",
            "How long the oldest operation in flight has waited for Redis; 0 if none does.",
            joined=Joined.MAX,
        ).set_function(flights.oldest_age)

    def on_start(self, call: StoreCall) -> None:
        self._flights.start(call)

    def on_end(self, call: StoreCall, error: BaseException | None) -> None:
        self._flights.end(call)
        self._seconds(call.operation).observe(call.seconds, exemplar(self._trace_id()))
        if error is not None:
            self._errors(call.operation, call.code).inc()

    def retried(self, error: Exception) -> None:
        """Count a command that is sent again after `error`."""
        self._retries(type(error).__name__).inc()
