"""How many calls to work on at a time, by how busy the event loop is.

With more calls than the CPU can work on, each takes longer and none more are answered. The limit
falls by a factor while the loop runs late because it is busy, and rises by a step while it does
not: additive increase, multiplicative decrease, as TCP has it. Where calls wait for slow storage,
the loop is not late. Where other programs take the CPU it is late, but not busy: then fewer calls
in work would be fewer answers. In both cases the limit rises.

It rises while at least half of it is used, up to its maximum (as TCP's window does, RFC 7661): a
limit far above what is used would have to fall for a second or two before it had any effect.
"""

LATE_SECONDS = 0.002
"""How late the loop may run. A call passes through it about ten times."""

BUSY = 0.8
"""The part of its time for which a busy loop has the CPU."""

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

    def observe(self, late_seconds: float, busy: float, wanted: int) -> None:
        """Adapt to one observation of the loop, and of the calls in work or waiting for a turn.

        The loop ran late by `late_seconds`, and had the CPU for the part `busy` of the time.
        """
        if late_seconds > LATE_SECONDS and busy > BUSY:
            self._limit = max(self._limit * _FALL, self._least)
        elif wanted >= self._limit / 2:
            self._limit = min(self._limit + max(1.0, self._limit * _RISE), self._most)
