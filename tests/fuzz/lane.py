"""What a lane is given, and how it reports: each runs in a process of its own."""

import multiprocessing.synchronize
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.fuzz.finding import Finding
from tests.fuzz.oracle import Oracle

_REPORT_SECONDS = 0.5
_POLL_SECONDS = 0.02

REQUESTS = "requests"
PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Target:
    """The service under attack. `ids` are Uploads in all states, `tokens` are for some of them.

    `patience` is how many seconds an answer may take, on this machine at this time.
    `bystander` is an Upload of a tenant that attacks no one.

    `secrets` may be seen nowhere; IDs and tokens may not be seen in the log.
    """

    grpc: str
    rest: str
    ids: Sequence[str]
    tokens: Sequence[str]
    bystander: str
    secrets: Sequence[str]
    patience: float

    def oracle(self) -> Oracle:
        return Oracle(self.secrets, [*self.ids, *self.tokens])


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets lanes pause, for a measurement of the service at rest, and to stop."""

    quiet: multiprocessing.synchronize.Event
    stop: multiprocessing.synchronize.Event


@dataclass(slots=True)
class Job:
    """The work of one lane: `seconds` are what is left, for lanes that cannot be stopped."""

    lane: str
    target: Target | None
    seed: int
    seconds: float
    folder: Path
    gate: Gate
    pipe: "Connection[Any, Any]"
    _counts: Counter[str] = field(default_factory=Counter)
    _reported: float = 0.0

    def goes_on(self) -> bool:
        """Return whether the lane is to go on; wait while the service is to be left alone."""
        if self.gate.quiet.is_set():
            self.pipe.send((PAUSED, dict(self._counts)))
            self._counts.clear()
            while self.gate.quiet.is_set() and not self.gate.stop.is_set():
                time.sleep(_POLL_SECONDS)
        return not self.gate.stop.is_set()

    def count(self, what: str, number: int = 1) -> None:
        """Count something, and report at times what was counted."""
        self._counts[what] += number
        if time.monotonic() > self._reported + _REPORT_SECONDS:
            self.report()

    def report(self) -> None:
        """Send what was counted since the last report."""
        self._reported = time.monotonic()
        self.pipe.send(("counts", dict(self._counts)))
        self._counts.clear()

    def find(self, words: str, **again: Any) -> None:
        """Report a finding."""
        self.pipe.send(("finding", Finding(self.lane, words, again)))

    @property
    def wire(self) -> Target:
        """Return the service under attack, for lanes that have one."""
        assert self.target is not None
        return self.target


Lane = Callable[[Job], None]
