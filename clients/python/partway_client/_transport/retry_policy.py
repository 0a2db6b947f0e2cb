"""When the client retries: clock, randomness, timeouts, number of tries, back-off."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The sources of time and randomness, and the limits that depend on them.

    `random` returns floats from 0 to 1. A connection is given up if nothing moves on it for
    `stall_seconds`, or if it is not established within `connect_seconds`. A part is given up after
    `part_tries` failures in a row during which no other part finished; a call after `call_tries`,
    or after `first_call_tries` if the service has never answered. With the waits between tries,
    parts and calls outlast an outage of two minutes. Sent parts are reported at most every
    `report_seconds`.
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

    def with_retries(self, retries: int) -> Self:
        """Return a policy with this many tries after the first. Raises ValueError."""
        if retries < 0:
            raise ValueError("retries must be at least 0")
        tries = retries + 1
        # Also of the first call: whoever says so may be waiting for a service that starts.
        return replace(self, part_tries=tries, call_tries=tries, first_call_tries=tries)

    async def back_off(self, tries: int, *, base: float, cap: float, at_least: float = 0.0) -> None:
        """Wait before the next try, after `tries` have failed: exponential, with equal jitter.

        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/. Not full jitter:
        with bad luck it spends all tries within the first seconds of an outage. `at_least` is the
        wait in seconds that the other side asked for; the jitter is added to it, so that callers
        given the same figure do not all come back at once.
        """
        longest = min(cap, base * 2 ** (tries - 1))
        await self.sleep(at_least + (1 + self.random()) * longest / 2)
