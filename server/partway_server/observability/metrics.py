"""The service's metrics, for Prometheus (https://prometheus.io/docs/concepts/metric_types/).

Each group has a module of its own; this one puts them together. Most are fed by decorators over the
seams, so that no use case knows of them.

Label values come only from operators, from the code, and in bounded number from storage: no caller
can create a time series.
"""

import contextlib
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from partway_server.observability.cleanup_metrics import CleanupMetrics
from partway_server.observability.definitions import Definitions, TraceId, no_trace
from partway_server.observability.load_metrics import LoadMetrics
from partway_server.observability.part_metrics import PartMetrics
from partway_server.observability.process_metrics import ProcessMetrics
from partway_server.observability.rpc_metrics import RpcMetrics
from partway_server.observability.store_metrics import RedisMetrics, StorageMetrics
from partway_server.observability.upload_metrics import UploadMetrics
from partway_server.observability.webhook_metrics import DeliveryOutcome, WebhookMetrics


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Metrics:
    """The metrics of one process. The `registry` is its own, so that two services do not mix.

    `tenants` are those that have figures of their own; `trace_id` is where exemplars come from.
    """

    def __init__(
        self,
        *,
        tenants: Collection[str] = (),
        trace_id: TraceId = no_trace,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.registry = CollectorRegistry()
        define = self.definitions = Definitions(self.registry)
        self.rpcs = RpcMetrics(define, trace_id, tenants)
        self.uploads = UploadMetrics(define, now, tenants)
        self._parts = PartMetrics(define)
        self.storage = StorageMetrics(define, trace_id)
        self.redis = RedisMetrics(define, trace_id)
        self.cleanup = CleanupMetrics(define, lambda: now().timestamp())
        self.load = LoadMetrics(define, tenants)
        self._webhooks = WebhookMetrics(define)
        self.process = ProcessMetrics(define)

    def part_via_service(self, policy: str) -> contextlib.AbstractContextManager[None]:
        """Count the part that the block sends, and its outcome."""
        return self._parts.passing(policy)

    def passed_via_service(self, policy: str, size_bytes: int) -> None:
        """Count bytes that storage has accepted."""
        self._parts.passed(policy, size_bytes)

    def call_refused(self, limit: str) -> None:
        """Count a call that is refused."""
        self.load.calls_refused.labels(limit).inc()

    def slow_reader_ended(self) -> None:
        """Count a stream that is ended because its reader takes nothing."""
        self.load.slow_readers_ended.inc()

    def connections_closed(self, number: int) -> None:
        """Count connections that are closed because their peers read nothing."""
        self.load.connections_closed.inc(number)

    def webhook(
        self, name: str, *, oldest_age_seconds: Callable[[], float], letters: Callable[[], float]
    ) -> None:
        """Report a webhook from now on."""
        self._webhooks.webhook(name, oldest_age_seconds=oldest_age_seconds, letters=letters)

    def shards_away(self, number: Callable[[], float]) -> None:
        """Report the number of unreachable shards from now on."""
        self._webhooks.shards_away(number)

    def webhook_tried(self, name: str, outcome: DeliveryOutcome) -> None:
        """Count an attempt to deliver an event."""
        self._webhooks.tried(name, outcome)
