"""Counts what an upload takes: bytes to and from the peer, S3 calls, round trips, memory of Redis.

A peer of its own is started for it, behind relays that count.
"""

import statistics
from collections.abc import Sequence
from urllib.parse import urlsplit

from redis.asyncio import Redis

from bench.peers.catalogue import Peer
from bench.peers.driver import Driver
from bench.peers.measure import Figures
from bench.peers.processes import Backends, Cores
from bench.peers.relay import CountingRelay

UPLOADS = 5
PARTS = 100
OPENED = 500
"""Uploads that are left open to see what Redis keeps of them."""
_FIRST = 3
"""Uploads before those that count, so that connections are open and scripts are known."""


async def counts(peer: Peer, backends: Backends, cores: Cores) -> Figures:
    """Return the medians over a few uploads, so that what runs beside them does not count."""
    redis = urlsplit(backends.redis)
    async with CountingRelay.to(f"{redis.hostname}:{redis.port}") as to_redis:
        behind = Backends(backends.storage, f"redis://{to_redis.address}/0", backends.folder)
        async with peer.running(behind, cores) as (_, address):
            async with CountingRelay.to(address) as to_peer:
                driver = peer.driver(to_peer.address, backends.storage)
                try:
                    await _warm(driver)
                    found = _medians(await _count(driver, to_peer, to_redis))
                    # Only of those that keep anything there.
                    kept = await _kept(driver, backends.redis) if found["redis_trips"] else 0.0
                finally:
                    await driver.aclose()
    return {**found, "redis_bytes": kept}


async def _warm(driver: Driver) -> None:
    await driver.acquaint()
    for _ in range(_FIRST):
        await driver.whole(1 if driver.through else PARTS)


async def _count(
    driver: Driver, to_peer: CountingRelay, to_redis: CountingRelay
) -> Sequence[Figures]:
    found = []
    for _ in range(1 if driver.through else UPLOADS):
        await driver.ask_stub("POST", "reset")
        to_peer.reset()
        to_redis.reset()
        await driver.whole(PARTS)
        calls = await driver.ask_stub("GET", "calls")
        found.append(
            {
                "bytes": to_peer.bytes / 1000,
                "s3_calls": float(sum(calls.values())),
                "redis_trips": float(to_redis.round_trips),
            }
        )
    return found


async def _kept(driver: Driver, redis_url: str) -> float:
    """Return the bytes by which an upload that is opened lets Redis grow, indexes included."""
    async with Redis.from_url(redis_url) as redis:
        before = (await redis.info("memory"))["used_memory"]
        for _ in range(OPENED):
            await driver.open(PARTS)
        after = (await redis.info("memory"))["used_memory"]
    grown: int = after - before
    return grown / OPENED


def _medians(found: Sequence[Figures]) -> Figures:
    return {name: statistics.median(each[name] for each in found) for name in found[0]}
