"""The service's metrics, for Prometheus (https://prometheus.io/docs/concepts/metric_types/).

They are served in the event loop, at /metrics of an address of their own, for callers have no
business there. Labels hold only what operators write and what the code names: no caller can make
another time series.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from enum import StrEnum

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import choose_encoder

OK = "OK"


class DeliveryOutcome(StrEnum):
    """What came of one try to deliver an event: DEAD was given up, be it sent or not."""

    DELIVERED = "delivered"
    RETRIED = "retried"
    DEAD = "dead"


class Metrics:
    """What one process counts. `registry` is its own, so that two services do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._via_service_bytes = Counter(
            "partway_via_service_bytes",
            "Bytes of parts that passed through the service to storage, in failed tries too.",
            ["policy"],
            registry=self.registry,
        )
        self._via_service_parts = Counter(
            "partway_via_service_parts",
            "Parts through the service that ended, by outcome: OK, or the name of the error.",
            ["policy", "outcome"],
            registry=self.registry,
        )
        self._via_service_in_progress = Gauge(
            "partway_via_service_in_progress",
            "Parts that are passing through the service.",
            registry=self.registry,
        )
        self._webhook_deliveries = Counter(
            "partway_webhook_deliveries",
            "Tries to deliver an event, by outcome: delivered, retried later, or dead: given up.",
            ["webhook", "outcome"],
            registry=self.registry,
        )
        self._webhook_oldest_event = Gauge(
            "partway_webhook_oldest_event_age_seconds",
            "Age of the oldest event that this process is to deliver; 0 if there is none.",
            ["webhook"],
            registry=self.registry,
        )
        self._webhook_dead_letters = Gauge(
            "partway_webhook_dead_letters",
            "Dead letters that are kept, in the shards that this process works.",
            ["webhook"],
            registry=self.registry,
        )
        self._webhook_shards_away = Gauge(
            "partway_webhook_shards_away",
            "Shards that do not answer this process, of 64; their events wait.",
            registry=self.registry,
        )

    @contextlib.contextmanager
    def part_via_service(self, policy: str) -> Iterator[None]:
        """Count a part that passes in the block, and how it ended."""
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
        """Count bytes that storage has taken off us."""
        self._via_service_bytes.labels(policy).inc(size_bytes)

    def webhook(
        self, name: str, *, oldest_age_seconds: Callable[[], float], letters: Callable[[], float]
    ) -> None:
        """Tell of a webhook, from now on. It is asked when somebody looks, so that no figure is old
        because work has stopped.
        """
        self._webhook_oldest_event.labels(name).set_function(oldest_age_seconds)
        self._webhook_dead_letters.labels(name).set_function(letters)
        for outcome in DeliveryOutcome:
            # There from the start: a rate needs a zero to begin at.
            self._webhook_deliveries.labels(name, outcome)

    def shards_away(self, number: Callable[[], float]) -> None:
        """Tell how many shards are away, from now on."""
        self._webhook_shards_away.set_function(number)

    def webhook_tried(self, name: str, outcome: DeliveryOutcome) -> None:
        """Count a try to deliver an event."""
        self._webhook_deliveries.labels(name, outcome).inc()


@contextlib.asynccontextmanager
async def serving(metrics: Metrics, host: str, port: int) -> AsyncIterator[int]:
    """Serve `metrics` in the block; yields the port. Raises OSError if it cannot be had."""

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
