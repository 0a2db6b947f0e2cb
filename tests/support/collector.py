"""A collector of OpenTelemetry that keeps what it receives."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Receives spans by OTLP over gRPC, at `endpoint`."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.requests: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - as in the proto
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    @property
    def names(self) -> set[str]:
        """Return the names of all spans."""
        return {
            span.name
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    @property
    def text(self) -> str:
        """Return all that was received."""
        return "\n".join(map(str, self.requests))


@contextlib.contextmanager
def a_collector() -> Iterator[Collector]:
    """Run a collector."""
    collector = Collector()
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
        collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield collector
        server.stop(None).wait()
