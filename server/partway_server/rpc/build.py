"""Build the gRPC server from the settings."""

from partway_server.config.settings import Settings
from partway_server.domain.quota import Limit
from partway_server.rpc.admission import Admission, Capacities
from partway_server.rpc.batch_runner import BatchRunner
from partway_server.rpc.call_meter import CallMeter
from partway_server.rpc.identity.base import Identity
from partway_server.rpc.interceptors import ErrorInterceptor
from partway_server.rpc.server import RpcServer
from partway_server.rpc.servicer import UploadServicer
from partway_server.rpc.upload_binding import UploadBinding
from partway_server.workflow.coordinator import Coordinator
from partway_server.workflow.deps import Deps


def build_server(
    settings: Settings,
    deps: Deps,
    coordinator: Coordinator,
    identity: Identity,
    *,
    share_port: bool,
) -> RpcServer:
    """Return the server, not yet listening."""
    timeout = settings.call_timeout_seconds
    limits = Capacities(
        calls=settings.max_concurrent_calls,
        watches=settings.max_watchers,
        parts=settings.max_via_service,
        unread_bytes=settings.max_unread_bytes,
    )
    admission = Admission(limits, metrics=deps.metrics, now=deps.monotonic)
    return RpcServer(
        servicer=UploadServicer(
            coordinator=coordinator,
            policies=deps.policies,
            timeout_seconds=timeout,
            batches=BatchRunner(
                admission=admission,
                rates=coordinator.rates,
                random_bytes=deps.random_bytes,
                timeout_seconds=timeout,
            ),
        ),
        error_interceptor=ErrorInterceptor(
            identity=identity,
            admission=admission,
            timeout_seconds=timeout,
            random_bytes=deps.random_bytes,
            take_call=lambda caller: coordinator.rates.take(caller, Limit.CALLS_PER_SECOND),
            meter=CallMeter(deps.metrics.rpcs),
        ),
        binding=UploadBinding(upload_ids=deps.upload_ids, clock=deps.clock),
        admission=admission,
        metrics=deps.metrics,
        slow_reader_seconds=settings.slow_reader_seconds,
        reflect=settings.reflection,
        share_port=share_port,
    )
