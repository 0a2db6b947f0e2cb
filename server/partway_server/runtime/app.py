"""The lifecycle of a service: start, serve, drain, stop.

Everything is constructed from here: `startup` opens what the settings name, and `wiring` puts the
rest together on top of it.

A start listens first, and reports NOT_SERVING until Redis and storage can be relied on: see
`waiting`. Calls are answered with UNAVAILABLE until then.

The order at the end matters. First the health service reports NOT_SERVING, watches end, and load
balancers get `drain_seconds` to notice. Then no more calls are accepted. Calls in progress and,
after them, the detached tasks, which may be in the middle of a Complete, share `grace_seconds`.
Only then are the connections to storage and Redis closed.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from partway_server.config.backends import Secrets
from partway_server.config.bucket_checks import places
from partway_server.config.credential_watch import CredentialWatch
from partway_server.config.load import open_backend, read_secrets
from partway_server.config.policy_file import PolicyFileError, Rules
from partway_server.config.reload import PolicyReloader, Unusable
from partway_server.config.settings import Settings
from partway_server.config.tenant_limits import default_limits
from partway_server.domain.clock import Clock, SystemClock
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.quota import LimitRegistry
from partway_server.events.dispatcher import WebhookDispatcher
from partway_server.events.webhook_file import Webhook
from partway_server.observability.metrics import Metrics
from partway_server.rpc.protobuf_check import protobuf_problem
from partway_server.rpc.tls import ServerCertificate
from partway_server.runtime.measured_records import Measure, MeasuredRecords
from partway_server.runtime.startup import (
    new_metrics,
    open_dispatcher,
    open_stores,
    read_certificate,
    read_credentials,
    read_rules,
    read_webhooks,
    serve_metrics,
)
from partway_server.runtime.waiting import (
    StartupError,
    unless_set,
    wait_for_stores,
)
from partway_server.runtime.webhook_reload import WebhookReloader
from partway_server.runtime.wiring import Service, build
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Storage
from partway_server.storage.router import StorageRouter

Over = Callable[[SessionStore, Storage], tuple[SessionStore, Storage]]
"""Wraps the two open stores, for example to count their calls."""

_Delivery = tuple[WebhookDispatcher, WebhookReloader]

logger = logging.getLogger(__name__)


async def run(
    settings: Settings,
    *,
    stop: asyncio.Event,
    reload: asyncio.Event | None = None,
    started: Callable[[int], None] | None = None,
    share_port: bool = False,
    metrics_folder: Path | None = None,
    patient: bool = False,
    over: Over | None = None,
    clock: Clock | None = None,
    measure: Measure | None = None,
) -> None:
    """Serve until `stop` is set, then drain. `started` is called with the port.

    A `patient` start waits, not ready, for Redis and storage that are away; otherwise that is a
    StartupError too. Whenever `reload` is set, the policy and webhook files are reloaded. With
    `share_port`, other processes may listen on the same port, and with `metrics_folder`, where they
    find each other, they have their metrics in common. `over` wraps the stores that the service
    works with. A `clock` replaces that of the machine and that of Redis. `measure` is for backends
    of the kind `auto`, which are used as `generic` without it. Raises StartupError.
    """
    loaded = _read_configuration(settings, clock or SystemClock())
    metrics = new_metrics(settings, clock or SystemClock())
    async with open_stores(settings, loaded.rules, loaded.secrets, clock, metrics) as (
        sessions,
        routed,
    ):
        above = over(sessions, routed) if over else (sessions, routed)
        service = build(
            settings,
            policies=loaded.policies,
            limits=loaded.limits,
            sessions=above[0],
            storage=above[1],
            clock=clock or SystemClock(),
            metrics=metrics,
            share_port=share_port,
        )
        reloader = _reloader(settings, loaded, routed, metrics, measure)

        async def wait() -> None:
            await wait_for_stores(
                service,
                sessions,
                routed,
                [*places(loaded.rules.policies.values())],
                patient=patient,
                # A clock that was passed in differs from the others on purpose.
                clocks=clock is None,
            )
            await _measure(loaded.rules, reloader)

        async with open_dispatcher(
            settings, loaded.webhooks, service.tasks, metrics, service.outages, clock
        ) as delivery:
            if (certificate := loaded.certificate) is not None:
                metrics.process.certificate("server", lambda: certificate.facts.expire_time)
            async with serve_metrics(settings, metrics, metrics_folder):
                # Here: if the metrics cannot be served, no coroutine may be left unawaited.
                beside = _background(service, settings, stop, loaded, delivery)
                beside.append(_reload(reloader, loaded, service, delivery, reload))
                await _serve_until(
                    stop, service, settings, loaded.certificate, wait, beside, started
                )
    logger.info("stopped")


@dataclass(frozen=True, slots=True)
class _Configuration:
    """What the settings name, read at the start. A reload replaces what is in the registries."""

    rules: Rules
    secrets: Mapping[str, Secrets]
    webhooks: Sequence[Webhook]
    certificate: ServerCertificate | None
    policies: PolicyRegistry
    limits: LimitRegistry


def _read_configuration(settings: Settings, clock: Clock) -> _Configuration:
    """Read the files that the settings name. Raises StartupError."""
    if problem := protobuf_problem():
        raise StartupError(problem)
    rules, webhooks = read_rules(settings), read_webhooks(settings)
    certificate = read_certificate(settings, clock)
    return _Configuration(
        rules=rules,
        secrets=read_credentials(settings, rules),
        webhooks=webhooks,
        certificate=certificate,
        policies=PolicyRegistry(rules.policies),
        limits=LimitRegistry(default_limits(settings), rules.limits),
    )


def _reloader(
    settings: Settings,
    loaded: _Configuration,
    storage: StorageRouter,
    metrics: Metrics,
    measure: Measure | None,
) -> PolicyReloader:
    return PolicyReloader(
        rules=loaded.rules,
        secrets=loaded.secrets,
        read=MeasuredRecords(settings, measure).read_rules,
        read_secrets=lambda backend: read_secrets(backend, settings),
        open_backend=partial(open_backend, client=settings.s3_client, metrics=metrics.storage),
        policies=loaded.policies,
        limits=loaded.limits,
        storage=storage,
    )


async def _measure(rules: Rules, reloader: PolicyReloader) -> None:
    """Put the rules in force as measured, if backends need that. Raises StartupError."""
    if not any(backend.is_unmeasured for backend in rules.backends.values()):
        return
    try:
        await reloader.apply()
    except (Unusable, PolicyFileError) as error:
        raise StartupError("\n".join(error.lines)) from error


async def _reload(
    reloader: PolicyReloader,
    loaded: _Configuration,
    service: Service,
    delivery: _Delivery,
    asked: asyncio.Event | None,
) -> None:
    """Reload the files whenever `asked` is set, and credentials when they change, for ever."""
    also = [service.identity.reload, *([delivery[1].reload] if loaded.webhooks else [])]
    async with asyncio.TaskGroup() as group:
        group.create_task(reloader.run(asked or asyncio.Event(), *also))
        group.create_task(CredentialWatch(reloader).run())


def _background(
    service: Service,
    settings: Settings,
    stop: asyncio.Event,
    loaded: _Configuration,
    delivery: _Delivery,
) -> list[Coroutine[Any, Any, None]]:
    """Return what runs beside the server: checks, clean-up, and the delivery of webhooks if any."""
    work = [
        service.identity.warm_up(),
        service.readiness.run(),
        service.outages.run(),
        service.clocks.run(),
        service.janitor.run(settings.janitor_seconds, stop),
        service.sweeper.run(settings.sweep_seconds, stop),
    ]
    if loaded.webhooks:
        work.append(delivery[0].run(stop))
    if loaded.certificate is not None:
        work.append(loaded.certificate.watch())
    return work


async def _serve_until(
    stop: asyncio.Event,
    service: Service,
    settings: Settings,
    certificate: ServerCertificate | None,
    wait: Callable[[], Coroutine[Any, Any, None]],
    beside: Sequence[Coroutine[Any, Any, None]],
    started: Callable[[int], None] | None,
) -> None:
    """Listen, `wait`, and serve until `stop` is set, with what runs `beside` it; then drain."""
    running: list[asyncio.Task[None]] = []
    try:
        port = await _listen(service, settings, certificate)
        if not await unless_set(stop, wait()):
            return
        await service.server.open()
        how = "" if certificate is None else " with TLS"
        logger.info("serving on %s:%d%s", settings.host, port, how)
        if started is not None:
            started(port)
        running += map(asyncio.create_task, beside)
        await stop.wait()
        logger.info("draining")
        await service.server.leave()
        await asyncio.sleep(settings.drain_seconds)
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        else:
            for each in beside:
                each.close()
        await finish(service, settings.grace_seconds if running else 0.0)


async def _listen(
    service: Service, settings: Settings, certificate: ServerCertificate | None
) -> int:
    """Begin to listen, not ready yet, and return the port. Raises StartupError."""
    try:
        port = service.server.bind(settings.address, certificate)
    except RuntimeError as error:
        raise StartupError(
            f"cannot listen on {settings.address}: port taken, or not a local address;"
            " choose another with PARTWAY_ADDRESS or --address"
        ) from error
    await service.server.start(ready=False)
    return port


async def finish(
    service: Service, grace_seconds: float, now: Callable[[], float] = time.monotonic
) -> None:
    """End calls and detached tasks, which share `grace_seconds`."""
    end = now() + grace_seconds
    await service.server.stop(grace_seconds)
    await service.tasks.drain(max(0.0, end - now()))
