"""Audit the events after Redis failovers: every acknowledged end must be announced.

A failover loses what had not been replicated yet, consumer groups included, so what a consumer gets
in the meantime cannot be checked. docs/events.md promises that an upload that is asked for after
the loss is announced again. So each is asked for once, and the streams of the surviving Redis must
then hold its end.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

from partway_server.domain.events import COMPLETED, INITIALIZED
from partway_server.events.event_stream import EventStreams, places_at
from partway_server.redis_client.topology import connect

_PATIENCE_SECONDS = 30.0
"""Covers what a janitor waits for: a lease of three seconds, five more, and its period."""

Reported = Mapping[str, set[str]]
"""The event types announced for each key."""


async def unreported(url: str, ends: Mapping[str, bool]) -> tuple[Reported, list[str]]:
    """Return what the streams announce, and which of `ends` they do not.

    `ends` is by key: whether the upload is complete.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    async with _streams(url) as streams:
        while True:
            reported: dict[str, set[str]] = defaultdict(set)
            async for entry in streams.read(places_at(None)):
                reported[json.loads(entry.event.text)["data"]["key"]].add(entry.event.type)
            missing = list(unheard(ends, reported))
            if not missing or time.monotonic() > deadline:
                return reported, missing
            # Polling: it is another process's janitor that announces.
            await asyncio.sleep(1)


def unheard(ends: Mapping[str, bool], reported: Reported) -> Iterator[str]:
    """Yield the ends that no event announces, in words."""
    for key, completed in ends.items():
        types = reported.get(key, set())
        if completed and COMPLETED not in types:
            yield f"{key}: it was COMPLETED, and announced are {sorted(types)}"
        elif not types - {INITIALIZED}:
            yield f"{key}: it was ABORTED, and announced are {sorted(types)}"


@asynccontextmanager
async def _streams(url: str) -> AsyncIterator[EventStreams]:
    servers = connect(url, max_connections=4)
    try:
        yield EventStreams(servers)
    finally:
        await servers.aclose()
