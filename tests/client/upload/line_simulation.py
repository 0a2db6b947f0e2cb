"""Simulates an upload over a line, in steps of simulated time: no bytes, no clock, no waiting."""

import random
from collections import deque
from dataclasses import dataclass, field

from partway_client._upload.line_controller import Flight, LineController

from bench.line.lines import SimulatedLine

LONGEST_STEP_SECONDS = 0.02
BUFFERED_BYTES = 64 * 1024
"""What a connection takes at once, before the line carries it."""


@dataclass
class _Connection:
    number: int
    size_bytes: int
    flight: Flight
    limit_bytes: float
    opens: float
    handed: float = 0.0
    carried: float = 0.0
    answered: float = 0.0


@dataclass
class SimulatedUpload:
    """An upload of parts of `part_bytes`, at most `most` at a time, over `line`.

    `resent_bytes` are the bytes sent more than once; `most_at_risk` is the most that a kill would
    have lost; `most_under_way` how many parts were at most.
    """

    line: SimulatedLine
    part_bytes: int
    most: int = 8
    seed: int = 1
    controller: LineController = field(default_factory=LineController)
    seconds: float = 0.0
    sent_bytes: float = 0.0
    most_at_risk: float = 0.0
    most_under_way: int = 0
    _connections: list[_Connection] = field(default_factory=list)

    @property
    def _step(self) -> float:
        return min(LONGEST_STEP_SECONDS, self.line.ideal_seconds / 4_000)

    @property
    def to_ideal(self) -> float:
        return self.seconds / self.line.ideal_seconds

    @property
    def resent_bytes(self) -> float:
        return self.sent_bytes - self.line.size_bytes

    def run(self) -> "SimulatedUpload":
        dice = random.Random(self.seed)
        count = -(-self.line.size_bytes // self.part_bytes)
        sizes = [self.part_bytes] * (count - 1)
        sizes.append(self.line.size_bytes - sum(sizes))
        todo, done = deque(enumerate(sizes)), 0
        while done < count:
            assert self.seconds < 100 * self.line.ideal_seconds, "it does not end"
            while todo and len(self._connections) < self.most:
                if not self.controller.admits(self.seconds, todo[0][1]):
                    break
                self._open(*todo.popleft(), dice)
            self.seconds += self._step
            self._carry()
            for connection in list(self._connections):
                if (ended := self._ended(connection)) is not None:
                    self._connections.remove(connection)
                    done += ended
                    if not ended:
                        todo.appendleft((connection.number, connection.size_bytes))
            risk = sum(c.carried for c in self._connections if c.carried < c.size_bytes)
            self.most_at_risk = max(self.most_at_risk, risk)
            self.most_under_way = max(self.most_under_way, len(self._connections))
        return self

    def _open(self, number: int, size_bytes: int, dice: random.Random) -> None:
        flight = self.controller.start(self.seconds, size_bytes)
        limit = float("inf")
        if self.line.reset_bytes is not None:
            limit = dice.uniform(*self.line.reset_bytes)
        opens = self.seconds + 2 * self.line.delay
        self._connections.append(_Connection(number, size_bytes, flight, limit, opens))

    def _carry(self) -> None:
        """Divide what the line carries in one step among the connections."""
        line = self.line
        if self.seconds % (line.stall_every + line.stall_seconds) > line.stall_every:
            return
        left = line.rate * self._step
        moving = [c for c in self._connections if c.opens <= self.seconds and not c.answered]
        for n, connection in enumerate(sorted(moving, key=lambda c: c.size_bytes - c.carried)):
            share = min(left / (len(moving) - n), line.connection_rate * self._step)
            carried = min(share, connection.size_bytes - connection.carried)
            left -= carried
            connection.carried += carried
            self.sent_bytes += carried
            self._hand_over(connection)

    def _hand_over(self, connection: _Connection) -> None:
        handed = min(connection.size_bytes, connection.carried + BUFFERED_BYTES)
        if handed > connection.handed:
            self.controller.move(self.seconds, connection.flight, int(handed - connection.handed))
            connection.handed = handed
        if connection.handed >= connection.size_bytes and not connection.flight.waiting:
            self.controller.await_answer(self.seconds, connection.flight)
        if connection.carried >= connection.size_bytes:
            connection.answered = self.seconds + 2 * self.line.delay

    def _ended(self, connection: _Connection) -> bool | None:
        """Return whether the part arrived, None if it is still under way."""
        done = bool(connection.answered) and connection.answered <= self.seconds
        lost = not done and connection.carried >= connection.limit_bytes
        if not (done or lost or connection.flight.stopped):
            return None
        self.controller.end(self.seconds, connection.flight, done=done, lost=lost)
        return done
