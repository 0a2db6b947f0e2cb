"""Says how fast bytes moved in the last seconds, and how long the rest takes at that rate."""

import time
from collections import deque
from collections.abc import Callable

from rich.filesize import decimal

_WINDOW_SECONDS = 10.0
_SAMPLE_SECONDS = 0.5
_LONGEST_SECONDS = 100 * 3600.0
_STILL_SECONDS = 5.0
"""From when on it is said that nothing moves: parts that storage is slow to take are no news."""


class RecentRate:
    """The rate of one transfer. A line that stands still shows at once, not in an average."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.restart(0)

    def restart(self, bytes_done: int) -> None:
        """Begin again: what is done so far did not move now."""
        now = self._monotonic()
        self._samples = deque([(now, bytes_done)])
        self._done, self._moved = bytes_done, now

    def moved(self, bytes_done: int) -> None:
        """Record how many bytes are done. Fewer than before are to be sent again."""
        now = self._monotonic()
        if bytes_done != self._done:
            self._done, self._moved = bytes_done, now
        if now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, bytes_done))
        # One sample older than the window stays, to measure the whole of it.
        while len(self._samples) > 1 and self._samples[1][0] <= now - _WINDOW_SECONDS:
            self._samples.popleft()

    def words(self, bytes_total: int) -> str:
        """Return the rate and the time left, or for how long nothing moved."""
        now = self._monotonic()
        still = now - self._moved
        if still >= _STILL_SECONDS:
            return f"nothing moved for {still:.0f} s"
        began, before = self._samples[0]
        rate = max(self._done - before, 0) / (now - began) if now > began else 0.0
        words = f"{decimal(int(rate))}/s"
        left = (bytes_total - self._done) / rate if rate else 0.0
        if 0 < left < _LONGEST_SECONDS:
            words += f", {_rough(left)} left"
        return words


def _rough(seconds: float) -> str:
    """Return a time as roughly as it is known."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
