"""What can be done to a running system, and when: a schedule that a seed decides."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Act = Callable[[random.Random], Awaitable[float | None]]
"""Returns since when Redis has forgotten writes, by `time.monotonic`; None: it has not."""


@dataclass(frozen=True, slots=True)
class Harm:
    """One way to do harm, which comes every so many seconds on average."""

    name: str
    every_seconds: float
    act: Act


@dataclass(frozen=True, slots=True)
class Strike:
    """A harm at its time, in seconds from the start, with its own source of chance."""

    at: float
    harm: Harm
    chance: random.Random


class Store(Protocol):
    """The Redis that all services share, in some topology, and the harm that can come to it.

    Another topology, such as Sentinel with failovers or Cluster with moving slots, is another
    class like `stores.OneRedis`; nothing else knows which it is.
    """

    @property
    def url(self) -> str:
        """What services are given as PARTWAY_REDIS_URL."""
        ...

    def harms(self) -> Sequence[Harm]:
        """What can be done to it; it is whole again, or becomes so by itself, after each."""
        ...

    async def start(self) -> None:
        """Returns once it takes commands."""
        ...

    async def keys(self) -> int:
        """How many keys it holds, but for the streams of events, which stay."""
        ...

    async def stop(self) -> None: ...


def schedule(seed: str, harms: Sequence[Harm], seconds: float) -> list[Strike]:
    """When what is done within `seconds`: for the same seed and harms, the same."""
    strikes = []
    for harm in harms:
        chance = random.Random(f"{seed}/{harm.name}")
        at = chance.expovariate(1 / harm.every_seconds)
        while at < seconds:
            strikes.append(Strike(at, harm, random.Random(f"{seed}/{harm.name}/{at}")))
            at += chance.expovariate(1 / harm.every_seconds)
    return sorted(strikes, key=lambda strike: strike.at)
