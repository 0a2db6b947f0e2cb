"""Who in this process waits for news of which row. No I/O."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Wakeup:
    """One who waits. Told any number of times until it looks, it looks once."""

    def __init__(self) -> None:
        self._notified = asyncio.Event()
        self._missed = False

    def notify(self, *, missed: bool = False) -> None:
        """There is news, or, if `missed`, there may have been news that nobody told."""
        self._missed |= missed
        self._notified.set()

    def keep_missed(self) -> None:
        """The look that `take` asked for came to nothing: the next one is to make up for it."""
        self._missed = True

    def take(self) -> bool:
        """Begin a look: what is told from now on needs another. Returns whether any was missed."""
        missed, self._missed = self._missed, False
        self._notified.clear()
        return missed

    async def wait(self, seconds: float) -> bool:
        """Until it is told, or for `seconds` at most; whether it was told."""
        try:
            async with asyncio.timeout(seconds):
                return await self._notified.wait()
        except TimeoutError:
            return False


class WakeupRegistry:
    """The wakes of this process by the sids that they wait for: news of one costs only its own."""

    def __init__(self) -> None:
        self._by_sid: dict[str, set[Wakeup]] = {}

    @contextmanager
    def of(self, *sids: str) -> Iterator[Wakeup]:
        """A Wake for these sids, as long as the context lasts."""
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
        """This row changed."""
        for wake in self._by_sid.get(sid, ()):
            wake.notify()

    def notify_all(self) -> None:
        """Any row may have changed."""
        for wakes in self._by_sid.values():
            for wake in wakes:
                wake.notify(missed=True)
