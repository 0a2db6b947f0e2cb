"""The experiments: each does the same work at any peer, and returns figures of some rows.

CPU is that of the peer's process, from before the first call until after the last answer.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.peers.driver import Driver
from bench.peers.partway_driver import PartwayDriver
from bench.peers.prober import Prober
from bench.peers.processes import cpu_seconds

MANY = 10_000
CALLERS = 8

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that runs, who calls it, and who times small calls meanwhile."""

    pid: int
    driver: Driver
    prober: Prober | None
    share: float = 1.0
    """How much of the usual number of repetitions is made."""

    def times(self, usual: int) -> int:
        return max(1, round(usual * self.share))

    async def cpu_ms(self, work: Callable[[], Awaitable[object]], times: int) -> float:
        """Return the CPU of the peer for one of so many repetitions, in milliseconds."""
        before = cpu_seconds(self.pid)
        for _ in range(times):
            await work()
        return (cpu_seconds(self.pid) - before) * 1000 / times


async def urls(peer: Running) -> Figures:
    walls, cpus = [], []
    for _ in range(peer.times(5)):
        work = await peer.driver.prepare_urls(MANY)
        began = time.perf_counter()
        cpus.append(await peer.cpu_ms(work, 1))
        walls.append((time.perf_counter() - began) * 1000)
    cpu_us = statistics.median(cpus) * 1000 / MANY
    return {"urls_wall": statistics.median(walls), "url_cpu": cpu_us}


async def urls_crc64(peer: Running) -> Figures:
    if not isinstance(peer.driver, PartwayDriver):
        return {}  # No other gives URLs that only a certain content fits.
    work = await peer.driver.prepare_urls_with_checksums(MANY)
    return {"url_crc64_cpu": await peer.cpu_ms(work, peer.times(5)) * 1000 / MANY}


async def urls_beside(peer: Running) -> Figures:
    works = [await peer.driver.prepare_urls(MANY) for _ in range(peer.times(5))]
    return {"urls_others": await _others(peer, works)}


async def complete_beside(peer: Running) -> Figures:
    works = [await peer.driver.prepare_complete(MANY) for _ in range(peer.times(3))]
    return {"complete_others": await _others(peer, works)}


async def _others(peer: Running, works: list[Callable[[], Awaitable[object]]]) -> float:
    """Return the p99 of small calls of another process during the works."""
    assert peer.prober is not None
    await peer.prober.begin()
    for work in works:
        await work()
    took = sorted(await peer.prober.end())
    return took[int(len(took) * 0.99)]


def _whole(parts: int, usual: int) -> "Experiment":
    async def measure(peer: Running) -> Figures:
        work = lambda: peer.driver.whole(parts)  # noqa: E731 (one line says all)
        return {f"upload_{parts}": await peer.cpu_ms(work, peer.times(usual))}

    return measure


def _complete(parts: int, usual: int) -> "Experiment":
    async def measure(peer: Running) -> Figures:
        cpus = [
            await peer.cpu_ms(await peer.driver.prepare_complete(parts), 1)
            for _ in range(peer.times(usual))
        ]
        return {f"complete_{parts}": statistics.mean(cpus)}

    return measure


async def initialize(peer: Running) -> Figures:
    return {"initialize": await peer.cpu_ms(lambda: peer.driver.open(100), peer.times(100))}


async def rate_1(peer: Running) -> Figures:
    """Let callers upload small files, and return how many a second of the peer's CPU makes."""
    each = peer.times(50)

    async def caller() -> None:
        for _ in range(each):
            await peer.driver.whole(1)

    before = cpu_seconds(peer.pid)
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return {"rate_1": CALLERS * each / (cpu_seconds(peer.pid) - before)}


Experiment = Callable[[Running], Awaitable[Figures]]

EXPERIMENTS: dict[str, Experiment] = {
    "urls": urls,
    "urls_crc64": urls_crc64,
    "urls_beside": urls_beside,
    "upload_1": _whole(1, 100),
    "upload_100": _whole(100, 20),
    "upload_1000": _whole(1_000, 5),
    "initialize": initialize,
    "complete_100": _complete(100, 20),
    "complete_10000": _complete(MANY, 3),
    "complete_beside": complete_beside,
    "rate_1": rate_1,
}
"""What is timed. What is counted is in counts.py."""

THROUGH = ("upload_1", "upload_100", "rate_1", "initialize")
"""What can be compared of a peer that has no URLs. Its 100 parts are 500 MB that it passes on."""

BESIDE = ("urls_beside", "complete_beside")
