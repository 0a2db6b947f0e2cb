"""The metrics of what runs without a caller: the janitor, and the sweep of storage."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from partway_server.observability.definitions import Definitions, Joined


class CleanupMetrics:
    """What was found and ended, and when it was last looked for. `now` is the time of day."""

    def __init__(self, define: Definitions, now: Callable[[], float] = time.time) -> None:
        define.begin("Clean-up")
        self._now = now
        self._oldest_due: float | None = None
        self._found = define.counter(
            "partway_cleanup_findings",
            "What the janitor (kind upload) and the sweep of storage (kind multipart; kind listing:"
            " a bucket that could not be listed) found, by what it does about it: leave, abort,"
            " compose, complete, open, bury, forget. The outcome is done, failed, or none for what"
            " is left.",
            ["kind", "action", "outcome"],
        )
        self._looked = define.gauge(
            "partway_cleanup_last_success_timestamp_seconds",
            "When the last round of the janitor, or of the sweep, ended without a failure.",
            ["task"],
            joined=Joined.MAX,
        )
        self._took = define.gauge(
            "partway_cleanup_last_duration_seconds",
            "How long the last round took.",
            ["task"],
            joined=Joined.MAX,
        )
        self._failed = define.counter("partway_cleanup_failures", "Rounds that failed.", ["task"])
        define.gauge(
            "partway_cleanup_oldest_due_age_seconds",
            "How long the upload that is due longest has waited for the janitor, when it was last"
            " looked at; 0 if none is due.",
            joined=Joined.MAX,
        ).set_function(self._oldest_due_age)
        for job in ("janitor", "sweep"):
            # Present from the start: a rate needs an initial zero.
            self._failed.labels(job)

    def found(self, kind: str, action: str, outcome: str) -> None:
        """Count a finding."""
        self._found.labels(kind, action, outcome).inc()

    @contextlib.contextmanager
    def round(self, job: str) -> Iterator[None]:
        """Note that the block is a round of `job`, and whether it fails."""
        began = self._now()
        try:
            yield
        except Exception:
            self._failed.labels(job).inc()
            raise
        self._looked.labels(job).set(self._now())
        self._took.labels(job).set(self._now() - began)

    def oldest_due(self, due: datetime | None) -> None:
        """Note since when the upload that is due longest has been; None if none is due."""
        self._oldest_due = None if due is None else due.timestamp()

    def _oldest_due_age(self) -> float:
        # By the clock at each scrape: it grows while the janitor stands still.
        return 0.0 if self._oldest_due is None else max(0.0, self._now() - self._oldest_due)
