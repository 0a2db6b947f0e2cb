"""Counts what goes on in this process for each tenant and each subject, within their limits."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from partway_server.domain.errors import QuotaExceeded
from partway_server.domain.grant import Caller
from partway_server.domain.quota import Bucket, Limit, LimitRegistry, Owner, bucket_of

RETRY_SECONDS = 1.0


class ConcurrencyCounts:
    """How many of each kind are going on now."""

    def __init__(self, limits: LimitRegistry) -> None:
        self._limits = limits
        self._inside: Counter[Bucket] = Counter()

    def enter(self, caller: Caller, limit: Limit) -> None:
        """Count one in, for the tenant and the subject. Raises QuotaExceeded if there is no room.

        `leave` must follow, unless this raises.
        """
        limits = self._limits.of(caller.tenant)
        for owner in Owner:
            inside = self._inside[bucket_of(owner, caller, limit)]
            most = limits.of(owner).of(limit)
            if most and inside >= most:
                raise QuotaExceeded(limit, inside, most, owner=owner, retry_seconds=RETRY_SECONDS)
        for owner in Owner:
            self._inside[bucket_of(owner, caller, limit)] += 1

    def leave(self, caller: Caller, limit: Limit, _ended: object = None) -> None:
        """Count one out. `_ended` lets a task call this when it is done."""
        for owner in Owner:
            bucket = bucket_of(owner, caller, limit)
            self._inside[bucket] -= 1
            if not self._inside[bucket]:
                del self._inside[bucket]

    @contextmanager
    def inside(self, caller: Caller, limit: Limit) -> Iterator[None]:
        """Count one in for as long as the context lasts. Raises QuotaExceeded."""
        self.enter(caller, limit)
        try:
            yield
        finally:
            self.leave(caller, limit)

    def of(self, bucket: Bucket) -> int:
        """Return how many are going on."""
        return self._inside.get(bucket, 0)


class RecentCounts:
    """How much there was lately of what has a rate: over its time, as this process saw it."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        # By bucket: the number of the window, how much in it, how much in the one before.
        self._windows: dict[Bucket, tuple[int, int, int]] = {}

    def add(self, bucket: Bucket, amount: int, seconds: int, now: datetime) -> None:
        """Count what there is now. `seconds` is the time of the rate."""
        window, inside, before = self._current(bucket, seconds, now)
        if len(self._windows) >= self._most and bucket not in self._windows:
            # Whoever is busy is soon back.
            self._windows.clear()
        self._windows[bucket] = window, inside + amount, before

    def of(self, bucket: Bucket, seconds: int, now: datetime) -> int:
        """Return how much there was in the last `seconds`, approximately."""
        _, inside, before = self._current(bucket, seconds, now)
        elapsed = now.timestamp() / seconds % 1
        return inside + math.ceil(before * (1 - elapsed))

    def _current(self, bucket: Bucket, seconds: int, now: datetime) -> tuple[int, int, int]:
        window = int(now.timestamp() // seconds)
        known, inside, before = self._windows.get(bucket, (window, 0, 0))
        if known == window:
            return window, inside, before
        return window, 0, inside if known == window - 1 else 0
