"""Tests what is reported of clocks that differ."""

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest
from partway_server.domain.clock import skew_seconds
from partway_server.domain.errors import SessionsUnavailable, StorageUnavailable
from partway_server.domain.policy import Policy
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.runtime.clock_check import ClockCheck, Skew, problems

from tests.support.clock import START, FakeClock


def redis(seconds: float) -> Skew:
    return Skew("Redis", seconds, is_storage=False)


def storage(seconds: float, backend: str = "default") -> Skew:
    return Skew(f"storage ({backend})", seconds, is_storage=True)


def test_skew_is_measured_against_the_middle_of_the_call() -> None:
    begun, ended = START, START + timedelta(seconds=2)
    assert skew_seconds(START + timedelta(seconds=61), begun, ended) == 60


@pytest.mark.parametrize("seconds", [0, 30, -30])
def test_clocks_within_half_a_minute_are_right(seconds: float) -> None:
    assert problems([redis(seconds), storage(seconds)]) == []


def test_names_the_clock_by_how_much_and_what_it_breaks() -> None:
    [line] = problems([redis(45), storage(1)])
    assert line == (
        "the clock of Redis is 45 s ahead of this machine's: abandoned and expired uploads are"
        " taken over that much early or late; synchronize both by NTP"
    )
    [line] = problems([redis(0), storage(-61, "far")])
    assert line.startswith("the clock of storage (far) is 61 s behind this machine's: presigned")
    assert "refuses" not in line
    [line] = problems([redis(0), storage(301)])
    assert "requests and URLs are signed by storage's time" in line
    assert "refuses" not in line
    [line] = problems([redis(0), storage(3601)])
    assert "storage refuses every signature" in line


def test_each_that_differs_is_named() -> None:
    lines = problems([redis(45), storage(-45), storage(0, "far")])
    assert [line.split(" is ")[0] for line in lines] == [
        "the clock of Redis",
        "the clock of storage (default)",
    ]


def test_this_machine_is_named_if_all_the_others_agree() -> None:
    [line] = problems([redis(-120), storage(-119), storage(-121, "far")])
    assert line.startswith(
        "the clock of this machine is 120 s ahead of those of Redis and storage (default) and"
        " storage (far): "
    )
    assert "URLs" in line
    assert "taken over" in line
    assert len(problems([redis(-120)])) == 1
    assert problems([redis(-120)])[0].startswith("the clock of Redis is 120 s behind")


class Clocks:
    """Both stores, with clocks that are wrong by so many seconds; None: it does not answer."""

    def __init__(self, redis: float | None, storage: float | None) -> None:
        self.clock = FakeClock()
        self.redis, self.storage = redis, storage
        self.deps: Any = type("Deps", (), {})()
        policies = PolicyRegistry({"default": Policy("default", "uploads")})
        self.deps.policies, self.deps.clock = policies, self.clock
        self.deps.sessions, self.deps.storage = self, self

    async def time(self, *place: str) -> datetime:
        wrong = self.storage if place else self.redis
        if wrong is None:
            raise StorageUnavailable if place else SessionsUnavailable
        return self.clock.now() + timedelta(seconds=wrong)


async def test_a_start_with_signatures_that_storage_refuses_is_refused() -> None:
    assert "3602 s ahead" in await ClockCheck(Clocks(0, 3602).deps).first()


@pytest.mark.parametrize(("redis", "storage"), [(5000, 0), (0, 899), (0, None), (None, 0)])
async def test_any_other_start_is_not(
    redis: float | None, storage: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert await ClockCheck(Clocks(redis, storage).deps).first() == ""
    wrong = bool(redis or storage)
    assert [r.levelno for r in caplog.records] == [logging.ERROR] * wrong


async def test_it_looks_every_hour(caplog: pytest.LogCaptureFixture) -> None:
    clocks = Clocks(0, 0)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clocks.redis = {2: 31.0, 3: 0.0}.get(len(slept), clocks.redis)
        if len(slept) == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await ClockCheck(clocks.deps, sleep=sleep).run()
    assert slept == [3600.0] * 4
    assert len(caplog.messages) == 1
    assert "31 s ahead" in caplog.messages[0]
