"""Metrics as Prometheus scrapes them."""

from contextlib import AbstractAsyncContextManager

from partway_server.observability.metrics import Metrics
from partway_server.observability.serving import serving
from prometheus_client import CollectorRegistry


def scraping(metrics: Metrics, port: int = 0) -> AbstractAsyncContextManager[int]:
    """Serve `metrics` in the block, which has the port."""

    async def gather() -> CollectorRegistry:
        return metrics.registry

    return serving(gather, "127.0.0.1", port)
