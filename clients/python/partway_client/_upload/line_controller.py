"""Decides how many parts are under way on one line. Arithmetic only: the time comes in.

One part fills most lines, and then a second one only makes both late: what is lost when the process
is killed is what was sent of parts that are not whole. So there is one at first, and more

- as long as all that is under way is sent within some seconds, so that little can be lost;
- where a trial has shown that more connections carry more, as with a limit for each connection.
  A trial starts parts; if the rate does not grow with them, the newest are stopped. It is repeated
  ever more rarely;
- fewer after a loss: half as many, and one more with each part that gets through (AIMD).

A part whose bytes are all sent, and whose answer is awaited, leaves its place to the next one, so
that the line is never idle between two parts. Hugging Face's Xet client decides by the ratio of
transfers in time to others (its `adaptive_concurrency`), which needs many small transfers; here a
part may take half a minute, so the bytes are counted that move on all connections together.
"""

from collections import deque
from dataclasses import dataclass, field

FREE_SECONDS = 3.0
"""Parts under way that are sent in this time may be as many as there are."""

LONGEST_SECONDS = 30.0
"""A part that takes longer is not begun beside others without proof that it helps."""

_FIRST_BYTES = 4 * 1024 * 1024
"""What may be under way, beyond one part, while the rate is unknown."""

_WINDOW_SECONDS = 3.0
_SAMPLE_SECONDS = 0.1
_GAP_SECONDS = 2.0
"""A longer pause counts as one of this length: a line that stands still is not a slow one."""

_STUCK_SECONDS = 5.0
"""From when on a part that does not move leaves its place to another."""

_SLOWEST_TRIAL = 200_000
"""Bytes per second below which one connection is always enough."""

_UNSURE_SECONDS = 0.5
"""At the beginning, buffers take more than the line carries."""

_FIRST_TRIAL_SECONDS = 1.7
_BASE_SECONDS = 1.0
_NEXT_TRIAL_SECONDS = 0.3
_TRIAL_SECONDS = 1.0
_PAUSE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 480.0
_SWALLOWED_BYTES = 256 * 1024
"""What the buffers of a new connection take at once, as if the line had carried it."""

_SWALLOWED_AT_FIRST = 1024 * 1024
"""And what all buffers on the way take of the first connection."""

_GAIN = 1.2
"""The least growth of the rate for which more connections are kept."""

_DEGRADED = 0.4
_LOSS_SECONDS = 2.0
_UNLIMITED = 1 << 16
_FRESH_PARTS = 20
"""How many parts have connections of their own after one broke: networks count bytes, too."""


@dataclass(slots=True, eq=False)
class Flight:
    """One try to send a part. `waiting`: all bytes are sent, and the answer is awaited.

    `stopped` is set by the controller: the try is to end, and the part to be sent later. `fresh`:
    it should have a connection of its own.
    """

    size_bytes: int
    moved_time: float
    sent_bytes: int = 0
    waiting: bool = False
    begun: bool = False
    trial: bool = False
    stopped: bool = False
    fresh: bool = False


@dataclass(slots=True)
class _Trial:
    """An experiment: `target` parts instead of `before`, which carried `rate`."""

    before: int
    target: int
    rate: float
    measure_time: float
    moved_bytes: int = -1
    since: float = 0.0


@dataclass(slots=True)
class LineController:
    """The parts under way on one line, and whether another may start. Times are in seconds."""

    rate: float = 0.0
    """Bytes per second of all connections together, in the last seconds of sending."""

    connection_rate: float = 0.0
    """Bytes per second of one connection."""

    _flights: list[Flight] = field(default_factory=list)
    _proven: int = 1
    _proven_rate: float = 0.0
    _ceiling: int = _UNLIMITED
    _loss_time: float = float("-inf")
    _fresh_left: int = 0
    _trial: _Trial | None = None
    _gained_rate: float = 0.0
    _trial_busy: float = _FIRST_TRIAL_SECONDS
    _pause: float = _PAUSE_SECONDS
    _now: float = 0.0
    _busy: float = 0.0
    _moved: int = 0
    _samples: deque[tuple[float, int]] = field(default_factory=lambda: deque([(0.0, 0)]))

    @property
    def under_way(self) -> int:
        """How many parts have a place now."""
        return sum(self._has_place(flight) for flight in self._flights)

    @property
    def busy_seconds(self) -> float:
        """For how long parts have moved, pauses left out."""
        return self._busy

    @property
    def moved_bytes(self) -> int:
        """How many bytes have moved in that time."""
        return self._moved

    def admits(self, now: float, size_bytes: int) -> bool:
        """Return whether a part of this size may start now. A trial may begin with it."""
        self._pass(now)
        placed = [flight for flight in self._flights if self._has_place(flight)]
        recent = now - _STUCK_SECONDS
        waiting = sum(f.size_bytes for f in self._flights if f.waiting and f.moved_time > recent)
        free = max(self.rate * FREE_SECONDS, 0.0 if self.rate else _FIRST_BYTES)
        if waiting and waiting + size_bytes > max(free, 2 * size_bytes):
            return False
        if not placed:
            return True
        if len(placed) >= self._ceiling:
            return False
        if sum(flight.size_bytes for flight in placed) + size_bytes <= free:
            return True
        return len(placed) < self._proven or self._tries_more(len(placed))

    def start(self, now: float, size_bytes: int) -> Flight:
        """Give a part its place."""
        self._pass(now)
        flight = Flight(size_bytes, now, trial=self._trial is not None)
        if self._fresh_left:
            self._fresh_left -= 1
            flight.fresh = True
        self._flights.append(flight)
        return flight

    def begin(self, now: float, flight: Flight) -> None:
        """Record that the body begins, from its first byte, perhaps not for the first time."""
        self._pass(now)
        flight.begun, flight.waiting, flight.sent_bytes, flight.moved_time = True, False, 0, now

    def move(self, now: float, flight: Flight, size_bytes: int) -> None:
        """Record that bytes of the part moved."""
        self._pass(now)
        flight.begun, flight.moved_time = True, now
        flight.sent_bytes += size_bytes
        self._moved += size_bytes
        self._sample()
        self._judge_trial()

    def await_answer(self, now: float, flight: Flight) -> None:
        """Record that all bytes of the part are sent."""
        self._pass(now)
        flight.waiting = True

    def end(self, now: float, flight: Flight, *, done: bool, lost: bool) -> None:
        """Record that the try ended: the part is in storage, or a connection broke, or neither."""
        self._pass(now)
        placed = self.under_way
        self._flights.remove(flight)
        if lost:
            if not flight.waiting:
                self._fresh_left = _FRESH_PARTS
            self._lose(now, placed)
        elif done and self._ceiling < _UNLIMITED:
            self._ceiling += 1

    def _pass(self, now: float) -> None:
        if any(f.begun and self._has_place(f) for f in self._flights):
            self._busy += min(max(now - self._now, 0.0), _GAP_SECONDS)
        self._now = now

    def _has_place(self, flight: Flight) -> bool:
        if flight.waiting or flight.stopped:
            return False
        if self._now - flight.moved_time < _STUCK_SECONDS:
            return True
        if not flight.begun:
            # It waits for the service or for its file, not for the line.
            return False
        # One at most gives way: a line that stands still as a whole is not helped by more.
        sending = (each for each in self._flights if each.begun and not each.waiting)
        return flight is not min(sending, key=lambda each: each.moved_time)

    def _sample(self) -> None:
        samples = self._samples
        if self._busy - samples[-1][0] < _SAMPLE_SECONDS:
            return
        samples.append((self._busy, self._moved))
        while len(samples) > 1 and samples[1][0] <= self._busy - _WINDOW_SECONDS:
            samples.popleft()
        since, before = samples[0]
        # Otherwise what buffers take at the beginning lets parts start that the line cannot carry.
        carried = self._moved - before - (0 if since else _SWALLOWED_AT_FIRST)
        self.rate = max(carried, 0) / (self._busy - since)
        self.connection_rate = self.rate / max(1, self.under_way)
        if self._trial is None and self.rate < _DEGRADED * self._proven_rate:
            # Other traffic, or another line: what was proven no longer is.
            self._proven, self._proven_rate = max(1, self._proven // 2), self.rate
            self._pause = _PAUSE_SECONDS

    def _tries_more(self, placed: int) -> bool:
        """Begin a trial of twice as many parts, if it is time for one."""
        slow = self.rate < _SLOWEST_TRIAL
        if self._trial is not None or slow or self._busy < self._trial_busy:
            return False
        target = min(2 * placed, self._ceiling)
        settle = max(0.5, (target - placed) * _SWALLOWED_BYTES / self.rate)
        base = self._gained_rate or self._peak()
        self._trial = _Trial(placed, target, base, self._busy + settle)
        self._proven = target
        return True

    def _peak(self) -> float:
        """Return the most that was carried in any second of the last few.

        Compared with their mean, a line that was only slow to begin would seem to gain by a trial.
        """
        samples = [each for each in self._samples if each[0] >= _UNSURE_SECONDS]
        rates = (
            (after[1] - before[1]) / (after[0] - before[0])
            for before in samples
            if (after := next((s for s in samples if s[0] - before[0] >= _BASE_SECONDS), None))
        )
        return max(rates, default=self.rate)

    def _judge_trial(self) -> None:
        trial = self._trial
        if trial is None or self._busy < trial.measure_time:
            return
        if trial.moved_bytes < 0:
            trial.moved_bytes, trial.since = self._moved, self._busy
            return
        seconds = self._busy - trial.since
        if seconds < _TRIAL_SECONDS:
            return
        rate = (self._moved - trial.moved_bytes) / seconds
        gain = rate / trial.rate
        kept = min(max(round(trial.before * gain), trial.before), trial.target)
        # The next trial follows at once, and compares with this one.
        self._gained_rate = rate if kept == trial.target and gain >= _GAIN else 0.0
        self._end_trial(kept if gain >= _GAIN else trial.before)

    def _end_trial(self, kept: int) -> None:
        trial = self._trial
        assert trial is not None
        self._trial = None
        self._proven = kept
        if kept > trial.before:
            self._proven_rate = self.rate
        if kept == trial.target:
            self._trial_busy = self._busy + _NEXT_TRIAL_SECONDS
        else:
            self._trial_busy = self._busy + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        newest = [f for f in reversed(self._flights) if f.trial and self._has_place(f)]
        for flight in newest[: max(0, self.under_way - kept)]:
            # One that is nearly whole costs less if it goes on.
            flight.stopped = 2 * flight.sent_bytes < flight.size_bytes
        for flight in self._flights:
            flight.trial = False

    def _lose(self, now: float, placed: int) -> None:
        if self._trial is not None:
            self._end_trial(self._trial.before)
        if now - self._loss_time >= _LOSS_SECONDS:
            # The connections of one line often break together: that is one loss.
            self._loss_time = now
            self._ceiling = max(1, placed // 2)
