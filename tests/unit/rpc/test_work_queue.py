"""Tests whose turn it is to be worked on."""

import asyncio

import pytest
from partway_server.domain.errors import Overloaded
from partway_server.rpc.work_queue import WorkQueue

FOREVER = 1e6


class Calls:
    """Calls of tenants, by name; `begun` are those that had their turn, in order."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self.begun: list[str] = []

    async def add(self, *tenants: str) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._begin(tenant)) for tenant in tenants]
        await settled()
        return tasks

    async def _begin(self, tenant: str) -> None:
        await self._queue.enter(tenant)
        self.begun.append(tenant)

    async def end(self, tenant: str) -> None:
        self._queue.leave(tenant)
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_calls_wait_for_their_turn_in_order() -> None:
    queue = WorkQueue(1, wait_seconds=FOREVER)
    calls = Calls(queue)
    tasks = await calls.add("a", "b", "c")
    assert calls.begun == ["a"]
    await calls.end("a")
    assert calls.begun == ["a", "b"]
    await calls.end("b")
    assert calls.begun == ["a", "b", "c"]
    assert all(task.done() for task in tasks)
    await calls.end("c")
    assert queue.total == 0


async def test_the_next_turn_goes_to_the_tenant_with_the_fewest() -> None:
    calls = Calls(WorkQueue(4, wait_seconds=FOREVER))
    await calls.add(*["noisy"] * 10, "quiet")
    # Two thirds are the noisy tenant's, and one turn is left for others.
    assert calls.begun == ["noisy"] * 3 + ["quiet"]
    tasks = await calls.add("quiet", "new")
    await calls.end("noisy")
    assert calls.begun[4:] == ["new"]
    await calls.end("new")
    assert calls.begun[5:] == ["quiet"]
    assert all(task.done() for task in tasks)


async def test_tenants_with_as_many_take_turns() -> None:
    calls = Calls(WorkQueue(1, wait_seconds=FOREVER))
    await calls.add("x", *["a"] * 3, *["b"] * 3)
    for tenant in "xababa":
        await calls.end(tenant)
    assert "".join(calls.begun) == "xababab"


async def test_a_turn_that_does_not_come_is_overloaded_and_leaves_no_trace() -> None:
    queue = WorkQueue(1, wait_seconds=0)
    await queue.enter("a")
    for _ in range(3):
        with pytest.raises(Overloaded):
            await queue.enter("b")
    queue.leave("a")
    await queue.enter("b")
    queue.leave("b")
    assert queue.total == 0


@pytest.mark.parametrize("granted", [False, True])
async def test_a_call_that_is_cancelled_gives_its_turn_away(granted: bool) -> None:
    queue = WorkQueue(1, wait_seconds=FOREVER)
    calls = Calls(queue)
    _, waiting, other = await calls.add("a", "b", "c")
    if granted:
        queue.leave("a")
    waiting.cancel()
    if not granted:
        queue.leave("a")
    await settled()
    assert waiting.cancelled()
    assert calls.begun == ["a", "c"] and other.done()
    await calls.end("c")
    assert queue.total == 0


async def test_more_capacity_is_handed_out_at_once() -> None:
    queue = WorkQueue(1, wait_seconds=FOREVER)
    calls = Calls(queue)
    await calls.add("a", "b", "c", "d")
    queue.resize(4)
    await settled()
    assert calls.begun == ["a", "b", "c", "d"]
