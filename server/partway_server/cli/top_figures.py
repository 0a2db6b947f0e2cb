"""The figures of `partway-server top`, computed from two scrapes of /metrics. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

_EVENTS = ("initialized", "completed", "aborted", "expired", "failed")
_Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """What /metrics said at a time, which is in seconds by any clock."""

    time: float
    samples: Mapping[str, Mapping[_Labels, float]]

    @classmethod
    def of(cls, text: str, time: float) -> Self:
        """Read the text format. Raises ValueError if it is not that of this service."""
        samples: dict[str, dict[_Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = frozenset(sample.labels.items())
                samples.setdefault(sample.name, {})[labels] = sample.value
        if "partway_build_info" not in samples:
            raise ValueError("these are not the metrics of a Partway service")
        return cls(time, samples)

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels."""
        wanted = labels.items()
        found = self.samples.get(name, {}).items()
        return sum(value for held, value in found if wanted <= set(held))

    def values(self, name: str, label: str) -> list[str]:
        """Return the values of a label, in order."""
        held = self.samples.get(name, {})
        return sorted({value for labels in held for key, value in labels if key == label})


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Return a quantile of a histogram as Prometheus estimates it, None if nothing was observed.

    `buckets` are cumulative counts by their upper bounds. What is above the last finite bound
    counts as that bound.
    """
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return None
    rank = share * buckets[bounds[-1]]
    below, lower = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank:
            if bound == float("inf"):
                return lower
            inside = count - below
            return lower + (bound - lower) * ((rank - below) / inside if inside else 1.0)
        below, lower = count, bound
    return lower


@dataclass(frozen=True, slots=True)
class Change:
    """What happened between two scrapes of one service."""

    before: Scrape
    after: Scrape

    @property
    def seconds(self) -> float:
        """Return the time between them."""
        return max(self.after.time - self.before.time, 1e-9)

    def rate(self, name: str, **labels: str) -> float:
        """Return how much a counter grew in a second. One that fell began again from zero."""
        before, after = self.before.total(name, **labels), self.after.total(name, **labels)
        return (after - before if after >= before else after) / self.seconds

    def latency_ms(self, name: str, share: float, **labels: str) -> float | None:
        """Return a quantile of what a histogram observed meanwhile, in ms; None if nothing."""
        buckets = {
            float(bound): self.rate(f"{name}_bucket", le=bound, **labels)
            for bound in self.after.values(f"{name}_bucket", "le")
        }
        found = quantile(share, buckets)
        return None if found is None else round(found * 1000, 2)


def figures(before: Scrape, after: Scrape, now: float) -> dict[str, Any]:
    """Return everything that `top` shows. `now` is the time of day in seconds."""
    change = Change(before, after)
    [build] = after.samples["partway_build_info"] or [frozenset()]
    return {
        "version": dict(build).get("version", ""),
        "workers": int(after.total("partway_workers")),
        "seconds": round(change.seconds, 3),
        "cpu_cores": _rounded(change.rate("process_cpu_seconds_total")),
        "memory_bytes": int(after.total("process_resident_memory_bytes")),
        "loop_lag_p99_ms": change.latency_ms("partway_event_loop_lag_seconds", 0.99),
        "calls_in_progress": int(after.total("partway_calls_in_progress")),
        "watches": int(after.total("partway_watches_in_progress")),
        "parts_via_service": int(after.total("partway_via_service_in_progress")),
        "uploads": [_event(change, event) for event in _EVENTS],
        "rpcs": [_rpc(change, rpc) for rpc in after.values("partway_rpcs_total", "rpc")],
        "errors": _errors(change),
        "storage": _storage(change),
        "redis": _redis(change),
        "refused": _refused(change),
        "cleanup": _cleanup(after, now),
    }


def _rounded(rate: float) -> float:
    return round(rate, 3)


def _event(change: Change, event: str) -> dict[str, Any]:
    return {
        "event": event,
        "per_second": _rounded(change.rate("partway_uploads_total", event=event)),
        "bytes_per_second": _rounded(change.rate("partway_upload_bytes_total", event=event)),
        "total": int(change.after.total("partway_uploads_total", event=event)),
    }


def _rpc(change: Change, rpc: str) -> dict[str, Any]:
    name = "partway_rpc_duration_seconds"
    all_calls = change.rate("partway_rpcs_total", rpc=rpc)
    return {
        "rpc": rpc,
        "per_second": _rounded(all_calls),
        "errors_per_second": _rounded(
            all_calls - change.rate("partway_rpcs_total", rpc=rpc, code="OK")
        ),
        "p50_ms": change.latency_ms(name, 0.5, rpc=rpc),
        "p99_ms": change.latency_ms(name, 0.99, rpc=rpc),
    }


def _errors(change: Change) -> list[dict[str, Any]]:
    """Return what calls failed with meanwhile, the most frequent first."""
    found: list[dict[str, Any]] = [
        {
            **dict(labels),
            "per_second": _rounded(change.rate("partway_rpcs_total", **dict(labels))),
        }
        for labels in change.after.samples.get("partway_rpcs_total", {})
        if dict(labels)["code"] != "OK"
    ]
    return sorted(
        (each for each in found if each["per_second"] > 0),
        key=lambda each: (-each["per_second"], each["rpc"], each["reason"]),
    )


def _storage(change: Change) -> list[dict[str, Any]]:
    name, after = "partway_storage_call_duration_seconds", change.after
    return [
        {
            "backend": backend,
            "in_flight": int(after.total("partway_storage_calls_in_flight", backend=backend)),
            "oldest_seconds": round(
                after.total("partway_storage_oldest_call_age_seconds", backend=backend), 1
            ),
            "retries_per_second": _rounded(
                change.rate("partway_storage_retries_total", backend=backend)
            ),
            "operations": _operations(change, name, "partway_storage_errors_total", backend),
        }
        for backend in after.values(f"{name}_count", "backend")
    ]


def _operations(change: Change, name: str, errors: str, backend: str = "") -> list[dict[str, Any]]:
    """Return the operations of a store that were called meanwhile."""
    of = {"backend": backend} if backend else {}
    found = (
        {
            "operation": operation,
            "per_second": _rounded(change.rate(f"{name}_count", operation=operation, **of)),
            "errors_per_second": _rounded(change.rate(errors, operation=operation, **of)),
            "p50_ms": change.latency_ms(name, 0.5, operation=operation, **of),
            "p99_ms": change.latency_ms(name, 0.99, operation=operation, **of),
        }
        for operation in change.after.values(f"{name}_count", "operation")
    )
    return [each for each in found if each["per_second"]]


def _redis(change: Change) -> dict[str, Any]:
    name, after = "partway_redis_call_duration_seconds", change.after
    return {
        "in_flight": int(after.total("partway_redis_calls_in_flight")),
        "oldest_seconds": round(after.total("partway_redis_oldest_call_age_seconds"), 1),
        "retries_per_second": _rounded(change.rate("partway_redis_retries_total")),
        "operations": _operations(change, name, "partway_redis_errors_total"),
    }


def _refused(change: Change) -> list[dict[str, Any]]:
    limits = [
        ("partway_calls_refused_total", limit, {"limit": limit})
        for limit in change.after.values("partway_calls_refused_total", "limit")
    ]
    quotas = [
        ("partway_quota_refusals_total", f"quota {limit}", {"limit": limit})
        for limit in change.after.values("partway_quota_refusals_total", "limit")
    ]
    return [
        {
            "limit": shown,
            "per_second": _rounded(change.rate(name, **labels)),
            "total": int(change.after.total(name, **labels)),
        }
        for name, shown, labels in (*limits, *quotas)
    ]


def _cleanup(after: Scrape, now: float) -> dict[str, Any]:
    looked = "partway_cleanup_last_success_timestamp_seconds"

    def age(task: str) -> float | None:
        at = after.total(looked, task=task)
        return round(max(0.0, now - at), 1) if at else None

    return {
        "oldest_due_seconds": round(after.total("partway_cleanup_oldest_due_age_seconds"), 1),
        "janitor_seconds_ago": age("janitor"),
        "sweep_seconds_ago": age("sweep"),
    }
