"""Counts the bytes and parts of one upload, and reports its progress."""

import logging
from collections.abc import Callable

from partway_client.models import Phase, Progress

logger = logging.getLogger(__name__)

OnProgress = Callable[[Progress], object]

_INTERVAL_SECONDS = 0.1


class ProgressMeter:
    """The figures of one upload.

    `on_progress` is called at every change of phase, and at most ten times a second in between.
    """

    def __init__(self, *, on_progress: OnProgress | None, monotonic: Callable[[], float]) -> None:
        self._on_progress = on_progress
        self._monotonic = monotonic
        self._next = 0.0
        self._phase = Phase.STARTING
        self._bytes_done = self._bytes_total = self._bytes_resumed = 0
        self._parts_done = self._parts_total = 0
        self.bytes_sent = self.bytes_via_service = 0
        self.parts_sent = self.parts_resumed = self.parts_retried = 0

    @property
    def bytes_resent(self) -> int:
        """How many of the sent bytes were sent for nothing, once all parts are in storage."""
        return max(self.bytes_sent + self._bytes_resumed - self._bytes_total, 0)

    def spooled(self, count: int, total: int) -> None:
        """Record that `count` bytes of a stream are on disk, of `total` (0: unknown)."""
        self._bytes_done, self._bytes_total = count, total
        self._report_sometimes()

    def enter(self, phase: Phase) -> None:
        """Change to `phase`, and report that at once."""
        self._phase = phase
        self._report()

    def planned(self, size_bytes: int, parts: int) -> None:
        """Record that the Upload has `size_bytes` in `parts`, with nothing done yet.

        It may be another one than before, with other parts.
        """
        self.parts_sent = self.parts_resumed = self._bytes_resumed = 0
        self._bytes_done, self._bytes_total = 0, size_bytes
        self._parts_done, self._parts_total = 0, parts

    def stored(self, size_bytes: int, parts: int, *, resumed: bool) -> None:
        """Record how much storage holds; `resumed`: from before this run."""
        self._bytes_done, self._parts_done = size_bytes, parts
        if resumed:
            self._bytes_resumed, self.parts_resumed = size_bytes, parts

    def verified(self, size_bytes: int) -> None:
        """Record that a part was compared with the file. `stored` records the outcome."""
        self._bytes_done += size_bytes
        self._parts_done += 1
        self._report_sometimes()

    def moved(self, size_bytes: int, *, via_service: bool = False) -> None:
        """Record that bytes of a part were sent."""
        self._bytes_done += size_bytes
        self.bytes_sent += size_bytes
        self.bytes_via_service += size_bytes if via_service else 0
        self._report_sometimes()

    def taken_back(self, size_bytes: int) -> None:
        """Discount bytes of a part that must be sent again."""
        self._bytes_done -= size_bytes
        self._report_sometimes()

    def part_sent(self) -> None:
        """Record that a part is in storage."""
        self._parts_done += 1
        self.parts_sent += 1
        self._report_sometimes()

    def _report_sometimes(self) -> None:
        if self._monotonic() >= self._next:
            self._report()

    def _report(self) -> None:
        if self._on_progress is None:
            return
        self._next = self._monotonic() + _INTERVAL_SECONDS
        progress = Progress(
            phase=self._phase,
            bytes_done=self._bytes_done,
            bytes_total=self._bytes_total,
            bytes_resumed=self._bytes_resumed,
            parts_done=self._parts_done,
            parts_total=self._parts_total,
        )
        try:
            self._on_progress(progress)
        except Exception:
            # A bug in a progress display must not cost hours of transfer.
            logger.exception("on_progress raised an exception; no more progress is reported")
            self._on_progress = None
