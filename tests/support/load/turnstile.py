"""An open loop: calls begin at a fixed rate, whether or not earlier ones have been answered."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


class Turnstile:
    """Lets one call begin at each tick: that of the life that waits longest, or of a new life.

    A life is what one caller does, call by call; each awaits a `turn` before each of its calls.
    While answers are late no life waits, and so each tick begins a new one.
    """

    def __init__(
        self,
        rate: float,
        new_life: Callable[[], Coroutine[Any, Any, None]],
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate = rate
        self._new_life = new_life
        self._now, self._sleep = now, sleep
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lives: set[asyncio.Task[None]] = set()
        self._free_turns = 0
        self._fault: BaseException | None = None
        self.latest = 0.0
        """By how many seconds a tick was late at most: then this process had too little CPU."""

    @property
    def alive(self) -> int:
        """Return how many lives have not ended."""
        return len(self._lives)

    async def turn(self) -> None:
        """Wait until a call may begin."""
        if self._free_turns:
            self._free_turns -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until `stop` is set, and then for the calls of those that live until they end.

        Raises what a life raised: it is a fault of the load.
        """
        due = self._now()
        while not stop.is_set() or self._lives:
            due += 1 / self._rate
            late = self._now() - due
            self.latest = max(self.latest, late)
            # A tick that is late comes at once, so that none is left out.
            await self._sleep(max(-late, 0))
            if self._fault is not None:
                raise self._fault
            self._tick(begin=not stop.is_set())

    async def outlive(self) -> None:
        """Wait until all lives that have begun by now have ended."""
        if self._lives:
            await asyncio.wait(set(self._lives))

    async def cancel(self) -> None:
        """End all lives at once."""
        for life in self._lives:
            life.cancel()
        if self._lives:
            await asyncio.wait(self._lives)

    def _tick(self, *, begin: bool) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        if begin:
            self._free_turns += 1
            life = asyncio.ensure_future(self._new_life())
            self._lives.add(life)
            life.add_done_callback(self._ended)

    def _ended(self, life: asyncio.Task[None]) -> None:
        self._lives.discard(life)
        if not life.cancelled():
            self._fault = self._fault or life.exception()
