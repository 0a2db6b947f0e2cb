"""Report health by the gRPC health protocol, under three names.

"" and the service are readiness: whether this replica should get calls. LIVENESS is whether the
process answers at all: it is served by the event loop that serves all calls, so that an answer is
the proof, and whatever else is wrong, a restart would not help.
"""

from typing import Any

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from partway_server.rpc.health_names import LIVENESS, SERVICE

PROTOCOL: str = health.SERVICE_NAME
"""The name of the health protocol's own service."""

_READINESS = ("", SERVICE)

_STATUS = health_pb2.HealthCheckResponse.ServingStatus


class Health:
    """The health that a server reports: nothing before `start`, and not ready after `leave`."""

    def __init__(self) -> None:
        self._servicer: Any = health.aio.HealthServicer()
        self._leaving = False

    def add_to(self, server: Any) -> None:
        """Add the protocol to a grpc.aio server."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def start(self, *, ready: bool = True) -> None:
        """Report the process as alive, and whether it is ready."""
        await self._servicer.set(LIVENESS, _STATUS.SERVING)
        await self.set_ready(ready)

    async def set_ready(self, ready: bool) -> None:
        """Report whether this replica should get calls; it stays not ready once it leaves."""
        status = _STATUS.SERVING if ready and not self._leaving else _STATUS.NOT_SERVING
        for name in _READINESS:
            await self._servicer.set(name, status)

    async def leave(self) -> None:
        """Report not ready from now on. The process stays alive until its calls have ended."""
        self._leaving = True
        await self.set_ready(False)
