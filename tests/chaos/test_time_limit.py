"""Tests that a run which hangs is ended, and shows where it stood."""

import asyncio

import pytest

from tests.chaos.time_limit import Hung, within


async def test_the_result_of_a_run_in_time_is_returned() -> None:
    async def run() -> int:
        return 7

    assert await within(60, run()) == 7


async def test_what_a_run_raises_is_raised() -> None:
    async def run() -> None:
        raise RuntimeError("its own")

    with pytest.raises(RuntimeError, match="its own"):
        await within(60, run())


async def test_a_run_that_hangs_is_ended_and_cleans_up(capsys: pytest.CaptureFixture[str]) -> None:
    cleaned = False

    async def hang() -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            cleaned = True

    with pytest.raises(Hung, match="has not ended within 0 s"):
        await within(0, hang())
    assert cleaned
    assert "asyncio.Event().wait()" in capsys.readouterr().err
