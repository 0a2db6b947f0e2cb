"""Tests work in steps: what it returns, and that it shares the event loop."""

import asyncio

import pytest
from partway_server.domain.steps import BLOCK, ROUND, Steps, blocks, finish, in_turns


def counting(to: int, seen: list[int] | None = None) -> Steps[int]:
    for number in range(to):
        if seen is not None:
            seen.append(number)
        yield ROUND
    return to


async def test_the_result_is_that_of_the_work() -> None:
    assert await in_turns(counting(3)) == finish(counting(3)) == 3
    assert await in_turns(counting(0)) == finish(counting(0)) == 0


async def test_others_run_between_two_rounds() -> None:
    seen: list[int] = []
    work = asyncio.create_task(in_turns(counting(10, seen)))
    before = -1
    while not work.done():
        await asyncio.sleep(0)
        # Never two steps in one round of the loop.
        assert len(seen) - 1 <= before + 1
        before = len(seen) - 1
    assert seen == list(range(10))


async def test_all_work_shares_a_round() -> None:
    seen: list[int] = []
    works = [asyncio.create_task(in_turns(counting(10, seen))) for _ in range(10)]
    # The first step of each is done before it can be known to be one of many.
    await asyncio.sleep(0)
    before = len(seen)
    while not all(work.done() for work in works):
        await asyncio.sleep(0)
        assert len(seen) - before <= 1
        before = len(seen)
    assert len(seen) == 100


async def test_what_is_cancelled_in_line_lets_the_next_go_on() -> None:
    works = [asyncio.create_task(in_turns(counting(5))) for _ in range(3)]
    await asyncio.sleep(0)
    works[1].cancel()
    await asyncio.wait(works)
    assert works[1].cancelled()
    assert (works[0].result(), works[2].result()) == (5, 5)


async def test_an_error_ends_the_work() -> None:
    def failing() -> Steps[None]:
        yield ROUND
        raise ValueError("so it is")

    with pytest.raises(ValueError, match="so it is"):
        await in_turns(failing())


@pytest.mark.parametrize("count", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_blocks_are_all_items_in_order(count: int) -> None:
    items = range(count)
    assert [each for _, block in blocks(items) for each in block] == list(items)
    assert all(items[begin] == block[0] for begin, block in blocks(items))
    assert all(len(block) <= BLOCK for _, block in blocks(items))
