"""Do long work in steps, so that it holds up no other call.

Work whose length depends on its input is written as a generator. It yields how much it has just
done and returns its result; it decides nothing about when it goes on. `in_turns` runs it and gives
the event loop back often enough; `finish` runs what is known to be short.

Between two steps other calls run: only what no one else can change may be relied on.
"""

import asyncio
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

Steps = Generator[int, None, T]
"""Work in steps. Each yields its cost: 1 is what it takes to compare one part with another."""

BLOCK = 100
"""How many parts, or the like, one step handles."""

ROUND = 1000
"""The cost after which the event loop is given back: about a millisecond."""


class _Turns:
    """What was spent in this round of an event loop, and the line of those who want to go on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.spent = 0
        self._call_soon = loop.call_soon
        self._future = loop.create_future
        self._line: deque[tuple[asyncio.Future[None], int]] = deque()

    def wait(self, cost: int) -> asyncio.Future[None]:
        """Return what is done once it is the turn of one whose last step had this cost."""
        if not self._line:
            self._call_soon(self._next_round)
        turn = self._future()
        self._line.append((turn, cost))
        return turn

    def _next_round(self) -> None:
        """Let those go on whose next steps fit into one round, if they are like their last."""
        self.spent = expected = 0
        while self._line and expected < ROUND:
            turn, cost = self._line.popleft()
            # Or its waiter was cancelled.
            if not turn.done():
                turn.set_result(None)
                expected += cost
        if self._line:
            self._call_soon(self._next_round)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


async def in_turns(steps: Steps[T]) -> T:
    """Return the result of `steps`, giving the event loop back in between."""
    cost = 0
    while True:
        try:
            cost += next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        # Little work never waits, however much of it there is.
        if cost >= BLOCK:
            await spend(cost)
            cost = 0


async def spend(cost: int) -> None:
    """Count work of this cost, and give the event loop back if that was enough for one round.

    All work of the loop shares what one round may cost: ten calls with much to do take turns, and
    a small call waits for one of them, not for ten.
    """
    loop = asyncio.get_running_loop()
    if (turns := _turns.get(loop)) is None:
        turns = _turns[loop] = _Turns(loop)
    turns.spent += cost
    if turns.spent >= ROUND:
        await turns.wait(cost)


def finish(steps: Steps[T]) -> T:
    """Return the result of `steps`, all at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def blocks(items: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
    """Yield `items` in blocks, each with the index of its first."""
    for begin in range(0, len(items), BLOCK):
        yield begin, items[begin : begin + BLOCK]
