"""Watch: what an Upload is, now and after each change.

It goes by levels, not by edges. A wake says no more than: look again; and what is then seen is told
if it differs from what was told last. So any number of changes may be lost, or come to one, and the
last word is told all the same. If a wake is lost, too, a look once in a while makes up for it.

A look at a row is one command to Redis. Whether that row is the latest word is asked at first, and
again when changes may have been missed: after a failover the answer costs calls to storage. Few
looks run at once, so that the many that follow on a reconnection hold up no other call.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from partway_server.domain.errors import Stopping, TryAgain
from partway_server.domain.grant import Grant, sid_of_key
from partway_server.domain.upload import State, Upload
from partway_server.sessions.base import SessionStore
from partway_server.sessions.notifications import Wakeup
from partway_server.workflow.complete import Sleep

logger = logging.getLogger(__name__)

PACE_SECONDS = 0.25
POLL_SECONDS = 15.0

_LOOKS = 16

Look = Callable[[bool], Awaitable[Upload]]
"""Reads the Upload; if told so, makes sure that what was read is the latest word."""


class Watching:
    """All watches of this process, until it stops.

    A watch tells at most one thing in `pace_seconds`, and looks at least every `poll_seconds`.
    """

    def __init__(
        self,
        *,
        sessions: SessionStore,
        sleep: Sleep,
        pace_seconds: float = PACE_SECONDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._sleep = sleep
        self._pace_seconds = pace_seconds
        self._poll_seconds = poll_seconds
        self._looks = asyncio.Semaphore(_LOOKS)
        self._wakes: set[Wakeup] = set()
        self._stopping = False
        # Whether it is in the log that looks fail: there may be thousands of watches.
        self._blind = False

    def stop(self) -> None:
        """End all watches, now and from now on, with Stopping."""
        self._stopping = True
        for wake in self._wakes:
            wake.notify()

    async def watch(self, grant: Grant, look: Look) -> AsyncGenerator[Upload, None]:
        """The Upload as it is, then after each change, until it is COMPLETED or ABORTED.

        Raises Stopping; and what the first look raises. Later ones are repeated.
        """
        told: Any = None
        with self._awake(grant) as wake:
            while True:
                upload = await self._look(wake, look, first=told is None)
                if upload is not None and (shown := _shown(upload)) != told:
                    told = shown
                    yield upload
                    if upload.public_state in (State.COMPLETED, State.ABORTED):
                        return
                    await self._sleep(self._pace_seconds)
                await wake.wait(self._poll_seconds)

    @contextmanager
    def _awake(self, grant: Grant) -> Iterator[Wakeup]:
        # Its row may be under either: see Loader.row.
        sids = grant.sid, sid_of_key(grant.bucket, grant.key)
        with self._sessions.changes(*sids) as wake:
            self._wakes.add(wake)
            try:
                yield wake
            finally:
                self._wakes.discard(wake)

    async def _look(self, wake: Wakeup, look: Look, *, first: bool) -> Upload | None:
        """The Upload, or None if it cannot be seen now and is to be looked at again."""
        async with self._looks:
            if self._stopping:
                raise Stopping
            # Before the look: a change in its middle is told to the next.
            missed = wake.take()
            try:
                upload = await look(first or missed)
                self._note("")
                return upload
            except TryAgain as trouble:
                if first:
                    raise
                self._note(type(trouble).__name__)
        if missed:
            wake.keep_missed()
        return None

    def _note(self, trouble: str) -> None:
        if bool(trouble) == self._blind:
            return
        self._blind = bool(trouble)
        if trouble:
            logger.warning("watches cannot look now: %s", trouble)
        else:
            logger.info("watches look again")


def _shown(upload: Upload) -> Any:
    """All that changes of an Upload, as callers are told it."""
    return upload.public_state, upload.abort_reason, upload.object, upload.reported
