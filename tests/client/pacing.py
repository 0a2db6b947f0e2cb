"""Replaces time and randomness in tests: nothing waits, and the waits are recorded."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from partway_client._transport.retry_policy import RetryPolicy


class Slept:
    """A sleep that returns at once and records the seconds."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


class LoopClock:
    """The clock of the event loop, which timeouts use and a test may advance."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self._ahead)

    def skip(self, seconds: float) -> None:
        self._ahead += seconds


def pace(slept: Slept, **others: Any) -> RetryPolicy:
    """Return a policy with the longest random waits, recorded in `slept`, and no reports."""
    return RetryPolicy(**{"sleep": slept, "random": lambda: 1.0, "report_seconds": 1e9, **others})


async def until(condition: Callable[[], object]) -> None:
    """Let other tasks run until `condition` is true; fail after ten seconds or more."""
    for _ in range(10_000):
        if condition():
            return
        # Sockets need real time to deliver; how much does not matter.
        await asyncio.sleep(0.001)
    raise AssertionError("the condition never became true")
