"""Counts the bytes and parts of one upload, and reports its progress."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Self

from partway_client.models import Phase, Progress

logger = logging.getLogger(__name__)

OnProgress = Callable[[Progress], object]
"""Called with the progress. What it returns is awaited, if it can be."""

_INTERVAL_SECONDS = 0.1


class ProgressReports:
    """Calls `on_progress` in order; if it is asynchronous, the next call waits for the last.

    Of what comes meanwhile, the newest of each phase is reported.
    """

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress: OnProgress | None = on_progress
        self._waiting: list[Progress] = []
        self._task: asyncio.Future[None] | None = None

    def report(self, progress: Progress) -> None:
        """Report this progress, now or after what is being reported."""
        if self._task is None or self._task.done():
            if (answer := self._called(progress)) is not None:
                self._task = asyncio.ensure_future(self._follow(answer))
            return
        if self._waiting and self._waiting[-1].phase is progress.phase:
            self._waiting.pop()
        self._waiting.append(progress)

    async def end(self, *, early: bool) -> None:
        """Wait until all is reported; or, if the upload failed, stop at once."""
        if self._task is None:
            return
        if early:
            self._task.cancel()
        try:
            await asyncio.wait([self._task])
        finally:
            self._task.cancel()

    async def _follow(self, answer: Awaitable[object] | None) -> None:
        while answer is not None:
            try:
                await answer
            except Exception:
                self._give_up()
            answer = self._called(self._waiting.pop(0)) if self._waiting else None

    def _called(self, progress: Progress) -> Awaitable[object] | None:
        """Call it; return what is to be awaited."""
        if self._on_progress is None:
            return None
        try:
            answer = self._on_progress(progress)
        except Exception:
            self._give_up()
            return None
        return answer if isinstance(answer, Awaitable) else None

    def _give_up(self) -> None:
        # A bug in a progress display must not cost hours of transfer.
        logger.exception("on_progress raised an exception; no more progress is reported")
        self._on_progress = None
        self._waiting.clear()


class ProgressMeter:
    """The figures of one upload, as an async context manager.

    `on_progress` is called at every change of phase, and at most ten times a second in between.
    """

    def __init__(self, *, on_progress: OnProgress | None, monotonic: Callable[[], float]) -> None:
        self._reports = None if on_progress is None else ProgressReports(on_progress)
        self._monotonic = monotonic
        self._next = 0.0
        self._phase = Phase.STARTING
        self._bytes_done = self._bytes_total = self._bytes_resumed = 0
        self._parts_done = self._parts_total = 0
        self.bytes_sent = self.bytes_via_service = 0
        self.parts_sent = self.parts_resumed = self.parts_retried = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if self._reports is not None:
            await self._reports.end(early=exc_type is not None)

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
        if self._reports is None:
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
        self._reports.report(progress)
