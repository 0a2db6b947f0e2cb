"""How many calls to work on at a time, by how late the event loop runs.

With more calls than the CPU can work on, each takes longer and none more are answered. The limit
falls by a factor while the loop is late, and rises by a step while it is not: additive increase,
multiplicative decrease, as TCP has it. Where calls wait for slow storage the loop is not late, and
the limit rises to its maximum.
"""

LATE_SECONDS = 0.005
"""How late the loop may run. A call passes through it about ten times."""

LEAST = 8
"""What the limit never falls below: enough calls to keep the CPU busy."""

_FALL = 0.9
_RISE = 0.05


class LoadLimit:
    """A limit between LEAST and `most`, which adapts to the delays that it observes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = min(LEAST, most)
        self._limit = float(most)

    def __int__(self) -> int:
        return int(self._limit)

    def observe(self, late_seconds: float) -> None:
        """Adapt to one observation of how late the loop runs."""
        if late_seconds > LATE_SECONDS:
            self._limit = max(self._limit * _FALL, self._least)
        else:
            self._limit = min(self._limit + max(1.0, self._limit * _RISE), self._most)
