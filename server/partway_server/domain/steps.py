"""Do long work in steps, so that it holds up no other call.

Work whose length depends on its input is written as a generator. It yields how much it has just
done and returns its result; it decides nothing about when it goes on. `in_turns` runs it and gives
the event loop back often enough; `finish` runs what is known to be short.

Between two steps other calls run: only what no one else can change may be relied on.
"""

import asyncio
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

Steps = Generator[int, None, T]
"""Work in steps. Each yields its cost: 1 is what it takes to compare one part with another."""

BLOCK = 100
"""How many parts, or the like, one step handles."""

ROUND = 1000
"""The cost after which the event loop is given back: about a millisecond."""


@dataclass(slots=True)
class _Turns:
    """What was spent in this round of an event loop, and the line of those who want to go on."""

    spent: int = 0
    line: asyncio.Lock = field(default_factory=asyncio.Lock)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


async def in_turns(steps: Steps[T]) -> T:
    """Return the result of `steps`, giving the event loop back in between.

    All work of the loop shares what one round may cost: ten calls with much to do take turns, and
    a small call waits for one of them, not for ten.
    """
    loop = asyncio.get_running_loop()
    if (turns := _turns.get(loop)) is None:
        turns = _turns[loop] = _Turns()
    while True:
        try:
            turns.spent += next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if turns.spent >= ROUND:
            async with turns.line:
                await asyncio.sleep(0)
                turns.spent = 0


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
