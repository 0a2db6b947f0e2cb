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
from partway_server.rpc.admission import Admission, Limits
from partway_server.rpc.identity.build import build_identity
from partway_server.rpc.identity.chain import AuthenticationChain
from partway_server.rpc.identity.upload_token import UploadTokenAuthenticator
from partway_server.rpc.interceptors import ErrorInterceptor
from partway_server.rpc.server import RpcServer
from partway_server.rpc.servicer import UploadServicer
from partway_server.rpc.upload_binding import UploadBinding
from partway_server.runtime.clock_check import ClockCheck
from partway_server.runtime.readiness import WATCHED, Readiness
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
    readiness: Readiness
    clocks: ClockCheck


def build(settings: Settings, *, share_port: bool = False, **seams: Unpack[Seams]) -> Service:
    """Put the service together. Without `limits`, those of the settings apply to all tenants."""
    seams.setdefault("limits", LimitRegistry(default_limits(settings)))
    deps = make_deps(
        settings.sealing_key_bytes(),
        settings.lease_seconds,
        least_rate=settings.min_upload_bytes_per_second,
        **seams,
    )
    tokens = UploadTokenAuthenticator(deps.upload_tokens, deps.clock)
    identity = build_identity(settings, deps.clock, first=[tokens])
    coordinator, timeout = Coordinator(deps), settings.call_timeout_seconds
    servicer = UploadServicer(
        coordinator=coordinator, policies=deps.policies, timeout_seconds=timeout
    )
    limits = Limits(
        calls=settings.max_concurrent_calls,
        watches=settings.max_watchers,
        parts=settings.max_via_service,
        unread_bytes=settings.max_unread_bytes,
    )
    admission = Admission(limits, metrics=deps.metrics, now=deps.monotonic)
    server = RpcServer(
        servicer=servicer,
        error_interceptor=ErrorInterceptor(
            identity=identity,
            admission=admission,
            timeout_seconds=timeout,
            random_bytes=deps.random_bytes,
            take_call=lambda caller: coordinator.rates.take(caller, Limit.CALLS_PER_SECOND),
        ),
        admission=admission,
        binding=UploadBinding(upload_ids=deps.upload_ids, clock=deps.clock),
        metrics=deps.metrics,
        slow_reader_seconds=settings.slow_reader_seconds,
        reflect=settings.reflection,
        share_port=share_port,
    )
    sweeper = Sweeper(deps, grace=timedelta(seconds=settings.sweep_grace_seconds))
    return Service(
        server=server,
        janitor=Janitor(deps, coordinator),
        sweeper=sweeper,
        tasks=deps.tasks,
        metrics=deps.metrics,
        identity=identity,
        readiness=Readiness(WATCHED[settings.readiness], deps, report=server.set_ready),
        clocks=ClockCheck(deps),
    )
