"""Figures of one process at one moment, as bytes, and how those of several processes become one.

Counters and histograms add up, with those of processes that have ended. Gauges are about now: they
come from processes that run, and are joined as their definition says. No I/O.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgpack
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

from partway_server.observability.definitions import Joined

_LASTING = frozenset({"counter", "histogram"})
"""The types whose figures stay when their process has ended."""

_JOIN: Mapping[Joined, Callable[[float, float], float]] = {
    Joined.SUM: lambda a, b: a + b,
    Joined.MAX: max,
    Joined.MIN: min,
}

_Labels = tuple[tuple[str, str], ...]
_Exemplar = tuple[dict[str, str], float, float]


@dataclass(slots=True)
class Family:
    """One metric: its samples by name and labels, each a value with an exemplar or None."""

    kind: str
    help: str
    samples: dict[tuple[str, _Labels], tuple[float, _Exemplar | None]] = field(default_factory=dict)


@dataclass(slots=True)
class Snapshot:
    """The families of one process, or of several that have ended. `sources` are their names."""

    families: dict[str, Family]
    sources: frozenset[str] = frozenset()

    @classmethod
    def of(cls, collector: Collector, source: str) -> Self:
        """Return what a process has counted."""
        families = {}
        for metric in collector.collect():
            family = families[metric.name] = Family(metric.type, metric.documentation)
            for sample in metric.samples:
                labels = tuple(sorted(sample.labels.items()))
                family.samples[sample.name, labels] = sample.value, _packed(sample.exemplar)
        return cls(families, frozenset({source}))

    def pack(self) -> bytes:
        """Return the snapshot as bytes."""
        packed: bytes = msgpack.packb(
            [
                sorted(self.sources),
                [
                    [name, each.kind, each.help, [[*k, *v] for k, v in each.samples.items()]]
                    for name, each in self.families.items()
                ],
            ]
        )
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the snapshot that `pack` made of it. Raises ValueError."""
        try:
            sources, families = msgpack.unpackb(packed, use_list=False)
            return cls(
                {
                    name: Family(kind, text, {(s, labels): (v, e) for s, labels, v, e in samples})
                    for name, kind, text, samples in families
                },
                frozenset(sources),
            )
        except (TypeError, ValueError, msgpack.UnpackException) as error:
            raise ValueError("not a snapshot of metrics") from error

    def lasting(self) -> "Snapshot":
        """Return what stays of it when its processes have ended."""
        kept = {name: each for name, each in self.families.items() if each.kind in _LASTING}
        return Snapshot(kept, self.sources)


def join(snapshots: Iterable[Snapshot], joined: Callable[[str], Joined]) -> Snapshot:
    """Return one snapshot of several. `joined` says how samples of a name become one."""
    families: dict[str, Family] = {}
    sources: frozenset[str] = frozenset()
    for snapshot in snapshots:
        sources |= snapshot.sources
        for name, family in snapshot.families.items():
            into = families.setdefault(name, Family(family.kind, family.help))
            one = _JOIN[joined(name) if family.kind not in _LASTING else Joined.SUM]
            for key, (value, exemplar) in family.samples.items():
                known = into.samples.get(key)
                into.samples[key] = (
                    (value, exemplar)
                    if known is None
                    else (one(known[0], value), _newer(known[1], exemplar))
                )
    return Snapshot(families, sources)


class SnapshotCollector(Collector):
    """Presents a snapshot to the encoders of prometheus_client."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        for name, family in self._snapshot.families.items():
            metric = Metric(name, family.help, family.kind)
            metric.samples = [
                Sample(sample, dict(labels), value, None, exemplar and Exemplar(*exemplar))
                for (sample, labels), (value, exemplar) in _in_order(family.samples.items())
            ]
            yield metric


def _in_order(samples: Iterable[Any]) -> Sequence[Any]:
    """Return samples with those of one child together, as the formats demand of histograms."""

    def place(entry: Any) -> Any:
        (name, labels), _ = entry
        bound = next((float(value) for label, value in labels if label == "le"), None)
        others = tuple(pair for pair in labels if pair[0] != "le")
        return others, bound is None, bound or 0.0, name

    return sorted(samples, key=place)


def _packed(exemplar: Exemplar | None) -> _Exemplar | None:
    if exemplar is None:
        return None
    return dict(exemplar.labels), exemplar.value, float(exemplar.timestamp or 0.0)


def _newer(one: _Exemplar | None, other: _Exemplar | None) -> _Exemplar | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda exemplar: exemplar[2])
