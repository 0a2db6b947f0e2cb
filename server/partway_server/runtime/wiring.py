"""The service, put together over its two stores."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Unpack

from partway_server.cleanup.expiry import Janitor
from partway_server.cleanup.orphans import Sweeper
from partway_server.config.settings import Settings
from partway_server.config.tenant_limits import default_limits
from partway_server.domain.quota import LimitRegistry
from partway_server.observability.metrics import Metrics
from partway_server.rpc.build import build_server
from partway_server.rpc.identity.build import build_identity
from partway_server.rpc.identity.chain import AuthenticationChain
from partway_server.rpc.identity.upload_token import UploadTokenAuthenticator
from partway_server.rpc.server import RpcServer
from partway_server.runtime.clock_check import ClockCheck
from partway_server.runtime.readiness import WATCHED, Readiness
from partway_server.sessions.observed import ObservedSessions
from partway_server.storage.observed import ObservedStorage
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


def _observe(seams: Seams, metrics: Metrics) -> None:
    """Put a decorator over each store that notifies `metrics` of its calls."""
    storage, sessions = seams["storage"], seams["sessions"]
    seams["storage"] = ObservedStorage(storage, [metrics.storage], metrics.uploads.presigned)
    seams["sessions"] = ObservedSessions(sessions, [metrics.redis], metrics.uploads)


def build(settings: Settings, *, share_port: bool = False, **seams: Unpack[Seams]) -> Service:
    """Put the service together. Without `limits`, those of the settings apply to all tenants."""
    seams.setdefault("limits", LimitRegistry(default_limits(settings)))
    seams.setdefault("metrics", Metrics(now=seams["clock"].now))
    _observe(seams, seams["metrics"])
    least_rate = settings.min_upload_bytes_per_second
    keys, lease = settings.sealing_key_bytes(), settings.lease_seconds
    deps = make_deps(keys, lease, least_rate=least_rate, **seams)
    coordinator = Coordinator(deps)
    tokens = UploadTokenAuthenticator(deps.upload_tokens, deps.clock)
    identity = build_identity(settings, deps.clock, first=[tokens])
    server = build_server(settings, deps, coordinator, identity, share_port=share_port)
    return Service(
        server=server,
        janitor=Janitor(deps, coordinator),
        sweeper=Sweeper(deps, grace=timedelta(seconds=settings.sweep_grace_seconds)),
        tasks=deps.tasks,
        metrics=deps.metrics,
        identity=identity,
        readiness=Readiness(WATCHED[settings.readiness], deps, report=server.set_ready),
        clocks=ClockCheck(deps),
    )
