"""Cancels a coroutine at one of its suspensions, as gRPC cancels a handler, and makes stores wait.

The memory twins answer at once. Behind a `Pausing` each of their calls suspends twice, before it is
carried out and after, so that a cancellation can hit either side of it.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Generator
from typing import Any


class Pausing:
    """A store whose every call suspends before it and after."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if inspect.iscoroutinefunction(method):

            async def waits(*args: Any, **named: Any) -> Any:
                await asyncio.sleep(0)
                answer = await method(*args, **named)
                await asyncio.sleep(0)
                return answer

            return waits
        if inspect.isasyncgenfunction(method):

            async def streams(*args: Any, **named: Any) -> AsyncIterator[Any]:
                await asyncio.sleep(0)
                async for item in method(*args, **named):
                    yield item
                    await asyncio.sleep(0)

            return streams
        return method


class _Counted:
    """Runs `work` step by step, and says after each how many times it has been suspended."""

    def __init__(self, work: Awaitable[Any], suspended: Any) -> None:
        self._work, self._suspended = work, suspended

    def __await__(self) -> Generator[Any, Any, Any]:
        steps, count, thrown = self._work.__await__(), 0, None
        while True:
            try:
                waited = next(steps) if thrown is None else steps.throw(thrown)
            except StopIteration as end:
                return end.value
            count += 1
            self._suspended(count)
            try:
                yield waited
            except BaseException as error:
                # As it would be raised in the work itself.
                thrown = error
            else:
                thrown = None


async def cancelled_at(work: Awaitable[Any], strikes: tuple[int, ...]) -> tuple[bool, Any]:
    """Run `work`, and cancel it each time that it has been suspended as often as `strikes` say.

    Returns whether it ended before the last strike, and its result: an exception if it raised one,
    None if it was cancelled.
    """
    loop = asyncio.get_running_loop()
    left = list(strikes)

    def suspended(count: int) -> None:
        if left and count >= left[0]:
            left.pop(0)
            # Once this step is over and the task waits, as when a caller goes away.
            loop.call_soon(task.cancel)

    async def counted() -> Any:
        return await _Counted(work, suspended)

    task = asyncio.create_task(counted())
    await asyncio.wait({task})
    if task.cancelled():
        return False, None
    return bool(left), task.exception() or task.result()
