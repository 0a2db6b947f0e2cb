"""Tests when traces are on, and that without the extra nothing of it is imported."""

import subprocess
import sys

import pytest
from partway_server.config.settings import Settings
from partway_server.observability import tracing
from partway_server.observability.call_context import CallContext
from partway_server.runtime import traces
from partway_server.runtime.traces import TracesError, protocol, sending_traces, wanted

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("setting", "environ", "on"),
    [
        ("", {}, False),
        ("", ENDPOINT, True),
        ("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a:1"}, True),
        ("", {**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ("", {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ("off", ENDPOINT, False),
        ("otlp", {}, True),
    ],
)
def test_traces_are_on_if_somebody_said_so(setting: str, environ: dict[str, str], on: bool) -> None:
    assert wanted(Settings(traces=setting), environ) is on


def test_the_protocol_is_that_of_the_environment() -> None:
    assert protocol({}) == "grpc"
    assert protocol({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}) == "http/protobuf"
    both = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
    }
    assert protocol(both) == "grpc"
    with pytest.raises(TracesError, match="'http/json' is neither grpc nor http/protobuf"):
        protocol({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"})


@pytest.mark.parametrize(
    ("setting", "named"), [("otlp", "PARTWAY_TRACES"), ("", "OTEL_EXPORTER_OTLP_ENDPOINT")]
)
def test_without_the_extra_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, setting: str, named: str
) -> None:
    monkeypatch.setattr(traces, "_NEEDED", ("opentelemetry.sdk", "opentelemetry.no_such_module"))
    with pytest.raises(TracesError) as raised:
        with sending_traces(Settings(traces=setting), ENDPOINT):
            pass
    assert str(raised.value) == (
        f"{named}: traces need the extra otel: pip install 'partway-server[otel]';"
        " or turn them off with PARTWAY_TRACES=off"
    )


@pytest.mark.slow
def test_without_the_extra_the_service_can_be_imported() -> None:
    # redis-py imports what there is of OpenTelemetry by itself.
    code = (
        "import sys; sys.modules['opentelemetry'] = None; import partway_server.runtime.app;"
        " print('partway_server.observability.otel' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize(
    ("traceparent", "shown"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_a_callers_trace_is_logged_without_a_tracer(traceparent: str, shown: str) -> None:
    call = CallContext()
    with tracing.call_span("/a/B", {"traceparent": traceparent}, call):
        assert tracing.outgoing_headers() == {} and not tracing.is_on()
        assert tracing.begin("x", {}) is None and tracing.sampled_trace_id() == ""
    assert call.trace_id == shown
