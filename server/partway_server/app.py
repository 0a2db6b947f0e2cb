"""The composition root: the only place that constructs. Starts, drains, stops.

The order at the end matters. First the health service says NOT_SERVING, watches end, and load
balancers get `drain_seconds` to see it. Then no more calls are taken. Those in progress and, after
them, the detached tasks, which may be in the middle of a Complete, share `grace_seconds`. Only then
do the connections to storage and Redis go.
"""

import asyncio
import contextlib
import logging
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from partway_server.buckets import bucket_problems, places
from partway_server.clock import Clock, SystemClock
from partway_server.composing import Composer
from partway_server.configured import open_backend, read_policy_file
from partway_server.coordinator import ORPHAN_URL_SECONDS, Coordinator
from partway_server.errors import SessionsUnavailable
from partway_server.events.base import Telling
from partway_server.events.courier import Courier
from partway_server.events.delivery_store import DeliveryStore
from partway_server.events.dispatcher import Dispatcher
from partway_server.events.resubscribing import Resubscriber
from partway_server.events.webhook import HttpSender
from partway_server.events.webhook_rules import Webhook, load_webhooks
from partway_server.findings import Report
from partway_server.janitor import BATCH, Janitor
from partway_server.live import LivePolicies
from partway_server.loading import Loader
from partway_server.marks import Marks
from partway_server.objects.base import Objects
from partway_server.objects.routed import RoutedObjects
from partway_server.observe import Metrics, serving
from partway_server.opening import Opener
from partway_server.policy_file import PolicyFileError, Rules
from partway_server.reloading import Reloader, Unusable
from partway_server.rpc.identity import Identity
from partway_server.rpc.interceptors import Admission, Boundary
from partway_server.rpc.server import RpcServer
from partway_server.rpc.servicer import UploadServicer
from partway_server.sealing import Sealer
from partway_server.sessions.base import Sessions
from partway_server.sessions.redis import RedisSessions
from partway_server.sessions.redis_servers import connect
from partway_server.settings import Settings
from partway_server.settling import LONGEST_PUT, Settler, Sleep
from partway_server.sweeping import Sweeper
from partway_server.tasks import Tasks
from partway_server.watching import Watching

Over = Callable[[Sessions, Objects], tuple[Sessions, Objects]]
"""Puts something around the two open stores, such as what counts their calls."""

logger = logging.getLogger(__name__)


class StartError(Exception):
    """The service cannot start, for the reasons in its text: a line each, for an operator."""


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that runs, built and not yet started."""

    server: RpcServer
    janitor: Janitor
    sweeper: Sweeper
    tasks: Tasks
    metrics: Metrics


def build(
    settings: Settings,
    *,
    policies: LivePolicies,
    sessions: Sessions,
    objects: Objects,
    clock: Clock,
    sleep: Sleep = asyncio.sleep,
    random_bytes: Callable[[int], bytes] = os.urandom,
    share_port: bool = False,
) -> Service:
    """Put the service together over its two stores."""
    tasks, metrics = Tasks(), Metrics()
    lease = timedelta(seconds=settings.lease_seconds)
    orphan_url = timedelta(seconds=ORPHAN_URL_SECONDS)
    sealer = Sealer(settings.sealing_key_bytes())
    marks = Marks(settings.sealing_key_bytes())
    settler = Settler(
        sessions=sessions,
        objects=objects,
        clock=clock,
        sleep=sleep,
        lease=lease,
        tombstone=lambda: max(policies.longest_url(), orphan_url) + LONGEST_PUT,
    )
    opener = Opener(
        policies=policies,
        marks=marks,
        sessions=sessions,
        objects=objects,
        clock=clock,
        random_bytes=random_bytes,
        lease=lease,
    )
    loader = Loader(
        sealer=sealer,
        sessions=sessions,
        objects=objects,
        settler=settler,
        clock=clock,
        lease=lease,
    )
    composer = Composer(
        sealer=sealer,
        sessions=sessions,
        objects=objects,
        opener=opener,
        loader=loader,
        settler=settler,
        tasks=tasks,
        clock=clock,
        sleep=sleep,
        lease=lease,
    )
    coordinator = Coordinator(
        policies=policies,
        sealer=sealer,
        sessions=sessions,
        objects=objects,
        opener=opener,
        composer=composer,
        loader=loader,
        settler=settler,
        watching=Watching(sessions=sessions, sleep=sleep),
        tasks=tasks,
        clock=clock,
        sleep=sleep,
        lease=lease,
        metrics=metrics,
    )
    servicer = UploadServicer(
        coordinator=coordinator,
        policies=policies,
        identity=Identity(trust_metadata=settings.identity == "metadata"),
        timeout_seconds=settings.call_timeout_seconds,
    )
    server = RpcServer(
        servicer=servicer,
        boundary=Boundary(timeout_seconds=settings.call_timeout_seconds, random_bytes=random_bytes),
        admission=Admission(
            max_calls=settings.max_concurrent_calls,
            max_watchers=settings.max_watchers,
            max_client_streams=settings.max_via_service,
        ),
        reflect=settings.reflection,
        share_port=share_port,
        max_calls=settings.max_concurrent_calls + settings.max_watchers,
    )
    janitor = Janitor(
        sessions=sessions,
        settler=settler,
        composer=composer,
        tasks=tasks,
        clock=clock,
        lease=lease,
    )
    sweeper = Sweeper(
        policies=policies,
        marks=marks,
        sessions=sessions,
        objects=objects,
        clock=clock,
        random_bytes=random_bytes,
        grace=timedelta(seconds=settings.sweep_grace_seconds),
    )
    return Service(server, janitor, sweeper, tasks, metrics)


async def run(
    settings: Settings,
    *,
    stop: asyncio.Event,
    reload: asyncio.Event | None = None,
    started: Callable[[int], None] | None = None,
    share_port: bool = False,
    over: Over | None = None,
    clock: Clock | None = None,
) -> None:
    """Serve until `stop` is set, then drain; `started` is told the port.

    Whenever `reload` is set, the files of policies and webhooks are read anew.
    With `share_port`, other processes may listen on the same one. `over` is put around the stores
    once they were checked. A `clock` stands in for the machine's and for that of Redis.

    Raises StartError.
    """
    rules = _rules(settings)
    webhooks = _webhooks(settings)
    policies = LivePolicies(rules.policies)
    async with contextlib.AsyncExitStack() as opened:
        sessions, routed = await opened.enter_async_context(_stores(settings, rules, clock))
        await _check_sessions(sessions)
        if problems := await bucket_problems(routed, [*places(rules.policies.values())]):
            raise StartError("\n".join(problems))
        objects: Objects = routed
        if over is not None:
            sessions, objects = over(sessions, objects)
        reloader = Reloader(
            rules=rules,
            read=lambda: read_policy_file(settings),
            open_backend=lambda backend: open_backend(backend, settings),
            policies=policies,
            objects=routed,
        )
        service = build(
            settings,
            policies=policies,
            sessions=sessions,
            objects=objects,
            clock=clock or SystemClock(),
            share_port=share_port,
        )
        dispatcher, resubscriber = await opened.enter_async_context(
            _dispatcher(settings, webhooks, service=service, clock=clock)
        )
        beside = [
            reloader.run(reload or asyncio.Event(), *([resubscriber.reload] if webhooks else [])),
            service.janitor.run(settings.janitor_seconds, stop),
            service.sweeper.run(settings.sweep_seconds, stop),
        ]
        if webhooks:
            beside.append(dispatcher.run(stop))
        async with _metrics_served(settings, service.metrics):
            await _until(stop, service, settings, beside, started)
    logger.info("stopped")


async def _until(
    stop: asyncio.Event,
    service: Service,
    settings: Settings,
    beside: Sequence[Coroutine[Any, Any, None]],
    started: Callable[[int], None] | None,
) -> None:
    """Serve until `stop` is set, with what runs `beside` it, then drain."""
    running: list[asyncio.Task[None]] = []
    try:
        port = await _listening(service, settings)
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
        await finish(service, settings.grace_seconds)


async def _listening(service: Service, settings: Settings) -> int:
    try:
        port = service.server.bind(settings.address)
    except RuntimeError as error:
        raise StartError(
            f"cannot listen on {settings.address}: it is taken or not ours;"
            " choose another with PARTWAY_ADDRESS or --address"
        ) from error
    await service.server.start()
    logger.info("serving on %s:%d", settings.host, port)
    return port


@contextlib.asynccontextmanager
async def _dispatcher(
    settings: Settings, webhooks: Sequence[Webhook], *, service: Service, clock: Clock | None
) -> AsyncIterator[tuple[Dispatcher, Resubscriber]]:
    """What delivers to webhooks, and what reads them anew.

    Use it around the tasks' end: then its shards are given back.
    """
    time_of_day = clock or SystemClock()
    lease = timedelta(seconds=settings.lease_seconds)
    async with contextlib.AsyncExitStack() as opened:
        store = DeliveryStore(
            connect(settings.redis_url, max_connections=16), owner=secrets.token_hex(8), clock=clock
        )
        opened.push_async_callback(store.aclose)
        service.metrics.shards_away(lambda: len(store.away))

        def open_sender(webhook: Webhook) -> HttpSender:
            sender = HttpSender(webhook, clock=time_of_day)
            opened.push_async_callback(sender.aclose)
            return sender

        dispatcher = Dispatcher(store=store, clock=time_of_day, lease=lease)
        resubscriber = Resubscriber(
            read=lambda: load_webhooks(Path(settings.webhook_file), os.environ),
            open_sender=open_sender,
            open_courier=lambda webhook, sender: Courier(
                webhook,
                store=store,
                sender=sender,
                tasks=service.tasks,
                metrics=service.metrics,
                clock=time_of_day,
                sleep=asyncio.sleep,
                chance=random.random,
                new_mark=lambda: secrets.token_hex(8),
                began=time_of_day.now(),
                lease=lease,
            ),
            dispatcher=dispatcher,
        )
        resubscriber.put_in_force(webhooks)
        opened.push_async_callback(dispatcher.leave)
        yield dispatcher, resubscriber


@contextlib.asynccontextmanager
async def _metrics_served(settings: Settings, metrics: Metrics) -> AsyncIterator[None]:
    """Serve the metrics in the block, to its very end, if the settings say where."""
    if not settings.metrics_address:
        yield
        return
    async with contextlib.AsyncExitStack() as served:
        try:
            port = await served.enter_async_context(
                serving(metrics, settings.metrics_host, settings.metrics_port())
            )
        except OSError as error:
            raise StartError(
                f"cannot listen on {settings.metrics_address}: it is taken or not ours;"
                " choose another with PARTWAY_METRICS_ADDRESS or --metrics-address"
            ) from error
        logger.info("metrics on %s:%d", settings.metrics_host, port)
        yield


async def finish(
    service: Service, grace_seconds: float, now: Callable[[], float] = time.monotonic
) -> None:
    """End calls and detached tasks, which share `grace_seconds`."""
    end = now() + grace_seconds
    await service.server.stop(grace_seconds)
    await service.tasks.drain(max(0.0, end - now()))


async def sweep(settings: Settings, *, report: Report, dry_run: bool) -> None:
    """Once what the janitor and the sweeper of a service do all the time; each thing is reported.

    With `dry_run` nothing is changed, and buckets are not probed. Raises StartError, or
    SessionsUnavailable when Redis goes away in the middle.
    """
    rules = _rules(settings)
    async with _stores(settings, rules) as (sessions, objects):
        await _check_sessions(sessions)
        service = build(
            settings,
            policies=LivePolicies(rules.policies),
            sessions=sessions,
            objects=objects,
            clock=SystemClock(),
        )
        try:
            await tidy(service, report=report, dry_run=dry_run)
        finally:
            await service.tasks.drain(settings.grace_seconds)


async def tidy(service: Service, *, report: Report, dry_run: bool) -> None:
    """One pass over what is due and over storage."""
    if dry_run:
        await service.janitor.foresee(report)
    else:
        while len(await service.janitor.sweep(report)) == BATCH:
            pass
    await service.sweeper.sweep(report, dry_run=dry_run)


@contextlib.asynccontextmanager
async def _stores(
    settings: Settings, rules: Rules, clock: Clock | None = None
) -> AsyncIterator[tuple[Sessions, RoutedObjects]]:
    """Both stores, open."""
    async with contextlib.AsyncExitStack() as opened:
        sessions = _sessions(settings, clock)
        opened.push_async_callback(sessions.aclose)
        backends: dict[str, Objects] = {}
        routed = RoutedObjects(backends)
        opened.push_async_callback(routed.aclose)
        for name, backend in rules.backends.items():
            try:
                backends[name] = await open_backend(backend, settings)
            except Unusable as error:
                raise StartError(str(error)) from error
            routed.replace(backends)
        yield sessions, routed


def _sessions(settings: Settings, clock: Clock | None) -> Sessions:
    try:
        return RedisSessions(
            connect(settings.redis_url),
            clock=clock,
            telling=Telling(settings.event_source, timedelta(seconds=settings.event_keep_seconds)),
        )
    except ValueError as error:
        # Its text may hold a piece of the URL, and so of the password.
        raise StartError("PARTWAY_REDIS_URL is not a URL that Redis clients understand") from error


async def _check_sessions(sessions: Sessions) -> None:
    try:
        await sessions.check()
    except ValueError as error:
        raise StartError(str(error)) from error
    except SessionsUnavailable as error:
        raise StartError("Redis does not answer; check PARTWAY_REDIS_URL") from error


def _rules(settings: Settings) -> Rules:
    try:
        return read_policy_file(settings)
    except PolicyFileError as error:
        lines = (f"PARTWAY_POLICY_FILE: {line}" for line in error.lines)
        raise StartError("\n".join(lines)) from error


def _webhooks(settings: Settings) -> Sequence[Webhook]:
    if not settings.webhook_file:
        return ()
    try:
        return load_webhooks(Path(settings.webhook_file), os.environ)
    except (OSError, ValueError) as error:
        raise StartError(f"PARTWAY_WEBHOOK_FILE cannot be used: {error}") from error
