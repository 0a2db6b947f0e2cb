"""Tests that a load begins calls at its rate, whatever becomes of them, and finds what is lost."""

import asyncio
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from tests.support.bucket import Bucket
from tests.support.load.load import lost
from tests.support.load.tally import Acknowledged
from tests.support.load.turnstile import Turnstile

RATE = 10.0


class Time:
    """A clock that moves when someone sleeps; it sets `stop` after some seconds."""

    def __init__(self, seconds: float) -> None:
        self.now = 0.0
        self.stop = asyncio.Event()
        self._end = seconds

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self._end:
            self.stop.set()
        for _ in range(3):
            await asyncio.sleep(0)


async def test_calls_begin_at_the_rate_although_none_is_answered() -> None:
    time, begun = Time(5), 0

    async def life() -> None:
        nonlocal begun
        await turnstile.turn()
        begun += 1
        await time.stop.wait()

    turnstile = Turnstile(RATE, life, now=lambda: time.now, sleep=time.sleep)
    await turnstile.run(time.stop)
    assert begun == pytest.approx(50, abs=1)
    assert turnstile.alive == 0


async def test_a_life_that_waits_goes_before_a_new_one() -> None:
    time, lives, calls = Time(5), 0, 0

    async def life() -> None:
        nonlocal lives, calls
        lives += 1
        for _ in range(5):
            await turnstile.turn()
            calls += 1

    turnstile = Turnstile(RATE, life, now=lambda: time.now, sleep=time.sleep)
    await turnstile.run(time.stop)
    assert calls == 5 * lives
    assert lives == pytest.approx(10, abs=1)


async def test_a_fault_of_the_load_is_raised() -> None:
    time = Time(5)

    async def life() -> None:
        raise RuntimeError("a fault of the load")

    turnstile = Turnstile(RATE, life, now=lambda: time.now, sleep=time.sleep)
    with pytest.raises(RuntimeError, match="a fault of the load"):
        await turnstile.run(time.stop)


class Objects:
    """A bucket that has these objects."""

    def __init__(self, **bodies: bytes) -> None:
        self._bodies = bodies

    def body(self, key: str) -> bytes:
        if key not in self._bodies:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return self._bodies[key]


def test_an_object_that_is_missing_or_another_is_lost() -> None:
    done = [Acknowledged("id", key, b"body", 0.0) for key in ("whole", "gone", "other")]
    bucket: Any = Objects(whole=b"body", other=b"another body")
    assert lost(done, cast(Bucket, bucket), "") == ["gone: NoSuchKey", "other: other bytes"]
