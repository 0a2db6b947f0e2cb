"""Seams of a process that can die, or lose a reply, at any of its calls.

A killed process makes no further call to Redis or storage, and its callers hear nothing. So a
`Life` freezes the call that was struck, for ever, and cancels every later one: no clean-up code
reaches a store.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Strike:
    """What happens at a call: `error` is raised there or, if it is None, the process dies.

    `late`: the store has carried out the call, and only the reply is affected.
    """

    call: str
    late: bool
    error: type[Exception] | None = None


class Life:
    """The life of a process: whether it is alive, and which strike it will suffer."""

    def __init__(self) -> None:
        self.died = asyncio.Event()
        self._strike: Strike | None = None

    def threaten(self, strike: Strike | None) -> None:
        """Let `strike` hit the next call of its name; None withdraws a pending strike."""
        self._strike = strike

    async def through(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make the call, or suffer the strike that is due."""
        if self.died.is_set():
            raise asyncio.CancelledError
        struck = self._strike if self._strike and self._strike.call == name else None
        if struck:
            self._strike = None
            if not struck.late:
                await self._befall(struck)
        answer = await call()
        if self.died.is_set():
            raise asyncio.CancelledError
        if struck:
            await self._befall(struck)
        return answer

    async def _befall(self, strike: Strike) -> None:
        if strike.error is not None:
            raise strike.error
        self.died.set()
        # Until the loop cancels it, as the end of a process would.
        await asyncio.Event().wait()


class Mortal:
    """A seam as a process with this life sees it."""

    def __init__(self, seam: Any, life: Life) -> None:
        self._seam = seam
        self._life = life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._seam, name)
        if not inspect.iscoroutinefunction(method):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._life.through(name, lambda: method(*args, **kwargs))

        return call
