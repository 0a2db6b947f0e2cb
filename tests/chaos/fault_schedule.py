"""The faults a run injects, and the seeded schedule of when."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Act = Callable[[random.Random], Awaitable[float | None]]
"""Returns the `time.monotonic` since when Redis has lost writes, or None if it lost none."""


@dataclass(frozen=True, slots=True)
class Harm:
    """A kind of fault, injected every `every_seconds` on average."""

    name: str
    every_seconds: float
    act: Act


@dataclass(frozen=True, slots=True)
class Strike:
    """A scheduled fault: seconds from the start, and a random source of its own."""

    at: float
    harm: Harm
    chance: random.Random


class Store(Protocol):
    """The Redis that all services share, in some topology, and the faults it can suffer.

    Another topology, such as Sentinel with failovers or Cluster with moving slots, is another
    class like `stores.OneRedis`; nothing else knows which it is.
    """

    @property
    def url(self) -> str:
        """Return the value for PARTWAY_REDIS_URL."""
        ...

    def harms(self) -> Sequence[Harm]:
        """Return its faults; after each it is healthy again or recovers by itself."""
        ...

    async def start(self) -> None:
        """Start it; return once it accepts commands."""
        ...

    async def usage_faults(self) -> list[str]:
        """Return what is counted otherwise than the session records say, while nothing changes."""
        ...

    async def keys(self) -> int:
        """Count its keys, except the event streams, which stay."""
        ...

    async def stop(self) -> None: ...


def schedule(seed: str, harms: Sequence[Harm], seconds: float) -> list[Strike]:
    """Return all faults within `seconds`, identical for the same seed and harms."""
    strikes = []
    for harm in harms:
        chance = random.Random(f"{seed}/{harm.name}")
        at = chance.expovariate(1 / harm.every_seconds)
        while at < seconds:
            strikes.append(Strike(at, harm, random.Random(f"{seed}/{harm.name}/{at}")))
            at += chance.expovariate(1 / harm.every_seconds)
    return sorted(strikes, key=lambda strike: strike.at)
