"""Tests that the items of a batch run side by side, each to an outcome of its own."""

import asyncio

import pytest
from partway_server.domain.errors import TimedOut
from partway_server.workflow.batch import GROUP, run_together

FOREVER = 3600.0


async def test_each_has_its_outcome_in_order() -> None:
    async def item(number: int) -> int:
        for _ in range(10 - number):
            await asyncio.sleep(0)
        if number % 2:
            raise ValueError(number)
        return number

    outcomes = await run_together([item(n) for n in range(10)], FOREVER)
    assert outcomes[::2] == [0, 2, 4, 6, 8]
    assert [str(each) for each in outcomes[1::2]] == ["1", "3", "5", "7", "9"]


async def test_all_run_at_the_same_time() -> None:
    count = 2 * GROUP + 1
    barrier = asyncio.Barrier(count)
    outcomes = await run_together([barrier.wait() for _ in range(count)], FOREVER)
    assert sorted(str(each) for each in outcomes) == sorted(map(str, range(count)))


async def test_what_takes_too_long_is_cut_off_alone() -> None:
    cut: list[str] = []

    async def hangs() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cut.append("hangs")
        return ""

    async def ends() -> str:
        return "done"

    late, done = await run_together([hangs(), ends()], 0)
    assert isinstance(late, TimedOut)
    assert (done, cut) == ("done", ["hangs"])


async def test_all_are_cut_off_with_the_call_and_none_begins_after_it() -> None:
    begun: list[int] = []
    cut: list[int] = []

    async def item(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.Event().wait()
        finally:
            cut.append(number)

    works = [item(n) for n in range(3 * GROUP)]
    calling = asyncio.create_task(run_together(works, FOREVER))
    for _ in range(2):
        await asyncio.sleep(0)
    assert begun
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await asyncio.sleep(0)
    assert cut == begun
    assert len(begun) < len(works)
