"""Define metrics in one place: what Prometheus gets, and what docs/reference/metrics.md says.

Each group of metrics defines its own through Definitions, which notes how the figures of several
workers are joined: counters and histograms add up, and a gauge says how in `joined`.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

# A series more for each of a counter: no one reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]

T = TypeVar("T", bound=MetricWrapperBase)

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Bounds, in seconds, for what takes a round trip in a data centre."""

CALLS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds for calls, which may wait for storage."""

STORAGE = (
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    120.0,
    900.0,
)
"""Bounds for storage, which may take 15 minutes to join parts."""

UPLOADS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0, 604800.0)
"""Bounds for whole uploads."""

OTHER = "other"
"""Stands in a label for values past the bound on how many there may be."""


class Joined(StrEnum):
    """How the values of one gauge in several workers become one."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric, as the reference shows it. `name` is that of its family."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    joined: Joined
    group: str


class Definitions:
    """Creates metrics in `registry`, and keeps their definitions in order."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._all: dict[str, Definition] = {}
        self._group = ""

    def __iter__(self) -> Iterator[Definition]:
        return iter(self._all.values())

    def begin(self, group: str) -> None:
        """Put what is defined from now on under this heading."""
        self._group = group

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Create a counter; Prometheus sees it with `_total` at the end."""
        self._define(f"{name}_total", "counter", text, labels, Joined.SUM)
        return Counter(name, text, labels, registry=self.registry)

    def gauge(
        self, name: str, text: str, labels: Sequence[str] = (), *, joined: Joined = Joined.SUM
    ) -> Gauge:
        """Create a gauge."""
        self._define(name, "gauge", text, labels, joined)
        return Gauge(name, text, labels, registry=self.registry)

    def histogram(
        self, name: str, text: str, labels: Sequence[str] = (), *, buckets: Sequence[float]
    ) -> Histogram:
        """Create a histogram."""
        self._define(name, "histogram", text, labels, Joined.SUM)
        return Histogram(name, text, labels, registry=self.registry, buckets=buckets)

    def foreign(
        self,
        name: str,
        kind: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        joined: Joined = Joined.SUM,
    ) -> None:
        """Note a metric that another collector creates."""
        self._define(name, kind, text, labels, joined)

    def joined(self, sample: str) -> Joined:
        """Return how samples of this name become one; sums where nothing else is defined."""
        found = self._all.get(sample)
        return found.joined if found else Joined.SUM

    def _define(
        self, name: str, kind: str, text: str, labels: Sequence[str], joined: Joined
    ) -> None:
        self._all[name] = Definition(name, kind, text, tuple(labels), joined, self._group)


class Children(Generic[T]):
    """The children of a metric by their label values, found without prometheus_client's checks.

    At most `most` are created; then `other` takes the place of each value, so that nothing that
    a caller or a store sends can create time series without end.
    """

    def __init__(self, metric: T, *, most: int = 1000) -> None:
        self._metric = metric
        self._most = most
        self._children: dict[Hashable, T] = {}

    def __call__(self, *values: str) -> T:
        """Return the child of these label values."""
        child = self._children.get(values)
        return child if child is not None else self._create(values)

    def _create(self, values: tuple[str, ...]) -> T:
        if len(self._children) >= self._most:
            values = (OTHER,) * len(values)
        child = self._metric.labels(*values)
        self._children[values] = child
        return child


TraceId = Callable[[], str]
"""Returns the ID of the current trace, "" without one."""


def no_trace() -> str:
    """Return no trace: a TraceId for a service without tracing."""
    return ""


def exemplar(trace_id: str) -> dict[str, str] | None:
    """Return the exemplar that leads from a figure to its trace, None without a trace."""
    return {"trace_id": trace_id} if trace_id else None
