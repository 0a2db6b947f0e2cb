"""Metrics as Prometheus scrapes them."""

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
from partway_server.observability.metrics import Metrics
from partway_server.observability.serving import serving
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

Scrape = dict[str, float]
"""The value of each series, by its name with its labels."""


def scraping(metrics: Metrics, port: int = 0) -> AbstractAsyncContextManager[int]:
    """Serve `metrics` in the block, which has the port."""

    async def gather() -> CollectorRegistry:
        return metrics.registry

    return serving(gather, "127.0.0.1", port)


async def scrape(http: aiohttp.ClientSession, address: str, **labels: str) -> Scrape:
    """Return each series, with these `labels` too; nothing if the service does not answer."""
    try:
        url = f"http://{address}/metrics"
        async with http.get(url, timeout=aiohttp.ClientTimeout(10)) as answer:
            text = await answer.text()
    except (aiohttp.ClientError, TimeoutError):
        return {}
    return {
        _series(sample.name, {**sample.labels, **labels}): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def recording(scrapes: Sequence[Scrape], *, at: float, every: int, **facts: Any) -> dict[str, Any]:
    """Return scrapes of each `every` seconds since the time `at`, as the board's picture reads it.

    A series has null where it was missing.
    """
    names = sorted({series for scrape in scrapes for series in scrape})
    series = {name: [scrape.get(name) for scrape in scrapes] for name in names}
    return {**facts, "every": every, "at": at, "series": series}


def _series(name: str, labels: dict[str, str]) -> str:
    shown = ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(labels.items()))
    return f"{name}{{{shown}}}" if shown else name
