"""What was left behind.

Every replica runs one; there is no leader. The session store hands each due Upload to one of them,
and every change goes through the same claims as a caller's, so that two janitors, or a janitor and
a caller, never work on one Upload at once. Deadlines are read from the clock; a store's own expiry
decides nothing.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta

from partway_server import errors
from partway_server.clock import Clock
from partway_server.objects.base import MultipartNotFound, Objects
from partway_server.opening import OPENING_LEASES
from partway_server.sessions.base import Sessions
from partway_server.settling import Settler
from partway_server.tasks import Tasks
from partway_server.uploads import AbortReason, State, Upload

BATCH = 100

_AGAIN = timedelta(minutes=5)
_LANES = 4
_PATIENCE_SECONDS = 60

logger = logging.getLogger(__name__)


class Janitor:
    """Ends Uploads past their deadline, and carries on what a dead worker began."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        objects: Objects,
        settler: Settler,
        tasks: Tasks,
        clock: Clock,
        lease: timedelta,
    ) -> None:
        self._sessions = sessions
        self._objects = objects
        self._settler = settler
        self._tasks = tasks
        self._clock = clock
        self._lease = lease

    async def run(self, period_seconds: float, stop: asyncio.Event) -> None:
        """Sweep every `period_seconds` until `stop` is set, whatever becomes of one sweep.

        Cancelling it ends the waiting alone: what was begun for an Upload goes on as a detached
        task.
        """
        while not stop.is_set():
            try:
                while len(await self.sweep()) == BATCH and not stop.is_set():
                    pass
            except errors.SessionsUnavailable:
                logger.warning("the janitor cannot reach the session store; it tries again")
            except Exception:
                logger.exception("a sweep of the janitor failed; it tries again")
            try:
                await asyncio.wait_for(stop.wait(), period_seconds)
            except TimeoutError:
                continue

    async def sweep(self) -> Sequence[str]:
        """Deal with at most 100 due Uploads, four at a time; returns their sids."""
        due = await self._sessions.take_due(BATCH, _AGAIN)
        left = iter(due)
        await asyncio.gather(*(self._lane(left) for _ in range(_LANES)))
        return due

    async def _lane(self, left: Iterator[str]) -> None:
        for sid in left:
            # A Complete may take minutes: the lane goes on, and so does the Complete.
            await asyncio.wait({self._tasks.start(self._attempt(sid))}, timeout=_PATIENCE_SECONDS)

    async def _attempt(self, sid: str) -> None:
        try:
            await self._tend(sid)
        except errors.UploadError as error:
            # It comes up again in five minutes, or with the due time of its new state.
            logger.info("upload %s: %s", sid, error)
        except Exception:
            logger.exception("upload %s: the janitor failed", sid)

    async def _tend(self, sid: str) -> None:
        upload = await self._sessions.get(sid)
        if upload is None:
            return
        if upload.state is State.COMPLETED:
            await self._settler.discard_strays(upload.grant)
            await self._sessions.remove(sid, upload.epoch)
        elif upload.state is State.COMPLETING:
            await self._complete(upload)
        elif not upload.grant.opened:
            await self._remove_unopened(upload)
        elif upload.state is State.ABORTED or upload.abort_reason is not None:
            # ABORTING with a reason is a burial that was broken off.
            if claimed := await self._claim(upload, State.ABORTING):
                await self._settler.bury(claimed)
        else:
            await self._abort(upload)

    async def _complete(self, upload: Upload) -> None:
        if claimed := await self._claim(upload, State.COMPLETING):
            if claimed.manifest:
                # Only its caller knows the parts it named, and is to ask for it again.
                await self._settler.settle(claimed)
            else:
                await self._settler.complete(claimed, resumed=True)

    async def _abort(self, upload: Upload) -> None:
        expired = upload.grant.expire_time <= self._clock.now()
        if upload.state is State.ACTIVE and not expired:
            return
        if claimed := await self._claim(upload, State.ABORTING):
            reason = AbortReason.EXPIRED if expired else AbortReason.REQUESTED
            outcome = await self._settler.abort(claimed, reason)
            logger.info("upload %s: %s (%s)", upload.sid, outcome.state, reason)

    async def _remove_unopened(self, upload: Upload) -> None:
        """Nobody has its id, so nothing is to be remembered of it."""
        left_to_caller = upload.grant.create_time + OPENING_LEASES * self._lease
        if self._clock.now() < left_to_caller or await self._handed_out(upload):
            return
        # INITIATING can be claimed of no other state: a slow Initialize may have opened it by now.
        intent = upload.state is State.INITIATING
        if claimed := await self._claim(upload, State.INITIATING if intent else State.ABORTING):
            await self._settler.forget_unopened(claimed)
            logger.info("upload %s: was never opened, and is forgotten", upload.sid)

    async def _claim(self, upload: Upload, target: State) -> Upload | None:
        claimed, granted = await self._sessions.claim(
            upload.sid, target, self._lease, write_token=upload.grant.write_token
        )
        return claimed if granted else None

    async def _handed_out(self, upload: Upload) -> bool:
        """Whether an Upload that the row calls INITIATING has parts.

        Then its id was handed out, and the row is an old copy that a caller's next call mends.
        """
        if upload.grant.expire_time <= self._clock.now():
            return False
        for multipart_id in await self._objects.list_multiparts(upload.grant):
            try:
                found = upload.grant.with_multipart(multipart_id)
                if await self._objects.list_parts(found, limit=1):
                    return True
            except MultipartNotFound:
                continue
        return False
