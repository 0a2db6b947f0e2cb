"""Time and chance for tests: nothing waits, and what would have been waited is written down."""

import asyncio
from collections.abc import Callable
from typing import Any

from partway_client._transport.retry_policy import RetryPolicy


class Slept:
    """A sleep that does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def pace(slept: Slept, **others: Any) -> RetryPolicy:
    """The longest waits that chance allows, written down in `slept`. Nothing is reported."""
    return RetryPolicy(**{"sleep": slept, "random": lambda: 1.0, "report_seconds": 1e9, **others})


async def until(condition: Callable[[], object]) -> None:
    """Let others run until `condition` holds; fails after ten seconds or more."""
    for _ in range(10_000):
        if condition():
            return
        # Sockets need real time to say that something came; how much does not matter.
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")
