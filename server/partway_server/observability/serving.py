"""Serve the metrics over HTTP, in the event loop.

At a separate address, because callers must not see them.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

Gather = Callable[[], Awaitable[Collector]]
"""Returns what is to be served."""


@contextlib.asynccontextmanager
async def serving(
    gather: Gather, host: str, port: int, *, share_port: bool = False
) -> AsyncIterator[int]:
    """Serve /metrics in the block; yields the port. Raises OSError if it is not available.

    With OpenMetrics, which a scrape may ask for, histograms have exemplars. With `share_port`,
    other processes may listen on the same port.
    """

    async def answer(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = encode(await gather())
        return web.Response(body=body, headers={"Content-Type": content_type})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_port=share_port or None).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
