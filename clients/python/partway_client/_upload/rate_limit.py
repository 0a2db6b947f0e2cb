"""Keeps all parts of one client together below a rate."""

from collections.abc import Awaitable, Callable

_PIECES_PER_SECOND = 8
"""The fewest: fewer would come in visible gusts."""


class RateLimit:
    """At most `bytes_per_second`, without a burst; 0 is no limit."""

    def __init__(
        self,
        bytes_per_second: int,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._rate = bytes_per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = float("-inf")

    def piece_bytes(self, most: int) -> int:
        """Return how much to send at once, of at most `most`."""
        return min(most, max(self._rate // _PIECES_PER_SECOND, 1)) if self._rate else most

    async def wait(self, size_bytes: int) -> None:
        """Wait until this many bytes may be sent, after those of all others who wait."""
        if not self._rate:
            return
        now = self._monotonic()
        begin = max(self._next, now)
        self._next = begin + size_bytes / self._rate
        if begin > now:
            await self._sleep(begin - now)
