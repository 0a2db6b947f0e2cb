"""The service's metrics, for Prometheus (https://prometheus.io/docs/concepts/metric_types/).

They are served in the event loop, at /metrics of a separate address, because callers must not see
them. Label values come only from operators and from the code: no caller can create a time series.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from enum import StrEnum
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import choose_encoder

OK = "OK"


class DeliveryOutcome(StrEnum):
    """The outcome of one attempt to deliver an event. DEAD means given up, whether sent or not."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    DEAD = "dead"


class _PartMetrics:
    """The metrics of parts that pass through the service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        self.bytes = counter(
            "partway_via_service_bytes",
            "Bytes of parts sent through the service to storage, including failed attempts.",
            ["policy"],
        )
        self.ended = counter(
            "partway_via_service_parts",
            "Parts sent through the service that ended, by outcome: OK, or the name of the error.",
            ["policy", "outcome"],
        )
        self.in_progress = gauge(
            "partway_via_service_in_progress",
            "Parts that are being sent through the service.",
        )


class _LoadMetrics:
    """The metrics of calls: how many are worked on, and what was refused or ended."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        self.calls_refused = counter(
            "partway_calls_refused",
            "Calls refused as OVERLOADED, by the limit that was reached.",
            ["limit"],
        )
        self.slow_readers_ended = counter(
            "partway_slow_readers_ended",
            "Streams that were ended because their readers took nothing.",
        )
        self.connections_closed = counter(
            "partway_connections_closed",
            "Connections that were closed because their peers read no replies.",
        )
        self.call_limit = gauge(
            "partway_call_limit",
            "Calls that this process works on at a time, at most, by how busy it is.",
        )
        self.calls_in_progress = gauge(
            "partway_calls_in_progress",
            "Calls that are admitted and whose replies are not read yet, without watches.",
        )
        self.unread_reply_bytes = gauge(
            "partway_unread_reply_bytes",
            "Memory of replies that are not read yet.",
        )


class _WebhookMetrics:
    """The metrics of deliveries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        self.deliveries = counter(
            "partway_webhook_deliveries",
            "Attempts to deliver an event, by outcome: delivered, retried, or dead (given up).",
            ["webhook", "outcome"],
        )
        self.oldest_event = gauge(
            "partway_webhook_oldest_event_age_seconds",
            "Age of the oldest event that this process has to deliver; 0 if it has none.",
            ["webhook"],
        )
        self.dead_letters = gauge(
            "partway_webhook_dead_letters",
            "Dead letters in the shards that this process delivers.",
            ["webhook"],
        )
        self.shards_away = gauge(
            "partway_webhook_shards_away",
            "Shards, of 64, that do not respond to this process; their events wait.",
        )


class Metrics:
    """The metrics of one process. The `registry` is its own, so that two services do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._parts = _PartMetrics(self.registry)
        self._load = _LoadMetrics(self.registry)
        self._webhooks = _WebhookMetrics(self.registry)

    @contextlib.contextmanager
    def part_via_service(self, policy: str) -> Iterator[None]:
        """Count the part that the block sends, and its outcome."""
        outcome = OK
        with self._parts.in_progress.track_inprogress():
            try:
                yield
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                self._parts.ended.labels(policy, outcome).inc()

    def passed_via_service(self, policy: str, size_bytes: int) -> None:
        """Count bytes that storage has accepted."""
        self._parts.bytes.labels(policy).inc(size_bytes)

    def load(
        self,
        *,
        call_limit: Callable[[], float],
        calls: Callable[[], float],
        unread_bytes: Callable[[], float],
    ) -> None:
        """Report from now on how many calls are admitted, and what is not read of replies."""
        self._load.call_limit.set_function(call_limit)
        self._load.calls_in_progress.set_function(calls)
        self._load.unread_reply_bytes.set_function(unread_bytes)

    def call_refused(self, limit: str) -> None:
        """Count a call that is refused."""
        self._load.calls_refused.labels(limit).inc()

    def slow_reader_ended(self) -> None:
        """Count a stream that is ended because its reader takes nothing."""
        self._load.slow_readers_ended.inc()

    def connections_closed(self, number: int) -> None:
        """Count connections that are closed because their peers read nothing."""
        self._load.connections_closed.inc(number)

    def webhook(
        self, name: str, *, oldest_age_seconds: Callable[[], float], letters: Callable[[], float]
    ) -> None:
        """Report a webhook from now on.

        The figures are read at each scrape, so that none is stale because work has stopped.
        """
        self._webhooks.oldest_event.labels(name).set_function(oldest_age_seconds)
        self._webhooks.dead_letters.labels(name).set_function(letters)
        for outcome in DeliveryOutcome:
            # Present from the start: a rate needs an initial zero.
            self._webhooks.deliveries.labels(name, outcome)

    def shards_away(self, number: Callable[[], float]) -> None:
        """Report the number of unreachable shards from now on."""
        self._webhooks.shards_away.set_function(number)

    def webhook_tried(self, name: str, outcome: DeliveryOutcome) -> None:
        """Count an attempt to deliver an event."""
        self._webhooks.deliveries.labels(name, outcome).inc()


@contextlib.asynccontextmanager
async def serving(metrics: Metrics, host: str, port: int) -> AsyncIterator[int]:
    """Serve `metrics` in the block; yields the port. Raises OSError if it is not available."""

    async def answer(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = encode(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
