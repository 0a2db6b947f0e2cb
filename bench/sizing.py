"""Computes from the figures of `bench.peers` what a number of uploads takes, direct and proxied.

Run it as `python -m bench.sizing FIGURES`, where FIGURES is a file whose last line is the JSON of
`bench.peers`, or as `... | python -m bench.sizing -`. Nothing is measured here. Prices are of S3
Standard in us-east-1 (https://aws.amazon.com/s3/pricing/), as quoted on 2026-11-29 by
https://c3x.dev/blog/s3-request-fees-explained; give yours with --price-write and --price-read.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS, PROXY = "partway", "tusd"
PARTS = 100
PART_MB = 5.24288
WRITE_DOLLARS = 0.005 / 1000
"""A PUT, COPY, POST or LIST request."""
READ_DOLLARS = 0.0004 / 1000
"""A GET, HEAD or any other request. DELETE and Abort cost nothing."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars for one request, and for an hour of one core."""

    write: float = WRITE_DOLLARS
    read: float = READ_DOLLARS
    core_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one upload takes: CPU, bytes through the service, and requests to storage."""

    cpu_ms: float
    kilobytes: float
    writes: float
    reads: float

    @property
    def uploads_a_second(self) -> float:
        """Return how many one core makes a second that does nothing else."""
        return 1000 / self.cpu_ms

    def dollars(self, uploads: int, prices: Prices) -> float:
        requests = self.writes * prices.write + self.reads * prices.read
        return uploads * (requests + self.core_hours(1) * prices.core_hour)

    def core_hours(self, uploads: int) -> float:
        return uploads * self.cpu_ms / 1000 / 3600


def direct(figures: Mapping[str, Any]) -> Cost:
    """Return the cost of an upload of 100 parts through Partway.

    The client sends the parts; the service makes one call for each 1,000 parts that it lists, one
    HEAD, and otherwise calls that write.
    """
    calls = _median(figures, "s3_calls", OURS)
    cpu, kilobytes = _median(figures, "upload_100", OURS), _median(figures, "bytes", OURS)
    return Cost(cpu, kilobytes, PARTS + calls - 1, 1)


def proxied(figures: Mapping[str, Any]) -> Cost | None:
    """Return the cost of the same bytes through tusd, None if it was not measured.

    All of its calls are priced as writes: most send parts, and what reads is less than a hundredth
    of the money.
    """
    if PROXY not in figures["upload_100"]["peers"]:
        return None
    cpu, kilobytes = _median(figures, "upload_100", PROXY), _median(figures, "bytes", PROXY)
    return Cost(cpu, kilobytes, _median(figures, "s3_calls", PROXY), 0)


def _median(figures: Mapping[str, Any], row: str, peer: str) -> float:
    median: float = figures[row]["peers"][peer]["median"]
    return median


def table(costs: Mapping[str, Cost], uploads: int, prices: Prices) -> str:
    """Return a table in Markdown, for so many uploads of 100 parts."""
    rows = {
        "uploads a second and core": [f"{cost.uploads_a_second:,.1f}" for cost in costs.values()],
        "core hours": [f"{cost.core_hours(uploads):,.1f}" for cost in costs.values()],
        "GB to and from the service": [
            f"{cost.kilobytes * uploads / 1e6:,.0f}" for cost in costs.values()
        ],
        "requests to storage, million": [
            f"{(cost.writes + cost.reads) * uploads / 1e6:,.1f}" for cost in costs.values()
        ],
        "dollars": [f"{cost.dollars(uploads, prices):,.0f}" for cost in costs.values()],
    }
    size = PARTS * PART_MB
    lines = [f"| {uploads:,} uploads of {size:.0f} MB | {' | '.join(costs)} |"]
    lines.append("|---" * (len(costs) + 1) + "|")
    lines += (f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sizing", description=__doc__)
    parser.add_argument("figures", help="a file that ends with the JSON of bench.peers, or -")
    parser.add_argument("--uploads", type=int, default=1_000_000)
    parser.add_argument("--price-write", type=float, default=WRITE_DOLLARS)
    parser.add_argument("--price-read", type=float, default=READ_DOLLARS)
    parser.add_argument("--price-core-hour", type=float, default=0.0, help="0: requests alone")
    asked = parser.parse_args()
    text = sys.stdin.read() if asked.figures == "-" else Path(asked.figures).read_text("utf-8")
    figures = json.loads(text.splitlines()[-1])["rows"]
    costs = {"direct": direct(figures)}
    if (cost := proxied(figures)) is not None:
        costs["proxied"] = cost
    prices = Prices(asked.price_write, asked.price_read, asked.price_core_hour)
    print(table(costs, asked.uploads, prices))


if __name__ == "__main__":
    main()
