"""Check the health of a running service, as a load balancer would."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from partway_server.rpc.health import LIVENESS, SERVICE


def serving(address: str, timeout_seconds: float, *, liveness: bool = False) -> bool:
    """Return whether the service at `address` reports SERVING. No answer counts as no.

    With `liveness`, whether its process is alive, even if it should get no calls now.
    """
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=LIVENESS if liveness else SERVICE)
        try:
            reply = stub.Check(request, timeout=timeout_seconds)
        except grpc.RpcError:
            return False
    serving: bool = reply.status == health_pb2.HealthCheckResponse.SERVING
    return serving
