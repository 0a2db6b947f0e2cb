"""Named points at which a service process kills itself: around every call to its two stores.

The names come from the Protocols of the seams, so that a method which is added to a seam is a
failpoint from then on, and no step between two calls to Redis or storage is left out.
"""

import asyncio
import inspect
import os
import random
import signal
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from partway_server.objects.base import Objects
from partway_server.sessions.base import Sessions

SEAMS: dict[str, type] = {"sessions": Sessions, "objects": Objects}

_UNWATCHED = ("check", "aclose")
"""What `app.run` calls on the bare stores, before and after everything else."""

_LATEST_SECONDS = 1.5


class Moment(StrEnum):
    """When a process dies. DURING: the request is on its way, and the reply is never seen."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Failpoint:
    """A moment of a method of a seam."""

    seam: str
    method: str
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} {self.seam}.{self.method}"


@dataclass(frozen=True, slots=True)
class Armed:
    """A failpoint that goes off at the `nth` call later than `quiet_seconds` after the start.

    `delay_seconds` is how long a request runs before a death DURING it.
    """

    failpoint: Failpoint
    nth: int = 1
    quiet_seconds: float = 0.0
    delay_seconds: float = 0.0


def methods(seam: type) -> list[str]:
    """The methods of a seam that do I/O, but those of start and stop."""
    found = (name for name, value in vars(seam).items() if inspect.iscoroutinefunction(value))
    return [name for name in found if name not in _UNWATCHED]


def every_failpoint() -> list[Failpoint]:
    return [
        Failpoint(name, method, moment)
        for name, seam in SEAMS.items()
        for method in methods(seam)
        for moment in Moment
    ]


def deal(rng: random.Random) -> Iterator[Armed]:
    """Every failpoint in a random order, then every one in another order, for ever."""
    while True:
        cards = every_failpoint()
        rng.shuffle(cards)
        for card in cards:
            nth, quiet = rng.choice((1, 1, 1, 2, 3)), rng.uniform(0, _LATEST_SECONDS)
            yield Armed(card, nth, quiet, _delay(rng))


def deal_missing(rng: random.Random, hit: Container[Failpoint]) -> Iterator[Armed]:
    """The failpoints that were not hit so far, in a random order, at their first call."""
    while True:
        cards = [point for point in every_failpoint() if point not in hit] or every_failpoint()
        yield Armed(rng.choice(cards), delay_seconds=_delay(rng))


def _delay(rng: random.Random) -> float:
    return rng.uniform(0.0002, 0.004)


Die = Callable[[Failpoint], None]
"""What ends the process; a test may let it live."""


class Watched:
    """A store that kills the process at a failpoint; `die` is told which it was."""

    def __init__(
        self, store: Any, *, seam: str, armed: Armed, now: Callable[[], float], die: Die
    ) -> None:
        self._store = store
        self._armed, self._left = armed, armed.nth
        self._now, self._die = now, die
        self._loud_from = now() + armed.quiet_seconds
        if armed.failpoint.seam == seam:
            setattr(self, armed.failpoint.method, self._watched)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def _watched(self, *args: Any, **named: Any) -> Any:
        call = getattr(self._store, self._armed.failpoint.method)
        if self._now() >= self._loud_from:
            self._left -= 1
        if self._left:
            return await call(*args, **named)
        if self._armed.failpoint.moment is Moment.BEFORE:
            self._die(self._armed.failpoint)
        if self._armed.failpoint.moment is Moment.DURING:
            loop = asyncio.get_running_loop()
            loop.call_later(self._armed.delay_seconds, self._die, self._armed.failpoint)
        result = await call(*args, **named)
        if self._armed.failpoint.moment is Moment.AFTER:
            self._die(self._armed.failpoint)
        return result


def die(failpoint: Failpoint) -> None:
    """As `kill -9` would do it, with a last line in the log."""
    os.write(2, f"killed: {failpoint}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)
