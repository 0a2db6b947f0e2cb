"""Writes docs/reference/metrics.md from the definitions of metrics: `make docs` runs it."""

from itertools import groupby
from operator import attrgetter

from partway_server.observability.definitions import Definition, Joined
from partway_server.observability.metrics import Metrics

_HEAD = """# Metrics

<!-- Made by `make docs` from server/partway_server/observability; edit that instead. -->

For operators who draw boards or write alerts. With `PARTWAY_METRICS_ADDRESS` the service serves
`/metrics` for Prometheus, in its text format or, where a scrape asks for it, as OpenMetrics.
All workers are behind one address: counters and histograms are sums over them, including workers
that have ended, and a gauge is the sum, the maximum or the minimum, as the table says.

Labels are bounded. Their values are names of RPCs, operations, states and codes, and what operators
name: policies, backends, webhooks, and the tenants of `PARTWAY_METRICS_TENANTS`. No caller can
create a time series. A code that storage sends is cut to what looks like one, and past 1,000 series
of a metric new ones are counted under `other`.

A histogram has the series `_bucket`, `_sum` and `_count`.
"""

_JOINED = {Joined.SUM: "sum", Joined.MAX: "maximum", Joined.MIN: "minimum"}


def reference() -> str:
    """Return the whole document."""
    lines = [_HEAD]
    for group, metrics in groupby(Metrics().definitions, key=attrgetter("group")):
        lines += [
            f"## {group}",
            "",
            "| Metric | Type | Meaning |",
            "|---|---|---|",
            *map(_row, metrics),
            "",
        ]
    return "\n".join(lines)


def _row(metric: Definition) -> str:
    labels = f"{{{', '.join(metric.labels)}}}" if metric.labels else ""
    kind = metric.kind
    if kind == "gauge":
        kind += f", {_JOINED[metric.joined]}"
    return f"| `{metric.name}{labels}` | {kind} | {metric.help} |"


if __name__ == "__main__":
    print(reference(), end="")
