"""Tests the rate limit: all parts together stay below it, in small pieces."""

import asyncio
import os
from pathlib import Path

from partway_client._upload.rate_limit import RateLimit
from partway_client.client import UploadClient

from tests.client.pacing import Slept, pace
from tests.client.service import Service

MB = 1_000_000


class Time:
    """A clock that a sleep moves."""

    def __init__(self) -> None:
        self.now = 100.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_bytes_take_the_time_that_the_rate_gives_them() -> None:
    time = Time()
    limit = RateLimit(1 * MB, lambda: time.now, time.sleep)
    for _ in range(20):
        await limit.wait(MB // 10)
    assert round(time.now - 100.0, 6) == 1.9  # the last piece is sent, and none follows


async def test_those_who_wait_take_turns() -> None:
    slept = Slept()
    limit = RateLimit(1 * MB, lambda: 100.0, slept)
    await asyncio.gather(*(limit.wait(MB // 10) for _ in range(4)))
    assert [round(seconds, 6) for seconds in slept.seconds] == [0.1, 0.2, 0.3]


async def test_an_idle_time_gives_no_burst() -> None:
    time = Time()
    limit = RateLimit(1 * MB, lambda: time.now, time.sleep)
    await limit.wait(MB)
    time.now += 60
    began = time.now
    await limit.wait(MB)
    await limit.wait(MB)
    assert time.now - began == 1.0


async def test_without_a_limit_nothing_waits() -> None:
    slept = Slept()
    limit = RateLimit(0, lambda: 100.0, slept)
    await limit.wait(MB)
    assert (slept.seconds, limit.piece_bytes(512)) == ([], 512)


def test_a_piece_is_sent_within_an_eighth_of_a_second() -> None:
    assert RateLimit(80_000, lambda: 0.0, Slept()).piece_bytes(256 * 1024) == 10_000
    assert RateLimit(1, lambda: 0.0, Slept()).piece_bytes(256 * 1024) == 1


async def test_an_upload_waits_for_each_piece(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(100_000))
    slept = Slept()
    limited = UploadClient(
        service.address,
        state_dir=tmp_path,
        max_bytes_per_second=80_000,
        pace=pace(slept, monotonic=lambda: 0.0),
    )
    async with limited as client:
        await client.upload_file(file)
    assert slept.seconds == sorted(slept.seconds)
    # The last of at least ten pieces goes when all before it have taken their time.
    assert 1.125 <= slept.seconds[-1] < 1.25
