"""Named points at which a service process kills itself: around every call to its two stores.

The names come from the Protocols of the seams, so that every method added to a seam becomes a
failpoint, and no step between two calls to Redis or storage is left out.
"""

import asyncio
import inspect
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Container, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_origin

from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Storage

SEAMS: dict[str, type] = {"sessions": SessionStore, "storage": Storage}

_UNWATCHED = ("check", "aclose")
"""What `app.run` calls on the bare stores, before and after everything else."""

_LATEST_SECONDS = 1.0
_LAST_WORDS = "killed: "
_TAIL_BYTES = 200


class Moment(StrEnum):
    """When a process dies. DURING: the request is in flight, and the reply is never seen."""

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
    """Failpoints, of which the first that is reached goes off.

    That is at its `nth` call later than `quiet_seconds` after the start. `delay_seconds` is how
    long a request runs before a death DURING it.
    """

    failpoints: tuple[Failpoint, ...]
    nth: int = 1
    quiet_seconds: float = 0.0
    delay_seconds: float = 0.0


def methods(seam: type) -> list[str]:
    """Return the methods of a seam that do I/O, except those of start and stop."""
    found = (n for n, value in vars(seam).items() if _waits(value) or _streams(value))
    return [name for name in found if name not in _UNWATCHED]


def _waits(method: Any) -> bool:
    return inspect.iscoroutinefunction(method)


def _streams(method: Any) -> bool:
    reported = getattr(method, "__annotations__", {}).get("return")
    return get_origin(reported) is AsyncIterator


def every_failpoint() -> list[Failpoint]:
    return [
        Failpoint(name, method, moment)
        for name, seam in SEAMS.items()
        for method in methods(seam)
        for moment in Moment
    ]


def deal(rng: random.Random) -> Iterator[Armed]:
    """Yield every failpoint in random order, then all in another order, for ever."""
    while True:
        cards = every_failpoint()
        rng.shuffle(cards)
        for card in cards:
            nth, quiet = rng.choice((1, 1, 1, 2, 3)), rng.uniform(0, _LATEST_SECONDS)
            yield Armed((card,), nth, quiet, _delay(rng))


def deal_missing(rng: random.Random, hit: Container[Failpoint]) -> Iterator[Armed]:
    """Yield all failpoints not hit so far at once, each at its first call."""
    while True:
        missing = tuple(point for point in every_failpoint() if point not in hit)
        yield Armed(missing, delay_seconds=_delay(rng))


def _delay(rng: random.Random) -> float:
    return rng.uniform(0.0002, 0.004)


Die = Callable[[Failpoint], None]
"""Ends the process; a test may let it live."""


class Watched:
    """A store that kills the process at a failpoint, which `die` is given."""

    def __init__(
        self, store: Any, *, seam: str, armed: Armed, now: Callable[[], float], die: Die
    ) -> None:
        self._store, self._armed = store, armed
        self._now, self._die = now, die
        self._loud_from = now() + armed.quiet_seconds
        for point in armed.failpoints:
            if point.seam == seam:
                # Of several at one method the first counts: each is dealt first at some time.
                self.__dict__.setdefault(point.method, self._around(point))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _around(self, point: Failpoint) -> Callable[..., Any]:
        call, left = getattr(self._store, point.method), self._armed.nth

        def begins() -> bool:
            """Return whether this call is the chosen one; die, now or soon, if it is time."""
            nonlocal left
            if self._now() >= self._loud_from:
                left -= 1
            if left:
                return False
            if point.moment is Moment.BEFORE:
                self._die(point)
            if point.moment is Moment.DURING:
                loop = asyncio.get_running_loop()
                loop.call_later(self._armed.delay_seconds, self._die, point)
            return True

        async def waits(*args: Any, **named: Any) -> Any:
            chosen = begins()
            result = await call(*args, **named)
            if chosen and point.moment is Moment.AFTER:
                self._die(point)
            return result

        async def streams(*args: Any, **named: Any) -> AsyncIterator[Any]:
            chosen = begins()
            async for item in call(*args, **named):
                yield item
            if chosen and point.moment is Moment.AFTER:
                self._die(point)

        return streams if _streams(getattr(SEAMS[point.seam], point.method, None)) else waits


def die(failpoint: Failpoint) -> None:
    """Kill this process as `kill -9` would, after a last line in the log."""
    os.write(2, f"{_LAST_WORDS}{failpoint}\n".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def died_at(log: Path) -> Failpoint | None:
    """Return the failpoint at which the last process with this log died; None if at none."""
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        last = lines.read().decode("utf-8", "replace").splitlines()[-1:]
    named = {f"{_LAST_WORDS}{point}": point for point in every_failpoint()}
    return named.get(last[0]) if last else None
