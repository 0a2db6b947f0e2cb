"""The gRPC server around the servicer: interceptors, health, reflection, transport limits."""

import asyncio
import socket
import sys
from collections.abc import Collection

import grpc
from partway.v1 import upload_service_pb2_grpc

from partway_server.domain.errors import SessionsUnavailable, TryAgain
from partway_server.observability.metrics import Metrics
from partway_server.rpc.admission import Admission
from partway_server.rpc.connections import close_connections
from partway_server.rpc.deadlines import CLIENT_STREAM_SECONDS
from partway_server.rpc.health import PROTOCOL, Health
from partway_server.rpc.health_names import SERVICE
from partway_server.rpc.interceptors import ErrorInterceptor
from partway_server.rpc.load_watch import watch_load
from partway_server.rpc.reflection import Reflection
from partway_server.rpc.request_context import RequestContext
from partway_server.rpc.servicer import UploadServicer
from partway_server.rpc.slow_readers import SlowReaders
from partway_server.rpc.tls import ServerCertificate
from partway_server.rpc.upload_binding import UploadBinding

MAX_MESSAGE_BYTES = 2 * 1024 * 1024

AHEAD_BYTES = 1024 * 1024

SWITCH_SECONDS = 0.0005

ACCEPTORS = 32
"""How many gRPC servers of this process share the port; the kernel gives each some connections.

A server of grpc.aio accepts its next call when it has begun with the one before, two or three
rounds of a busy event loop later. What still waits is neither authenticated nor admitted: with one
server, a tenant with little to do stands in line behind the thousand calls of another.
"""

MAX_STREAMS = 128
"""Calls at a time on one connection."""

_OPTIONS = (
    ("grpc.so_reuseport", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    # Identity alone: gRPC 1.78 decompresses a message whole before it looks at its size, and 100 kB
    # became 100 MiB. A compressed call is UNIMPLEMENTED.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    # How far ahead a caller may send. By default gRPC probes the bandwidth, and buffers a part that
    # waits for slow storage: 30 MiB for each, as measured.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", AHEAD_BYTES),
    # Who connects and does not finish the handshake holds a socket: by default for two minutes.
    ("grpc.server_handshake_timeout_ms", 10 * 1000),
    # Callers behind a load balancer move to new replicas when connections reach their maximum age.
    ("grpc.max_connection_age_ms", 15 * 60 * 1000),
    # A part sent through the service may take this long, and must end on its connection. All other
    # calls end much sooner: see `deadlines`, and `slow_readers` for replies that are not read.
    ("grpc.max_connection_age_grace_ms", CLIENT_STREAM_SECONDS * 1000),
    ("grpc.keepalive_time_ms", 60 * 1000),
    ("grpc.keepalive_timeout_ms", 20 * 1000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20 * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    # So that the calls of one connection that gRPC has not handed to us yet are few. Gateways open
    # more connections; a client with more calls at a time waits, or opens another channel.
    # A client at the limit gets UNAVAILABLE now and then: gRPC counts a call until we let go of it,
    # a little after the client has its answer. So no call may live on in a reference cycle.
    ("grpc.max_concurrent_streams", MAX_STREAMS),
)


LAST_SECONDS = 1.0
"""How long before calls are cut off they are ended as timed out."""


class RpcServer:
    """Servers of grpc.aio with one UploadServicer, on one port, not yet listening.

    A reader that takes nothing of a reply for `slow_reader_seconds` is too slow.
    """

    def __init__(
        self,
        *,
        servicer: UploadServicer,
        request_context: RequestContext,
        error_interceptor: ErrorInterceptor,
        admission: Admission,
        binding: UploadBinding,
        metrics: Metrics,
        slow_reader_seconds: float,
        reflect: bool,
        share_port: bool,
    ) -> None:
        self._share_port = share_port
        self._servicer = servicer
        self._request_context = request_context
        self._error_interceptor = error_interceptor
        self._binding = binding
        self._admission = admission
        self._slow_readers = SlowReaders(
            admission, seconds=slow_reader_seconds, close=self._close_connections, metrics=metrics
        )
        self._port = 0
        self._load_watch: asyncio.Task[None] | None = None
        self._health = Health()
        self._reflection = Reflection((SERVICE, PROTOCOL)) if reflect else None
        self._servers = [self._new_server() for _ in range(ACCEPTORS)]

    def _new_server(self) -> grpc.aio.Server:
        server = grpc.aio.server(
            interceptors=(self._request_context, self._error_interceptor, self._binding),
            options=_OPTIONS,
        )
        upload_service_pb2_grpc.add_UploadServiceServicer_to_server(self._servicer, server)
        self._health.add_to(server)
        if self._reflection is not None:
            self._reflection.add_to(server)
        return server

    def bind(self, address: str, certificate: ServerCertificate | None = None) -> int:
        """Bind the address, with TLS if there is a certificate, and return the port.

        Raises RuntimeError if it is not available.
        """
        host = address.rpartition(":")[0]
        if not self._share_port:
            # Or a second service could take half of the calls unnoticed. Workers are to share them.
            _check_free(address)
        for server in self._servers:
            if certificate is None:
                self._port = server.add_insecure_port(address)
            else:
                self._port = server.add_secure_port(address, certificate.credentials())
            # Where the system chose the port, the others have the same.
            address = f"{host}:{self._port}"
        return self._port

    async def start(self, *, ready: bool = True) -> None:
        """Start serving, and report SERVING to health checks; if not `ready`, only after `open`."""
        # gRPC delivers events from a thread of its own, which waits this long for a busy event loop
        # to release the interpreter: by default 5 ms, which delays small calls noticeably.
        sys.setswitchinterval(SWITCH_SECONDS)
        if not ready:
            self.refuse(SessionsUnavailable)
        # First, so that no one who asks early gets NOT_FOUND.
        await self._health.start(ready=ready)
        for server in self._servers:
            await server.start()
        self._load_watch = asyncio.create_task(watch_load(self._admission, self._slow_readers))

    def refuse(self, error: type[TryAgain] | None) -> None:
        """Answer all calls with this error from now on; with None, no more."""
        self._admission.closed_by = error

    async def open(self) -> None:
        """Take calls from now on, and report SERVING to health checks."""
        self.refuse(None)
        await self._health.set_ready(True)

    async def set_ready(self, ready: bool) -> None:
        """Report to health checks whether this replica should get calls."""
        await self._health.set_ready(ready)

    async def leave(self) -> None:
        """Report NOT_SERVING from now on, so that load balancers move away, and end watches."""
        await self._health.leave()
        self._servicer.leave()

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more calls, and end those in progress after `grace_seconds`."""
        # In case `leave` was not called: watches would last through the whole grace period.
        self._servicer.leave()
        stopping = {asyncio.create_task(each.stop(grace_seconds)) for each in self._servers}
        await asyncio.wait(stopping, timeout=max(0.0, grace_seconds - LAST_SECONDS))
        # gRPC would cut them off without a status that says that nothing is lost.
        self._error_interceptor.end()
        await asyncio.gather(*stopping)
        if self._load_watch is not None:
            self._load_watch.cancel()
            await asyncio.wait({self._load_watch})

    def _close_connections(self, peers: Collection[str]) -> int:
        return close_connections(peers, local_port=self._port)


def _check_free(address: str) -> None:
    """Raise RuntimeError if another socket listens there. The servers' own may share the port."""
    host, _, port = address.rpartition(":")
    try:
        for family, kind, protocol, _, found in socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(found)
    except OSError as error:
        raise RuntimeError(f"{address} is not available") from error
