"""Time and chance, as the client meets them, and how long it waits before it tries again."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Pace:
    """Where time and chance come from, and the figures that hang on them.

    `random` gives floats from 0 to 1. A connection on which nothing moves for `stall_seconds` is
    given up, and one that does not come about within `connect_seconds`. A part is given up after
    `part_tries` failed tries in a row during which no part was finished; a call after `call_tries`,
    or `first_call_tries` if the service never answered yet. With the waits between them, parts and
    calls outlast an outage of two minutes. What was sent is reported every `report_seconds` at
    most.
    """

    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = random.random
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _now
    stall_seconds: float = 60.0
    connect_seconds: float = 20.0
    part_tries: int = 20
    call_tries: int = 24
    first_call_tries: int = 4
    report_seconds: float = 0.5

    async def back_off(self, tries: int, *, base: float, cap: float, at_least: float = 0.0) -> None:
        """Wait before the next try, after `tries` have failed: exponential, with equal jitter.

        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/. Not full jitter:
        by bad luck that spends all tries within a few seconds of an outage. `at_least` is
        what the other side asked for, in seconds; the jitter comes on top, so that callers which
        were told the same do not come back together.
        """
        longest = min(cap, base * 2 ** (tries - 1))
        await self.sleep(at_least + (1 + self.random()) * longest / 2)
