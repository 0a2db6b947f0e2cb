"""Tests the least rate of a part that passes through the service."""

from collections.abc import AsyncIterator

import pytest
from partway_server.workflow.upload_pace import WINDOW_SECONDS, UploadPace, fast_enough

RATE = 1000


class TooSlow(Exception):
    pass


class Caller:
    """Sends chunks, each after a wait; the service takes `service_seconds` over each."""

    def __init__(self, *sent: tuple[float, int], service_seconds: float = 0) -> None:
        self._sent = sent
        self._service_seconds = service_seconds
        self._time = 0.0

    async def chunks(self) -> AsyncIterator[bytes]:
        for wait, size in self._sent:
            self._time += wait
            yield b"x" * size

    async def taken(self, rate: int = RATE) -> int:
        """Return how many bytes passed. Raises TooSlow."""
        pace, passed = UploadPace(rate, lambda: self._time), 0
        async for chunk in fast_enough(self.chunks(), pace, TooSlow):
            passed += len(chunk)
            self._time += self._service_seconds
        return passed


async def test_a_drip_is_too_slow_after_a_window() -> None:
    with pytest.raises(TooSlow):
        await Caller((15, 1), (15, 1), (15, 1)).taken()
    assert await Caller((14, 1), (15, 1)).taken() == 2


async def test_the_average_over_a_window_counts() -> None:
    burst = int(RATE * WINDOW_SECONDS)
    assert await Caller((0, burst), (29, 1), (2, 2000)).taken() == burst + 2001
    assert await Caller(*[(10, 10 * RATE)] * 20).taken() == 200 * RATE


async def test_what_came_in_an_earlier_window_does_not_count() -> None:
    with pytest.raises(TooSlow):
        await Caller((30, 10**6), (15, 1), (15, 1)).taken()


async def test_a_wait_longer_than_a_window_needs_more_bytes() -> None:
    with pytest.raises(TooSlow):
        await Caller((90, int(RATE * WINDOW_SECONDS))).taken()
    assert await Caller((90, 90 * RATE)).taken() == 90 * RATE


async def test_while_storage_is_slow_the_caller_is_not_to_blame() -> None:
    assert await Caller(*[(0.1, 10)] * 100, service_seconds=60).taken() == 1000


async def test_a_least_rate_of_nothing_lets_everything_pass() -> None:
    assert await Caller((100, 1), (100, 1)).taken(rate=0) == 2
