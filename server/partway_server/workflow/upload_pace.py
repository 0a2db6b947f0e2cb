"""The least rate of the bytes of a part on their way through the service.

Only the time of waiting for the caller counts: while storage is slow, the caller waits for us.
"""

from collections.abc import AsyncIterator, Callable

WINDOW_SECONDS = 30.0


class UploadPace:
    """How fast bytes arrive: on average over windows of WINDOW_SECONDS of waiting for them."""

    def __init__(self, least_rate: int, monotonic: Callable[[], float]) -> None:
        self._least = least_rate * WINDOW_SECONDS
        self._waited, self._bytes = 0.0, 0
        self.monotonic = monotonic

    def fast_enough(self, waited_seconds: float, size_bytes: int) -> bool:
        """Count the bytes of one wait, and return whether the window that it ends was enough."""
        self._waited += waited_seconds
        self._bytes += size_bytes
        if self._waited < WINDOW_SECONDS:
            return True
        # A wait may be longer than a window: then more bytes are due.
        enough = self._bytes >= self._least * self._waited / WINDOW_SECONDS
        self._waited, self._bytes = 0.0, 0
        return enough


async def fast_enough(
    chunks: AsyncIterator[bytes], pace: UploadPace, too_slow: Callable[[], Exception]
) -> AsyncIterator[bytes]:
    """Yield `chunks`. Raises what `too_slow` makes if they come below the least rate."""
    while True:
        begun = pace.monotonic()
        waiting = [await anext(chunks, None)]
        if waiting[0] is None:
            return
        if not pace.fast_enough(pace.monotonic() - begun, len(waiting[0])):
            raise too_slow()
        # Popped, so that no variable keeps it while storage is slow.
        yield waiting.pop() or b""
