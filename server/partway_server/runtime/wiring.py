"""The service, put together over its two stores."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Unpack

from partway_server.cleanup.expiry import Janitor
from partway_server.cleanup.orphans import Sweeper
from partway_server.config.settings import Settings
from partway_server.config.tenant_limits import default_limits
from partway_server.domain.quota import Limit, LimitRegistry
from partway_server.observability.metrics import Metrics
from partway_server.rpc.identity.build import build_identity
from partway_server.rpc.identity.chain import AuthenticationChain
from partway_server.rpc.identity.upload_token import UploadTokenAuthenticator
from partway_server.rpc.interceptors import Admission, ErrorInterceptor
from partway_server.rpc.server import RpcServer
from partway_server.rpc.servicer import UploadServicer
from partway_server.rpc.upload_binding import UploadBinding
from partway_server.workflow.background_tasks import Tasks
from partway_server.workflow.coordinator import Coordinator
from partway_server.workflow.deps import Seams, make_deps


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that runs, built and not yet started."""

    server: RpcServer
    janitor: Janitor
    sweeper: Sweeper
    tasks: Tasks
    metrics: Metrics
    identity: AuthenticationChain


def build(settings: Settings, *, share_port: bool = False, **seams: Unpack[Seams]) -> Service:
    """Put the service together. Without `limits`, those of the settings apply to all tenants."""
    seams.setdefault("limits", LimitRegistry(default_limits(settings)))
    deps = make_deps(settings.sealing_key_bytes(), settings.lease_seconds, **seams)
    tokens = UploadTokenAuthenticator(deps.upload_tokens, deps.clock)
    identity = build_identity(settings, deps.clock, first=[tokens])
    coordinator, timeout = Coordinator(deps), settings.call_timeout_seconds
    servicer = UploadServicer(
        coordinator=coordinator, policies=deps.policies, timeout_seconds=timeout
    )
    server = RpcServer(
        servicer=servicer,
        error_interceptor=ErrorInterceptor(
            identity=identity,
            timeout_seconds=timeout,
            random_bytes=deps.random_bytes,
            admit=lambda caller: coordinator.rates.take(caller, Limit.CALLS_PER_SECOND),
        ),
        admission=Admission(
            max_calls=settings.max_concurrent_calls,
            max_watchers=settings.max_watchers,
            max_client_streams=settings.max_via_service,
        ),
        binding=UploadBinding(upload_ids=deps.upload_ids, clock=deps.clock),
        reflect=settings.reflection,
        share_port=share_port,
        max_calls=settings.max_concurrent_calls + settings.max_watchers,
    )
    sweeper = Sweeper(deps, grace=timedelta(seconds=settings.sweep_grace_seconds))
    janitor = Janitor(deps, coordinator)
    return Service(server, janitor, sweeper, deps.tasks, deps.metrics, identity)
