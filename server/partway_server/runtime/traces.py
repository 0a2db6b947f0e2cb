"""Turns traces on, if the settings or the variables of OpenTelemetry say so."""

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping

from partway_server.config.settings import Settings
from partway_server.observability import tracing

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.grpc")


class TracesError(Exception):
    """Traces are on and cannot be sent. The text is for an operator."""


def wanted(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Return whether traces are on."""
    if settings.traces:
        return settings.traces == "otlp"
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return False
    return any(environ.get(name) for name in ENDPOINTS)


def protocol(environ: Mapping[str, str]) -> str:
    """Return the protocol to send traces by. Raises TracesError."""
    for name in _PROTOCOLS:
        if value := environ.get(name):
            if value not in ("grpc", "http/protobuf"):
                raise TracesError(f"{name}: {value!r} is neither grpc nor http/protobuf")
            return value
    return "grpc"


@contextlib.contextmanager
def sending_traces(settings: Settings, environ: Mapping[str, str]) -> Iterator[None]:
    """Send traces in the block, if they are on. Raises TracesError."""
    if not wanted(settings, environ):
        yield
        return
    how = protocol(environ)
    if not _has_extra():
        why = "PARTWAY_TRACES" if settings.traces else next(n for n in ENDPOINTS if environ.get(n))
        raise TracesError(
            f"{why}: traces need the extra otel: pip install 'partway-server[otel]';"
            " or turn them off with PARTWAY_TRACES=off"
        )
    # Imported here because it is an extra.
    from partway_server.observability.otel import otlp_tracer

    tracer = otlp_tracer(how)
    try:
        with tracing.installed(tracer):
            yield
    finally:
        tracer.close()


def _has_extra() -> bool:
    try:
        return all(importlib.util.find_spec(name) is not None for name in _NEEDED)
    except ModuleNotFoundError:
        return False
