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


class Metrics:
    """The metrics of one process. The `registry` is its own, so that two services do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self._via_service_bytes = counter(
            "partway_via_service_bytes",
            "Bytes of parts sent through the service to storage, including failed attempts.",
            ["policy"],
        )
        self._via_service_parts = counter(
            "partway_via_service_parts",
            "Parts sent through the service that ended, by outcome: OK, or the name of the error.",
            ["policy", "outcome"],
        )
        self._via_service_in_progress = gauge(
            "partway_via_service_in_progress",
            "Parts that are being sent through the service.",
        )
        self._calls_refused = counter(
            "partway_calls_refused",
            "Calls refused as OVERLOADED, by the limit that was reached.",
            ["limit"],
        )
        self._slow_readers_ended = counter(
            "partway_slow_readers_ended",
            "Streams that were ended because their readers took nothing.",
        )
        self._connections_closed = counter(
            "partway_connections_closed",
            "Connections that were closed because their peers read no replies.",
        )
        self._call_limit = gauge(
            "partway_call_limit",
            "Calls that this process works on at a time, at most, by how busy it is.",
        )
        self._calls_in_progress = gauge(
            "partway_calls_in_progress",
            "Calls that are admitted and whose replies are not read yet, without watches.",
        )
        self._unread_reply_bytes = gauge(
            "partway_unread_reply_bytes",
            "Memory of replies that are not read yet.",
        )
        self._webhook_deliveries = counter(
            "partway_webhook_deliveries",
            "Attempts to deliver an event, by outcome: delivered, retried, or dead (given up).",
            ["webhook", "outcome"],
        )
        self._webhook_oldest_event = gauge(
            "partway_webhook_oldest_event_age_seconds",
            "Age of the oldest event that this process has to deliver; 0 if it has none.",
            ["webhook"],
        )
        self._webhook_dead_letters = gauge(
            "partway_webhook_dead_letters",
            "Dead letters in the shards that this process delivers.",
            ["webhook"],
        )
        self._webhook_shards_away = gauge(
            "partway_webhook_shards_away",
            "Shards, of 64, that do not respond to this process; their events wait.",
        )

    @contextlib.contextmanager
    def part_via_service(self, policy: str) -> Iterator[None]:
        """Count the part that the block sends, and its outcome."""
        outcome = OK
        with self._via_service_in_progress.track_inprogress():
            try:
                yield
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                self._via_service_parts.labels(policy, outcome).inc()

    def passed_via_service(self, policy: str, size_bytes: int) -> None:
        """Count bytes that storage has accepted."""
        self._via_service_bytes.labels(policy).inc(size_bytes)

    def load(
        self,
        *,
        call_limit: Callable[[], float],
        calls: Callable[[], float],
        unread_bytes: Callable[[], float],
    ) -> None:
        """Report from now on how many calls are admitted, and what is not read of replies."""
        self._call_limit.set_function(call_limit)
        self._calls_in_progress.set_function(calls)
        self._unread_reply_bytes.set_function(unread_bytes)

    def call_refused(self, limit: str) -> None:
        """Count a call that is refused."""
        self._calls_refused.labels(limit).inc()

    def slow_reader_ended(self) -> None:
        """Count a stream that is ended because its reader takes nothing."""
        self._slow_readers_ended.inc()

    def connections_closed(self, number: int) -> None:
        """Count connections that are closed because their peers read nothing."""
        self._connections_closed.inc(number)

    def webhook(
        self, name: str, *, oldest_age_seconds: Callable[[], float], letters: Callable[[], float]
    ) -> None:
        """Report a webhook from now on.

        The figures are read at each scrape, so that none is stale because work has stopped.
        """
        self._webhook_oldest_event.labels(name).set_function(oldest_age_seconds)
        self._webhook_dead_letters.labels(name).set_function(letters)
        for outcome in DeliveryOutcome:
            # Present from the start: a rate needs an initial zero.
            self._webhook_deliveries.labels(name, outcome)

    def shards_away(self, number: Callable[[], float]) -> None:
        """Report the number of unreachable shards from now on."""
        self._webhook_shards_away.set_function(number)

    def webhook_tried(self, name: str, outcome: DeliveryOutcome) -> None:
        """Count an attempt to deliver an event."""
        self._webhook_deliveries.labels(name, outcome).inc()


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
