"""Notify waiters in this process about changes of session records. No I/O."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Wakeup:
    """A coalescing wake-up: many notifications before a read cause one read."""

    def __init__(self) -> None:
        self._notified = asyncio.Event()
        self._missed = False

    def notify(self, *, missed: bool = False) -> None:
        """Wake the waiter: something changed or, if `missed`, changes may have gone unnoticed."""
        self._missed |= missed
        self._notified.set()

    def keep_missed(self) -> None:
        """Remember that changes were missed, because the read that `take` asked for has failed."""
        self._missed = True

    def take(self) -> bool:
        """Begin a read: later changes need another. Return whether any may have been missed."""
        missed, self._missed = self._missed, False
        self._notified.clear()
        return missed

    async def wait(self, seconds: float) -> bool:
        """Wait for a notification for at most `seconds`; return whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                return await self._notified.wait()
        except TimeoutError:
            return False


class WakeupRegistry:
    """The waiters of this process by sid, so that a change costs only those that wait for it."""

    def __init__(self) -> None:
        self._by_sid: dict[str, set[Wakeup]] = {}

    @contextmanager
    def of(self, *sids: str) -> Iterator[Wakeup]:
        """Register a Wakeup for these sids while the context lasts."""
        wake = Wakeup()
        for sid in sids:
            self._by_sid.setdefault(sid, set()).add(wake)
        try:
            yield wake
        finally:
            for sid in sids:
                self._by_sid[sid].discard(wake)
                if not self._by_sid[sid]:
                    del self._by_sid[sid]

    def notify(self, sid: str) -> None:
        """Notify that this record changed."""
        for wake in self._by_sid.get(sid, ()):
            wake.notify()

    def notify_all(self) -> None:
        """Notify that any record may have changed."""
        for wakes in self._by_sid.values():
            for wake in wakes:
                wake.notify(missed=True)
