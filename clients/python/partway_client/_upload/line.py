"""Gives the parts of all uploads of one client their places on the line that they share."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable

from partway_client._upload.line_controller import Flight, LineController
from partway_client._upload.rate_limit import RateLimit

_LOOK_SECONDS = 1.0
"""How often parts that wait are looked at while nothing moves."""

_MOVED_SECONDS = 0.05
"""And at most how often while bytes move."""


class PartOnLine:
    """One try to send a part, which has a place.

    `on_stop` is called if it is to give it up, `on_moved` now and then while bytes move. Whoever
    sends it sets `done` or `lost`, if it arrived, or if the line lost it.
    """

    def __init__(self, line: "Line", flight: Flight) -> None:
        self._line = line
        self._flight = flight
        self.on_stop: Callable[[], None] = lambda: None
        self.on_moved: Callable[[], None] = lambda: None
        self.done = self.lost = False

    @property
    def stopped(self) -> bool:
        """Whether the part is to be sent later."""
        return self._flight.stopped

    @property
    def fresh(self) -> bool:
        """Whether the part should have a connection of its own: kept ones have broken."""
        return self._flight.fresh

    @property
    def sent_bytes(self) -> int:
        """How much of the part was sent."""
        return self._flight.sent_bytes

    def begin(self) -> None:
        """Record that the body begins, perhaps not for the first time."""
        self._line.controller.begin(self._line.monotonic(), self._flight)

    def move(self, size_bytes: int) -> None:
        """Record that bytes of it moved."""
        now = self._line.monotonic()
        self._line.controller.move(now, self._flight, size_bytes)
        if self._line.look_sometimes(now):
            self.on_moved()

    def await_answer(self) -> None:
        """Record that all its bytes are sent: the next part may start."""
        self._line.controller.await_answer(self._line.monotonic(), self._flight)
        self._line.look()


class Line:
    """The line of one client: who waits for a place, in order, and who has one."""

    def __init__(self, monotonic: Callable[[], float], limit: RateLimit) -> None:
        self.monotonic = monotonic
        self.limit = limit
        self.controller = LineController()
        self._waiting: deque[tuple[int, asyncio.Future[Flight]]] = deque()
        self._parts: dict[Flight, PartOnLine] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looked = float("-inf")

    @contextlib.asynccontextmanager
    async def place(self, size_bytes: int) -> AsyncIterator[PartOnLine]:
        """Wait for a place for a part, and hold it."""
        flight = await self._flight(size_bytes)
        part = self._parts[flight] = PartOnLine(self, flight)
        try:
            yield part
        finally:
            del self._parts[flight]
            self._end(flight, done=part.done, lost=part.lost)

    def piece_bytes(self, most: int) -> int:
        """Return how much to read and write at once: what moves in a twentieth of a second.

        Of larger pieces it would be known too late that they moved.
        """
        most = self.limit.piece_bytes(most)
        rate = self.controller.connection_rate
        return min(max(int(rate / 20), most // 16), most) if rate else most // 4

    def look_sometimes(self, now: float) -> bool:
        """Look, unless that was done just now: bytes move thousands of times a second."""
        if now - self._looked < _MOVED_SECONDS:
            return False
        self._looked = now
        self.look()
        return True

    def look(self) -> None:
        """Let those start that may, and stop those that the controller stopped."""
        controller = self.controller
        for flight, part in list(self._parts.items()):
            if flight.stopped:
                part.on_stop()
        while self._waiting:
            size_bytes, future = self._waiting[0]
            if future.done():
                # Cancelled.
                self._waiting.popleft()
                continue
            now = self.monotonic()
            if not controller.admits(now, size_bytes):
                break
            self._waiting.popleft()
            future.set_result(controller.start(now, size_bytes))
        self._look_later()

    async def _flight(self, size_bytes: int) -> Flight:
        future: asyncio.Future[Flight] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, future))
        self.look()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._end(future.result(), done=False, lost=False)
            raise

    def _end(self, flight: Flight, *, done: bool, lost: bool) -> None:
        self.controller.end(self.monotonic(), flight, done=done, lost=lost)
        self.look()

    def _look_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self.look)
