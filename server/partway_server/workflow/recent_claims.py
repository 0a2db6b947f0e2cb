"""Which claims were taken so recently that their leases need no look."""

from datetime import timedelta

from partway_server.domain.upload import Upload
from partway_server.workflow.deps import Deps

RECENT_SHARE = 0.1
"""Within which share of its lease a claim is recent."""


class RecentClaims:
    """When this process sent the claims that were granted to it, by two clocks.

    A lease begins after its claim was sent, so as long as a small share of its length has passed
    since, it goes on for most of it: as a renewal would have it go on. The longer time counts of
    what the monotonic clock shows, which no one sets, and the clock of the day, which also goes on
    while the machine sleeps. A machine whose clocks both stood still, such as a virtual one that
    was frozen, does not notice that; nor would it between the answer to a renewal and the request
    that follows. Then two workers may both ask storage, as after a failover, and what it shows
    decides: see `sessions/redis_store.py`.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        # In the order in which they were sent, so that the old ones are at the front.
        self._sent: dict[tuple[str, int], tuple[float, float]] = {}

    def now(self) -> tuple[float, float]:
        """Return the time by both clocks."""
        return self._deps.monotonic(), self._deps.clock.now().timestamp()

    def add(self, claimed: Upload, sent: tuple[float, float]) -> None:
        """Note when the claim was sent, and forget those that are recent no more."""
        while self._sent and not self._is_recent(next(iter(self._sent.values()))):
            del self._sent[next(iter(self._sent))]
        self._sent[claimed.sid, claimed.epoch] = sent

    def discard(self, upload: Upload) -> None:
        """Forget a claim, because its lease is given up."""
        self._sent.pop((upload.sid, upload.epoch), None)

    def has(self, upload: Upload) -> bool:
        """Return whether the claim is recent."""
        sent = self._sent.get((upload.sid, upload.epoch))
        return sent is not None and self._is_recent(sent)

    def _is_recent(self, sent: tuple[float, float]) -> bool:
        elapsed = [abs(now - then) for now, then in zip(self.now(), sent, strict=True)]
        return timedelta(seconds=max(elapsed)) < RECENT_SHARE * self._deps.lease
