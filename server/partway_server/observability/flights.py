"""Calls in flight: how many there are, and how long the oldest has waited."""

import time
from collections.abc import Callable, Set

from partway_server.observability.store_calls import StoreCall


class Flights:
    """The calls in flight. Those of `patient` operations may last, and are never the oldest."""

    def __init__(
        self, patient: Set[str] = frozenset(), now: Callable[[], float] = time.monotonic
    ) -> None:
        self._patient = patient
        self._now = now
        # In the order in which they began.
        self._timed: dict[StoreCall, None] = {}
        self._others = 0

    def start(self, call: StoreCall) -> None:
        """Note a call that begins."""
        if call.operation in self._patient:
            self._others += 1
        else:
            self._timed[call] = None

    def end(self, call: StoreCall) -> None:
        """Note a call that ends."""
        if call.operation in self._patient:
            self._others -= 1
        else:
            self._timed.pop(call, None)

    def number(self) -> float:
        """Return how many there are."""
        return len(self._timed) + self._others

    def oldest_age(self) -> float:
        """Return how many seconds ago the oldest began; 0 without one."""
        oldest = next(iter(self._timed), None)
        return 0.0 if oldest is None else self._now() - oldest.began
