"""Records the metrics of all services of a run, for a picture of the board."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from tests.support.scrapes import Scrape, recording, scrape

EVERY = 5
"""Seconds between scrapes: a process lives for some seconds only."""


async def record_metrics(addresses: Sequence[str], end: float, file: Path) -> None:
    """Scrape the addresses until `end`, by the monotonic clock, and write what they had."""
    scrapes: list[Scrape] = []
    began, at = time.monotonic(), time.time()
    async with aiohttp.ClientSession() as http:
        while time.monotonic() < end:
            found = await asyncio.gather(*(scrape(http, one, instance=one) for one in addresses))
            scrapes.append({name: value for one in found for name, value in one.items()})
            await asyncio.sleep(max(0.0, began + len(scrapes) * EVERY - time.monotonic()))
    facts = recording(scrapes, at=at, every=EVERY, healthy=0, broken=0)
    await asyncio.to_thread(file.write_text, json.dumps(facts), "utf-8")
