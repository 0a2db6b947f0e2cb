"""The gRPC server around the servicer: interceptors, health, reflection, transport limits."""

import asyncio
import sys

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from partway.v1 import upload_service_pb2, upload_service_pb2_grpc

from partway_server.rpc.interceptors import CLIENT_STREAM_SECONDS, Admission, ErrorInterceptor
from partway_server.rpc.servicer import UploadServicer

SERVICE = upload_service_pb2.DESCRIPTOR.services_by_name["UploadService"].full_name

MAX_MESSAGE_BYTES = 2 * 1024 * 1024

AHEAD_BYTES = 1024 * 1024

SWITCH_SECONDS = 0.0005

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    # Identity alone: gRPC 1.78 decompresses a message whole before it looks at its size, and 100 kB
    # became 100 MiB. A compressed call is UNIMPLEMENTED.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # How far ahead a caller may send. By default gRPC probes the bandwidth, and buffers a part that
    # waits for slow storage: 30 MiB for each, as measured.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", AHEAD_BYTES),
    # Callers behind a load balancer move to new replicas when connections reach their maximum age.
    ("grpc.max_connection_age_ms", 15 * 60 * 1000),
    # A part sent through the service may take this long, and must end on its connection.
    ("grpc.max_connection_age_grace_ms", CLIENT_STREAM_SECONDS * 1000),
    ("grpc.keepalive_time_ms", 60 * 1000),
    ("grpc.keepalive_timeout_ms", 20 * 1000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20 * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
)


_SPARE_STREAMS = 1024
"""For calls that are being rejected, or have ended while gRPC still counts them."""

LAST_SECONDS = 1.0
"""How long before calls are cut off they are ended as timed out."""


class RpcServer:
    """A grpc.aio server with one UploadServicer, not yet listening.

    `max_calls` is the maximum number of admitted calls, including watches.
    """

    def __init__(
        self,
        *,
        servicer: UploadServicer,
        error_interceptor: ErrorInterceptor,
        admission: Admission,
        reflect: bool,
        share_port: bool,
        max_calls: int,
    ) -> None:
        # Workers share the port, and the kernel distributes connections among them. A single
        # process does not share it, or a second service could take half of its calls unnoticed.
        options = (
            *_OPTIONS,
            ("grpc.so_reuseport", int(share_port)),
            # More than are admitted in total. With fewer, the watches of one caller or gateway
            # could fill its connection, and its next call would wait instead of being rejected.
            ("grpc.max_concurrent_streams", max_calls + _SPARE_STREAMS),
        )
        self._servicer = servicer
        self._error_interceptor = error_interceptor
        self._server = grpc.aio.server(interceptors=(error_interceptor, admission), options=options)
        self._health = health.aio.HealthServicer()
        upload_service_pb2_grpc.add_UploadServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if reflect:
            names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)

    def bind(self, address: str) -> int:
        """Bind the address and return the port. Raises RuntimeError if it is not available."""
        return self._server.add_insecure_port(address)

    async def start(self) -> None:
        """Start serving, and report SERVING to health checks."""
        # gRPC delivers events from a thread of its own, which waits this long for a busy event loop
        # to release the interpreter: by default 5 ms, which delays small calls noticeably.
        sys.setswitchinterval(SWITCH_SECONDS)
        await self._server.start()
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def leave(self) -> None:
        """Report NOT_SERVING from now on, so that load balancers move away, and end watches."""
        await self._health.enter_graceful_shutdown()
        self._servicer.leave()

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more calls, and end those in progress after `grace_seconds`."""
        # In case `leave` was not called: watches would last through the whole grace period.
        self._servicer.leave()
        stopping = asyncio.create_task(self._server.stop(grace_seconds))
        await asyncio.wait({stopping}, timeout=max(0.0, grace_seconds - LAST_SECONDS))
        # gRPC would cut them off without a status that says that nothing is lost.
        self._error_interceptor.end()
        await stopping
