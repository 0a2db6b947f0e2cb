"""Tests how the items of a batch share its turns at storage."""

import asyncio

from partway_server.observability.metrics import Metrics
from partway_server.rpc.admission import Admission, Capacities
from partway_server.rpc.storage_turns import SIDE_BY_SIDE, StorageTurns


def an_admission(calls: int) -> Admission:
    """Return one with half as many turns at storage."""
    limits = Capacities(calls=calls, watches=1, parts=1, unread_bytes=1)
    return Admission(limits, metrics=Metrics(), now=lambda: 0.0)


async def a_batch(admission: Admission, tenant: str = "acme") -> StorageTurns:
    """Return the turns of a batch that was admitted."""
    await admission.wait_for_turn("storage", tenant)
    return StorageTurns(admission, tenant)


class Items:
    """The items of a batch, each inside until it is let out."""

    def __init__(self, turns: StorageTurns) -> None:
        self._turns = turns
        self.inside: list[int] = []
        self.waited: dict[int, bool] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self._ends: dict[int, asyncio.Event] = {}

    async def come(self, count: int) -> None:
        for _ in range(count):
            number = len(self.tasks)
            self._ends[number] = asyncio.Event()
            self.tasks.append(asyncio.create_task(self._item(number)))
        await settled()

    async def let_out(self, number: int) -> None:
        self._ends[number].set()
        await settled()

    async def _item(self, number: int) -> None:
        async with self._turns.turn() as waited:
            self.inside.append(number)
            self.waited[number] = waited
            try:
                await self._ends[number].wait()
            finally:
                self.inside.remove(number)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_batch_has_its_own_turn_and_more_while_there_is_room() -> None:
    items = Items(await a_batch(an_admission(100)))
    await items.come(SIDE_BY_SIDE + 2)
    assert items.inside == list(range(SIDE_BY_SIDE))
    await items.let_out(3)
    assert items.inside[-1] == SIDE_BY_SIDE
    assert (items.waited[0], items.waited[SIDE_BY_SIDE]) == (False, True)


async def test_without_room_items_go_one_by_one() -> None:
    admission = an_admission(2)
    items = Items(await a_batch(admission))
    await items.come(3)
    for number in range(3):
        assert items.inside == [number]
        await items.let_out(number)
    assert items.inside == []


async def test_another_tenant_gets_a_turn_before_the_next_item() -> None:
    admission = an_admission(8)  # Of 4 turns at storage a tenant alone may have 3.
    items = Items(await a_batch(admission))
    await items.come(6)
    assert len(items.inside) == 3
    other = Items(await a_batch(admission, "evil"))
    await other.come(2)
    assert other.inside == [0]
    # A turn that is given back is his: she has three of four, and he has one.
    await items.let_out(2)
    assert len(items.inside) == 2
    await other.come(0)
    assert other.inside == [0]
    await other.let_out(0)
    assert other.inside == [1]


async def test_an_item_that_goes_away_while_it_waits_leaves_the_turn_to_the_next() -> None:
    items = Items(await a_batch(an_admission(2)))
    await items.come(3)
    # Its turn comes at the moment in which it is cancelled.
    items.tasks[0].cancel()
    await asyncio.sleep(0)
    items.tasks[1].cancel()
    await settled()
    assert items.inside == [2]


async def test_all_turns_are_given_back() -> None:
    admission = an_admission(8)
    items = Items(await a_batch(admission))
    await items.come(20)
    for task in items.tasks:
        task.cancel()
    await settled()
    assert items.inside == []
    admission.end_turn("storage", "acme")
    again = [admission.try_turn("storage", "acme") for _ in range(5)]
    assert again == [True, True, True, False, False]
