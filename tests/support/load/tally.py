"""What became of the calls of a load."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An upload that the service said was complete. `at` is seconds of the monotonic clock."""

    upload_id: str
    key: str
    body: bytes
    at: float


@dataclass(slots=True)
class Tally:
    """Counts of calls by RPC, and of failures by RPC, code and reason."""

    calls: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0
    reopened: int = 0
    """Watch streams that a replica ended before it stopped, and that were opened again."""
    longest: float = 0.0
    acknowledged: list[Acknowledged] = field(default_factory=list)

    @property
    def made(self) -> int:
        """Return how many calls were made."""
        return self.calls.total()

    def summary(self) -> dict[str, Any]:
        """Return the counts, for a person to read."""
        return {
            "calls": self.made,
            "failed": dict(self.failures),
            "completed uploads": len(self.acknowledged),
            "cancelled": self.cancelled,
            "watches opened again": self.reopened,
            "longest call, seconds": round(self.longest, 2),
        }
