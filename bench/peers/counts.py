"""Counts what an upload of 100 parts takes: bytes to and from the peer, S3 calls, round trips.

A peer of its own is started for it, behind relays that count.
"""

import statistics
from urllib.parse import urlsplit

from bench.peers.catalogue import Peer
from bench.peers.measure import Figures
from bench.peers.processes import Backends, Cores
from bench.peers.relay import CountingRelay

UPLOADS = 5
PARTS = 100
_FIRST = 3
"""Uploads before those that count, so that connections are open and scripts are known."""


async def counts(peer: Peer, backends: Backends, cores: Cores) -> Figures:
    """Return the medians over a few uploads, so that what runs beside them does not count."""
    redis = urlsplit(backends.redis)
    async with CountingRelay.to(f"{redis.hostname}:{redis.port}") as to_redis:
        behind = Backends(backends.storage, f"redis://{to_redis.address}/0", backends.folder)
        with peer.running(behind, cores) as (_, address):
            async with CountingRelay.to(address) as to_peer:
                found = await _count(peer, to_peer, to_redis, backends.storage)
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


async def _count(
    peer: Peer, to_peer: CountingRelay, to_redis: CountingRelay, storage: str
) -> list[Figures]:
    driver, found = peer.driver(to_peer.address, storage), []
    uploads = 1 if driver.through else UPLOADS
    try:
        await driver.acquaint()
        for _ in range(_FIRST):
            await driver.whole(1 if driver.through else PARTS)
        for _ in range(uploads):
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
    finally:
        await driver.aclose()
    return found
