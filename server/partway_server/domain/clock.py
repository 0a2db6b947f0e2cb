"""The clock that time is read from, so that tests can pass their own."""

from datetime import UTC, datetime
from typing import Protocol

SKEW_SECONDS = 30
"""How much two clocks may differ before an operator should know."""


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def skew_seconds(theirs: datetime, before: datetime, after: datetime) -> float:
    """Return how far another clock is ahead of ours, which was read before and after asking it."""
    return (theirs - (before + (after - before) / 2)).total_seconds()
