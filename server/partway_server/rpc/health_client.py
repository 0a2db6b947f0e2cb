"""Check the health of a running service, as a load balancer would."""

from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from partway_server.rpc.health import LIVENESS, SERVICE


@dataclass(frozen=True, slots=True, repr=False)
class ClientTls:
    """How to call a service over TLS; all but the name are PEM.

    `ca` are the CAs to trust, None: those that gRPC comes with. `certificate` and `key` are the
    caller's, if the service asks for one. `server_name` is the name to expect in the service's
    certificate, "" for the host that is called.
    """

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    server_name: str = ""


def serving(
    address: str, timeout_seconds: float, tls: ClientTls | None = None, *, liveness: bool = False
) -> bool:
    """Return whether the service at `address` reports SERVING. No answer counts as no.

    With `liveness`, whether its process is alive, even if it should get no calls now.
    """
    with _channel(address, tls) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=LIVENESS if liveness else SERVICE)
        try:
            reply = stub.Check(request, timeout=timeout_seconds)
        except grpc.RpcError:
            return False
    serving: bool = reply.status == health_pb2.HealthCheckResponse.SERVING
    return serving


def _channel(address: str, tls: ClientTls | None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(address)
    credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    name = tls.server_name
    options = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.secure_channel(address, credentials, options=options)
