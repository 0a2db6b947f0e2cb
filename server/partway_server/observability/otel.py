"""Spans by OpenTelemetry, sent by OTLP. Only imported if traces are on: its packages are an extra.

Where they are sent, and which, is set by the standard variables of OpenTelemetry
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), which its SDK
reads. Names and attributes follow its semantic conventions.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from partway_server import __version__
from partway_server.observability.call_context import CallContext

SERVICE = "partway-server"

_FLUSH_SECONDS = 3.0
"""How long the end of the process may wait for the last spans to be sent."""

_UNNAMED = "unknown_service"
"""What the SDK calls a service that the environment does not name."""

_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
)
"""The names of gRPC's codes, in the order of their numbers."""

_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""The codes of the service's own failures; the others are the caller's
(https://opentelemetry.io/docs/specs/semconv/rpc/grpc/)."""


class OtelSpan:
    """A span. If it is `current`, it is so until `end`, which must be in the same task."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span, *, current: bool = True) -> None:
        self._span = span
        self._token = contexts.attach(trace.set_span_in_context(span)) if current else None

    def note(self, name: str, value: str | int) -> None:
        self._span.set_attribute(name, value)

    def end(self, failure: str = "") -> None:
        if failure:
            self._span.set_attribute("error.type", failure)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        if self._token is not None:
            contexts.detach(self._token)


class OtelTracer:
    """Makes spans, and passes each that has ended to the `processor`."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("partway_server", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def call(self, path: str, sent: Mapping[str, str], call: CallContext) -> Iterator[None]:
        service, _, method = path.strip("/").rpartition("/")
        parent = self._propagator.extract(sent, contexts.Context())
        span = self._tracer.start_span(
            f"{service}/{method}",
            parent,
            SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
        )
        call.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        # Never detached: the task ends with the call, and a stream may be closed from another.
        contexts.attach(trace.set_span_in_context(span, parent))
        try:
            yield
        finally:
            _describe(span, call)
            span.end()

    def begin(
        self, name: str, attributes: Mapping[str, str | int], *, current: bool
    ) -> OtelSpan | None:
        if not trace.get_current_span().is_recording():
            return None
        kind = SpanKind.CLIENT if current else SpanKind.INTERNAL
        return OtelSpan(self._tracer.start_span(name, None, kind, attributes), current=current)

    def delivery(
        self, name: str, sent: Mapping[str, str], attributes: Mapping[str, str | int]
    ) -> OtelSpan:
        parent = self._propagator.extract(sent, contexts.Context())
        return OtelSpan(self._tracer.start_span(name, parent, SpanKind.PRODUCER, attributes))

    def headers(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        return headers

    def sampled_trace_id(self) -> str:
        found = trace.get_current_span().get_span_context()
        kept = found.is_valid and found.trace_flags.sampled
        return trace.format_trace_id(found.trace_id) if kept else ""

    def close(self) -> None:
        """Send the spans that wait, for a few seconds at most."""
        # Not waited for longer, nor at the exit: a collector that hangs must not hold the process.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_FLUSH_SECONDS)


def _resource() -> Resource:
    """Return what describes this process: what the environment says, and at least our name."""
    found = Resource.create({SERVICE_VERSION: __version__})
    if str(found.attributes.get(SERVICE_NAME, _UNNAMED)).startswith(_UNNAMED):
        found = found.merge(Resource({SERVICE_NAME: SERVICE}))
    return found


def _describe(span: trace.Span, call: CallContext) -> None:
    """Add to the span of a call what was learned since it began."""
    noted: dict[str, Any] = {
        "partway.request_id": call.request_id,
        "partway.tenant": call.tenant,
        "partway.policy": call.policy,
        "partway.upload.sid": call.sid,
        "error.type": call.reason,
        "rpc.grpc.status_code": _CODES.index(call.code) if call.code in _CODES else None,
    }
    span.set_attributes({name: value for name, value in noted.items() if value not in ("", None)})
    if call.code in _FAULTS:
        span.set_status(Status(StatusCode.ERROR))


def otlp_tracer(protocol: str) -> OtelTracer:
    """Return a tracer that sends spans by OTLP, over "grpc" or "http/protobuf"."""
    return OtelTracer(BatchSpanProcessor(_exporter(protocol)))


def _exporter(protocol: str) -> SpanExporter:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
        OTLPSpanExporter as HttpSpanExporter,
    )

    return HttpSpanExporter()
