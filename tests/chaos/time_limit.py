"""Ends a run that hangs, and shows where each of its tasks stands."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Hung(Exception):
    """A run took longer than it can take."""


async def within(seconds: float, run: Coroutine[Any, Any, T]) -> T:
    """Return the result of a run. Raises Hung if it takes longer, once it has cleaned up."""
    task = asyncio.ensure_future(run)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if done:
        return task.result()
    for each in asyncio.all_tasks():
        each.print_stack(limit=4, file=sys.stderr)
    task.cancel()
    await asyncio.wait({task})
    raise Hung(f"the run has not ended within {seconds:.0f} s: see above where it stood")
