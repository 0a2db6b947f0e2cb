"""Tests the spans that calls, requests to the stores and deliveries leave, and what they hold."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from partway.v1 import upload_service_pb2 as pb
from partway_server.config.settings import Settings
from partway_server.domain.errors import StorageUnavailable
from partway_server.domain.events import EventComposer
from partway_server.events.retry_schedule import DeliveryResponse
from partway_server.events.traced_sender import TracedSender
from partway_server.observability import tracing
from partway_server.observability.otel import OtelTracer
from partway_server.runtime.traces import sending_traces

from tests.support.collector import a_collector
from tests.support.storage import failing
from tests.support.world import ALICE, World, failure

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
WITH_TRACE = (*ALICE, ("traceparent", f"00-{TRACE}-{PARENT}-01"))
UPLOAD_SERVICE = "partway.v1.UploadService"


class Spans:
    """The spans that have ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer = OtelTracer(SimpleSpanProcessor(self.exporter))

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        """Return the last span of that name."""
        return [span for span in self.all if span.name == name][-1]


@pytest.fixture
def spans() -> Iterator[Spans]:
    spans = Spans()
    with tracing.installed(spans.tracer):
        yield spans


def parent_of(span: ReadableSpan) -> str:
    return "" if span.parent is None else format_span_id(span.parent.span_id)


def id_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return format_span_id(span.context.span_id)


@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_a_call_and_what_it_asks_the_stores_are_one_trace(world: World, spans: Spans) -> None:
    request = pb.InitializeRequest(file_name="a", size_bytes=20 << 20, presign_parts=2)
    upload = (await world.stub.Initialize(request, metadata=WITH_TRACE)).upload
    call = spans.named(f"{UPLOAD_SERVICE}/Initialize")
    assert call.kind is SpanKind.SERVER and parent_of(call) == PARENT
    attributes = dict(call.attributes or {})
    assert attributes.pop("partway.request_id")
    assert attributes == {
        "rpc.system": "grpc",
        "rpc.service": UPLOAD_SERVICE,
        "rpc.method": "Initialize",
        "rpc.grpc.status_code": 0,
        "partway.tenant": "acme",
        "partway.policy": "default",
        "partway.upload.sid": world.grant(upload).sid,
    }
    within = [span for span in spans.all if parent_of(span) == id_of(call)]
    names = {span.name for span in within}
    assert {"redis insert", "redis finish", "S3 CreateMultipartUpload", "presign parts"} <= names
    created = dict(spans.named("S3 CreateMultipartUpload").attributes or {})
    assert created == {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": "CreateMultipartUpload",
        "aws.s3.bucket": "uploads",
        "partway.backend": "default",
        "partway.upload.sid": world.grant(upload).sid,
    }
    assert (spans.named("presign parts").attributes or {})["partway.parts"] == 2
    assert {format_trace_id(s.context.trace_id) for s in spans.all if s.context} == {TRACE}


@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_a_fault_is_in_the_spans_and_a_callers_own_is_no_fault(
    world: World, spans: Spans
) -> None:
    upload = await world.initialize()
    world.storage.before("list_parts", failing(StorageUnavailable()))
    await failure(world.stub.ListParts(pb.ListPartsRequest(upload_id=upload.id), metadata=ALICE))
    await failure(world.stub.Status(pb.StatusRequest(upload_id="x"), metadata=ALICE))
    for name, faulty, kind in (
        ("S3 ListParts", True, "other"),
        (f"{UPLOAD_SERVICE}/ListParts", True, "ERROR_REASON_STORAGE_UNAVAILABLE"),
        (f"{UPLOAD_SERVICE}/Status", False, "ERROR_REASON_UPLOAD_NOT_FOUND"),
    ):
        span = spans.named(name)
        assert (span.status.status_code is StatusCode.ERROR) is faulty
        assert (span.attributes or {})["error.type"] == kind


@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_spans_hold_no_url_no_key_and_no_id(world: World, spans: Spans) -> None:
    upload = await world.initialize(fingerprint="a-fingerprint", metadata={"title": "a-title"})
    await world.send(upload)
    await world.complete(upload)
    grant = world.grant(upload)
    text = "\n".join(span.to_json() for span in spans.all)
    assert grant.sid in text
    secrets = [upload.id, grant.key, grant.write_token, grant.multipart_id, "memory://"]
    for secret in (*secrets, "film.mp4", "a-fingerprint", "a-title", "http"):
        assert secret not in text.replace("http.response", ""), secret


@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_what_runs_beside_calls_makes_no_spans(world: World, spans: Spans) -> None:
    await world.service.janitor.sweep()
    await world.sessions.ping()
    assert spans.all == ()


async def test_an_event_carries_its_trace_to_the_endpoint(spans: Spans) -> None:
    got: dict[str, Any] = {}

    class Endpoint:
        async def send(self, event_id: str, body: str) -> DeliveryResponse:
            got.update(tracing.outgoing_headers())
            return DeliveryResponse(503, "HTTP 503")

    event = {"type": "upload.completed", "subject": "5" * 32}
    traced = json.dumps({**event, "traceparent": f"00-{TRACE}-{PARENT}-01"})
    await TracedSender(Endpoint(), "orders").send("event-1", traced)
    span = spans.named("webhook orders")
    assert span.kind is SpanKind.PRODUCER and parent_of(span) == PARENT
    assert got["traceparent"] == f"00-{TRACE}-{id_of(span)}-01"
    assert dict(span.attributes or {}) == {
        "partway.webhook": "orders",
        "cloudevents.event_id": "event-1",
        "cloudevents.event_type": "upload.completed",
        "partway.upload.sid": "5" * 32,
        "http.response.status_code": 503,
        "error.type": "HTTP 503",
    }


def test_an_event_names_its_trace_only_if_there_is_one() -> None:
    assert EventComposer().trace() == {}
    assert EventComposer(trace=lambda: {"traceparent": "t"}).trace() == {"traceparent": "t"}


@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_spans_reach_a_collector(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_collector() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        # What waits is sent at the end of the block.
        with sending_traces(Settings(), environ):
            upload = await world.initialize()
    assert {f"{UPLOAD_SERVICE}/Initialize", "S3 CreateMultipartUpload"} <= collector.names
    assert 'string_value: "partway-server"' in collector.text
    assert upload.id not in collector.text
