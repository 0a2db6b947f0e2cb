"""Run many calls as one, side by side: each has a result of its own.

They do what as many calls at the same time would, also to each other. What is different is that
they share one time limit, and that their use of storage is bounded for all of them together.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

from partway_server.domain.errors import TimedOut

T = TypeVar("T")

GROUP = 8
"""How many begin in one turn of the event loop: enough that their commands to Redis go together,
few enough that other calls do not wait for all."""

StorageTurn = Callable[[], AbstractAsyncContextManager[bool]]
"""Waits for a turn to use storage, which its context is, and yields whether it had to wait."""


def at_once() -> AbstractAsyncContextManager[bool]:
    """Return the turn of a call that is not one of a batch: admission gave it one."""
    return nullcontext(False)


async def run_together(
    works: Sequence[Coroutine[Any, Any, T]], within_seconds: float
) -> list[T | Exception]:
    """Run `works`, and return what each returned or raised, in order.

    One that takes longer is cancelled, and has raised TimedOut: what it does must be safe to cut
    off, as a call is whose time is up. All are if this one is.
    """
    end = asyncio.get_running_loop().time() + within_seconds
    tasks: list[asyncio.Task[T]] = []
    waiting = list(works)
    try:
        while waiting:
            group, waiting = waiting[:GROUP], waiting[GROUP:]
            tasks += map(asyncio.create_task, group)
            await asyncio.sleep(0)
        await asyncio.wait(tasks, timeout=max(0, end - asyncio.get_running_loop().time()))
    finally:
        for task in tasks:
            task.cancel()
        for work in waiting:
            work.close()
    await asyncio.wait(tasks)
    return [_outcome(task) for task in tasks]


def _outcome(task: "asyncio.Task[T]") -> T | Exception:
    if task.cancelled():
        return TimedOut()
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, Exception):
        return error
    raise error
