"""Tests how a start waits for Redis and storage, on a clock that is passed in."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from partway_server.domain.obstacle import Obstacle, StoreUnusable
from partway_server.runtime.waiting import (
    MOST_SECONDS,
    QUIET_SECONDS,
    StartupError,
    unless_set,
    wait_until_usable,
)

AWAY = StoreUnusable("Redis", Obstacle("the connection failed", "Check the port.", passes=True))
WRONG = StoreUnusable("storage", Obstacle("the bucket does not exist", "Create it."))


class Stand:
    """A clock, and stores that are found as `states` say, one after the other."""

    def __init__(self, *states: Sequence[StoreUnusable]) -> None:
        self.states = list(states)
        self.seconds = 1000.0
        self.pauses: list[float] = []

    async def check(self) -> Sequence[StoreUnusable]:
        return self.states.pop(0)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds

    async def wait(self) -> None:
        await wait_until_usable(self.check, now=lambda: self.seconds, sleep=self.sleep)


async def test_stores_that_answer_are_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    stand = Stand([])
    await stand.wait()
    assert not stand.pauses and not caplog.records


async def test_what_may_come_back_is_waited_for_with_back_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    stand = Stand(*[[AWAY]] * 6, [])
    await stand.wait()
    assert stand.pauses == [1, 2, 4, 8, MOST_SECONDS, MOST_SECONDS]
    first, last = caplog.messages
    assert first == "not ready, waiting for Redis: the connection failed. Check the port."
    assert last == "waited 35 s for Redis and storage: both answer"


async def test_it_says_what_it_waits_for_once_a_minute_at_most(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stand = Stand(*[[AWAY]] * 100, [])
    await stand.wait()
    assert len(caplog.records) <= 2 + sum(stand.pauses) / QUIET_SECONDS
    times = [record for record in caplog.messages if record.startswith("not ready")]
    assert len(times) > 10


async def test_what_an_operator_must_change_ends_the_start_at_once() -> None:
    stand = Stand([AWAY, WRONG])
    with pytest.raises(StartupError) as error:
        await stand.wait()
    assert str(error.value) == "storage: the bucket does not exist. Create it."
    assert not stand.pauses


async def test_what_shows_only_after_the_wait_ends_the_start_too() -> None:
    stand = Stand([AWAY], [WRONG])
    with pytest.raises(StartupError):
        await stand.wait()
    assert stand.pauses == [1]


async def test_a_stop_ends_the_wait_at_once() -> None:
    stop = asyncio.Event()

    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.ensure_future(unless_set(stop, wait()))
    await begun.wait()
    stop.set()
    assert not await task
    assert ended.is_set()


async def test_an_error_of_the_wait_goes_on() -> None:
    async def fail() -> None:
        raise StartupError("wrong")

    with pytest.raises(StartupError):
        await unless_set(asyncio.Event(), fail())
