"""Watch: what an upload is, now and after each change.

Level-triggered: a notification says no more than "look again", and what is then seen is sent if it
differs from what was sent before. So any number of changes may be lost, or coalesce, and the final
state is sent all the same. If a notification is lost, too, a look at intervals makes up for it.

A look at a session record is one command to Redis. Whether that record is current is asked first,
and again when changes may have been missed: after a failover the answer costs calls to storage. Few
looks run at once, so that the many after a reconnection hold up no other call.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any

from partway_server.domain.errors import Stopping, TryAgain
from partway_server.domain.grant import Caller, Grant, sid_of_key
from partway_server.domain.upload import State, Upload
from partway_server.sessions.notifications import Wakeup
from partway_server.workflow.deps import Deps
from partway_server.workflow.resolver import Resolver

PACE_SECONDS = 0.25
POLL_SECONDS = 15.0

_LOOKS = 16

logger = logging.getLogger(__name__)


class Watch:
    """All watches of this process, until it stops.

    A watch sends at most one state in `PACE_SECONDS`, and looks at least every `poll_seconds`.
    """

    def __init__(
        self, deps: Deps, resolver: Resolver, *, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._sessions = deps.sessions
        self._sleep = deps.sleep
        self._resolver = resolver
        self._poll_seconds = poll_seconds
        self._looks = asyncio.Semaphore(_LOOKS)
        self._wakeups: set[Wakeup] = set()
        self._stopping = False
        # Whether the log says already that looks fail: there may be thousands of watches.
        self._blind = False

    def stop(self) -> None:
        """End all watches, now and from now on, with Stopping."""
        self._stopping = True
        for wakeup in self._wakeups:
            wakeup.notify()

    async def __call__(self, caller: Caller, upload_id: str) -> AsyncGenerator[Upload, None]:
        """Yield the upload as it is, then after each change, until it is COMPLETED or ABORTED.

        Raises Stopping, and what the first look raises: UploadNotFound, TryAgain. Later looks are
        retried.
        """
        grant = self._resolver.grant(caller, upload_id)
        sent: Any = None
        with self._notified(grant) as wakeup:
            while True:
                upload = await self._look(wakeup, grant, first=sent is None)
                if upload is not None and (shown := _shown(upload)) != sent:
                    sent = shown
                    yield upload
                    if upload.public_state in (State.COMPLETED, State.ABORTED):
                        return
                    await self._sleep(PACE_SECONDS)
                await wakeup.wait(self._poll_seconds)

    @contextmanager
    def _notified(self, grant: Grant) -> Iterator[Wakeup]:
        # Its record may be under either: see Resolver.row.
        sids = grant.sid, sid_of_key(grant.bucket, grant.key)
        with self._sessions.changes(*sids) as wakeup:
            self._wakeups.add(wakeup)
            try:
                yield wakeup
            finally:
                self._wakeups.discard(wakeup)

    async def _look(self, wakeup: Wakeup, grant: Grant, *, first: bool) -> Upload | None:
        """Return the upload, or None if it cannot be seen now and is to be looked at again."""
        async with self._looks:
            if self._stopping:
                raise Stopping
            # Before the look: a change in its middle causes the next.
            missed = wakeup.take()
            try:
                upload = await self._resolver.row(grant)
                if first or missed:
                    upload = await self._resolver.current(upload)
                self._note("")
                return upload
            except TryAgain as trouble:
                if first:
                    raise
                self._note(type(trouble).__name__)
        if missed:
            wakeup.keep_missed()
        return None

    def _note(self, trouble: str) -> None:
        if bool(trouble) == self._blind:
            return
        self._blind = bool(trouble)
        if trouble:
            logger.warning("watches cannot read uploads now: %s", trouble)
        else:
            logger.info("watches read uploads again")


def _shown(upload: Upload) -> Any:
    """Return all of an upload that changes, as callers see it."""
    deadline = upload.grant.expire_time
    return upload.public_state, upload.abort_reason, upload.object, upload.reported, deadline
