"""Reads and opens what a service needs to start, as the settings say, and closes it at the end.

Whatever is missing or invalid is a StartupError, in words for an operator.
"""

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from secrets import token_hex

from prometheus_client.registry import Collector

from partway_server.config.backends import Secrets
from partway_server.config.certificate_files import CertificateFileError, CertificateFiles
from partway_server.config.load import open_backend, read_policy_file, read_secrets
from partway_server.config.policy_file import PolicyFileError, Rules
from partway_server.config.reload import Unusable
from partway_server.config.settings import Settings
from partway_server.domain.clock import Clock, SystemClock
from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.events import EventComposer
from partway_server.events.delivery_queue import DeliveryQueue
from partway_server.events.dispatcher import WebhookDispatcher
from partway_server.events.webhook_file import Webhook, WebhookFileError, load_webhooks
from partway_server.events.webhook_sender import HttpSender, Sender
from partway_server.events.webhook_worker import WebhookWorker
from partway_server.observability.fleet import FleetMember
from partway_server.observability.metrics import Metrics
from partway_server.observability.serving import serving
from partway_server.observability.store_metrics import RedisMetrics
from partway_server.redis_client.topology import connect
from partway_server.rpc.tls import ServerCertificate
from partway_server.runtime.webhook_reload import WebhookReloader
from partway_server.sessions.base import SessionStore
from partway_server.sessions.redis_store import RedisSessionStore
from partway_server.storage.base import Storage
from partway_server.storage.router import StorageRouter
from partway_server.workflow.background_tasks import Tasks

logger = logging.getLogger(__name__)


class StartupError(Exception):
    """The service cannot start. The text has the reasons, one per line, for an operator."""


def read_rules(settings: Settings) -> Rules:
    """Read the policies and backends. Raises StartupError."""
    try:
        return read_policy_file(settings)
    except PolicyFileError as error:
        lines = (f"PARTWAY_POLICY_FILE: {line}" for line in error.lines)
        raise StartupError("\n".join(lines)) from error


def read_webhooks(settings: Settings) -> Sequence[Webhook]:
    """Read the webhooks, if the settings name a file of them. Raises StartupError."""
    if not settings.webhook_file:
        return ()
    try:
        return load_webhooks(Path(settings.webhook_file), os.environ)
    except WebhookFileError as error:
        lines = (f"PARTWAY_WEBHOOK_FILE: {line}" for line in error.lines)
        raise StartupError("\n".join(lines)) from error


def read_certificate(settings: Settings, clock: Clock) -> ServerCertificate | None:
    """Read the server's certificate, if the settings name one. Raises StartupError."""
    files = CertificateFiles.of_settings(settings)
    try:
        return None if files is None else ServerCertificate(files, clock)
    except CertificateFileError as error:
        raise StartupError(str(error)) from error


def read_credentials(settings: Settings, rules: Rules) -> dict[str, Secrets]:
    """Read the credentials of each backend. Raises StartupError."""
    try:
        return {name: read_secrets(each, settings) for name, each in rules.backends.items()}
    except Unusable as error:
        raise StartupError(str(error)) from error


def new_metrics(settings: Settings, clock: Clock) -> Metrics:
    """Return the metrics of a process, with figures of the tenants that the settings name."""
    names = (name.strip() for name in settings.metrics_tenants.split(","))
    return Metrics(tenants=[name for name in names if name], now=clock.now)


@contextlib.asynccontextmanager
async def open_stores(
    settings: Settings,
    rules: Rules,
    secrets: Mapping[str, Secrets],
    clock: Clock | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[tuple[SessionStore, StorageRouter]]:
    """Open the session store and the storage backends. Raises StartupError."""
    async with contextlib.AsyncExitStack() as opened:
        metrics = metrics or Metrics()
        sessions = _sessions(settings, clock, metrics.redis)
        opened.push_async_callback(sessions.aclose)
        backends: dict[str, Storage] = {}
        routed = StorageRouter(backends)
        opened.push_async_callback(routed.aclose)
        for name, backend in rules.backends.items():
            try:
                backends[name] = await open_backend(
                    backend, secrets[name], settings.s3_client, metrics.storage
                )
            except Unusable as error:
                raise StartupError(str(error)) from error
            routed.replace(backends)
        metrics.process.credentials(routed.credentials_ends)
        yield sessions, routed


def _sessions(settings: Settings, clock: Clock | None, metrics: RedisMetrics) -> SessionStore:
    try:
        return RedisSessionStore(
            connect(settings.redis_url),
            clock=clock,
            composer=EventComposer(
                settings.event_source, timedelta(seconds=settings.event_keep_seconds)
            ),
            retried=metrics.retried,
        )
    except ValueError as error:
        # The text of the error may contain part of the URL, and so of the password.
        raise StartupError("PARTWAY_REDIS_URL is not a valid Redis URL") from error


async def check_sessions(sessions: SessionStore) -> None:
    """Check that Redis can be reached and relied on. Raises StartupError."""
    try:
        await sessions.check()
    except ValueError as error:
        raise StartupError(str(error)) from error
    except SessionsUnavailable as error:
        raise StartupError(
            "Redis does not answer, or serves no one now; check PARTWAY_REDIS_URL,"
            " or run partway-server doctor --only redis"
        ) from error


@contextlib.asynccontextmanager
async def open_dispatcher(
    settings: Settings,
    webhooks: Sequence[Webhook],
    tasks: Tasks,
    metrics: Metrics,
    clock: Clock | None,
) -> AsyncIterator[tuple[WebhookDispatcher, WebhookReloader]]:
    """Open what delivers to webhooks, and what reloads their file.

    The tasks must end inside the block: leaving it releases the shards.
    """
    time_of_day = clock or SystemClock()
    lease = timedelta(seconds=settings.lease_seconds)
    async with contextlib.AsyncExitStack() as opened:
        store = DeliveryQueue(
            connect(settings.redis_url, max_connections=16), owner=token_hex(8), clock=clock
        )
        opened.push_async_callback(store.aclose)
        metrics.shards_away(lambda: len(store.away))

        def open_sender(webhook: Webhook) -> HttpSender:
            sender = HttpSender(webhook, clock=time_of_day)
            opened.push_async_callback(sender.aclose)
            return sender

        dispatcher = WebhookDispatcher(store=store, clock=time_of_day, lease=lease)
        reloader = WebhookReloader(
            read=lambda: load_webhooks(Path(settings.webhook_file), os.environ),
            open_sender=open_sender,
            open_worker=_worker_factory(store, tasks, metrics, time_of_day, lease),
            dispatcher=dispatcher,
        )
        reloader.apply(webhooks)
        opened.push_async_callback(dispatcher.release)
        yield dispatcher, reloader


def _worker_factory(
    store: DeliveryQueue, tasks: Tasks, metrics: Metrics, clock: Clock, lease: timedelta
) -> Callable[[Webhook, Sender], WebhookWorker]:
    """Return what makes the worker of a webhook."""
    return lambda webhook, sender: WebhookWorker(
        webhook,
        store=store,
        sender=sender,
        tasks=tasks,
        metrics=metrics,
        clock=clock,
        sleep=asyncio.sleep,
        chance=random.random,
        new_mark=lambda: token_hex(8),
        began=clock.now(),
        lease=lease,
    )


@contextlib.asynccontextmanager
async def serve_metrics(
    settings: Settings, metrics: Metrics, folder: Path | None = None
) -> AsyncIterator[None]:
    """Serve the metrics to the very end of the block, if the settings name an address.

    With a `folder`, they are those of all workers that share it. Raises StartupError.
    """
    if not settings.metrics_address:
        yield
        return

    async def gather() -> Collector:
        return metrics.registry

    async with contextlib.AsyncExitStack() as served:
        if folder is not None:
            member = FleetMember(folder, metrics.registry, metrics.definitions.joined)
            await served.enter_async_context(member.answering())
            gather = member.gather
        shared = folder is not None
        try:
            port = await served.enter_async_context(
                serving(gather, settings.metrics_host, settings.metrics_port, share_port=shared)
            )
        except OSError as error:
            raise StartupError(
                f"cannot listen on {settings.metrics_address}: port taken, or not a local address;"
                " choose another with PARTWAY_METRICS_ADDRESS or --metrics-address"
            ) from error
        logger.info("metrics on %s:%d", settings.metrics_host, port)
        yield
