"""Audit the events after Redis failovers: every acknowledged end must be announced.

A failover loses what had not been replicated yet, consumer groups included, so what a consumer gets
in the meantime cannot be checked. docs/events.md promises that an upload that is asked for after
the loss is announced again: by that call, or by the janitor where the lease of a lost claim still
goes on. So each is asked for until the streams of the surviving Redis hold its end.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from partway_server.domain.events import COMPLETED, INITIALIZED
from partway_server.events.event_stream import EventStreams, places_at
from partway_server.redis_client.topology import connect

_PATIENCE_SECONDS = 30.0
"""Covers what a janitor waits for: a lease of three seconds, five more, and its period."""

Reported = Mapping[str, set[str]]
"""The event types announced for each key."""


async def unreported(
    url: str, ends: Mapping[str, bool], ask_again: Callable[[Collection[str]], Awaitable[None]]
) -> tuple[Reported, list[str]]:
    """Return what the streams announce, and in words which of `ends` they do not.

    `ends` is by key: whether the upload is complete. `ask_again` asks for uploads by their keys.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    reported: dict[str, set[str]] = defaultdict(set)
    async with _streams(url) as streams:
        while True:
            await ask_again(unheard(ends, reported))
            reported.clear()
            async for entry in streams.read(places_at(None)):
                reported[json.loads(entry.event.text)["data"]["key"]].add(entry.event.type)
            missing = unheard(ends, reported)
            if not missing or time.monotonic() > deadline:
                return reported, list(missing.values())
            # Polling: it is another process's janitor that announces.
            await asyncio.sleep(1)


def unheard(ends: Mapping[str, bool], reported: Reported) -> dict[str, str]:
    """Return the ends that no event announces, in words, by key."""
    found = {}
    for key, completed in ends.items():
        types = reported.get(key, set())
        if completed and COMPLETED not in types:
            found[key] = f"{key}: it was COMPLETED, and announced are {sorted(types)}"
        elif not types - {INITIALIZED}:
            found[key] = f"{key}: it was ABORTED, and announced are {sorted(types)}"
    return found


@asynccontextmanager
async def _streams(url: str) -> AsyncIterator[EventStreams]:
    servers = connect(url, max_connections=4)
    try:
        yield EventStreams(servers)
    finally:
        await servers.aclose()
