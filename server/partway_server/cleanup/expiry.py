"""What was left behind, as the rows tell it.

Every replica runs one; there is no leader. The session store hands each due Upload to one of them,
and every change goes through the same claims as a caller's, so that two janitors, or a janitor and
a caller, never work on one Upload at once. Deadlines are read from the clock; a store's own expiry
decides nothing. What is left in storage without a row is the affair of `sweeping`.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from partway_server.cleanup.report import Action, Finding, Kind, Report, unheard
from partway_server.domain import errors
from partway_server.domain.upload import AbortReason, State, Upload, moment_of
from partway_server.workflow.coordinator import Coordinator
from partway_server.workflow.deps import Deps
from partway_server.workflow.initialize import OPENING_LEASES

BATCH = 100

GIVE_UP = timedelta(days=1)
"""How long past its deadline an Upload is kept that storage refuses to complete."""

_AGAIN = timedelta(minutes=5)
_LANES = 4
_MOST_FORESEEN = 10_000
_PATIENCE_SECONDS = 60

logger = logging.getLogger(__name__)


def next_step(
    upload: Upload, now: datetime, lease: timedelta, kept: timedelta
) -> tuple[Action, str]:
    """What is to be done about an Upload that came up as due, and why.

    Somebody may have ended it between then and now. So one that is over is held against the time
    for which it is `kept`: to forget it sooner would let a repeat of its request open another.
    """
    expired = upload.grant.expire_time <= now
    match upload.state:
        case State.COMPLETED | State.ABORTED if now < moment_of(upload.epoch) + kept:
            return Action.LEAVE, "it ended since it came up"
        case State.COMPLETED:
            return Action.FORGET, "it is complete, and storage can answer for it"
        case State.COMPLETING:
            return Action.COMPLETE, "its completion was left in the middle"
        case State.INITIATING if now < upload.grant.create_time + OPENING_LEASES * lease:
            return Action.LEAVE, "its caller may yet repeat the Initialize that was broken off"
        case State.INITIATING:
            return Action.OPEN, "its Initialize was broken off: what it created is kept"
        case State.ABORTED:
            return Action.BURY, "it is aborted, and no transfer to it can still be under way"
        case State.ABORTING if upload.abort_reason is not None:
            return Action.BURY, "it is aborted, and its burial was left in the middle"
        case State.ABORTING:
            return Action.ABORT, "its abort was left in the middle"
        case State.ACTIVE:
            if expired:
                return Action.ABORT, "its deadline is past"
            if upload.composing:
                return Action.COMPOSE, "the copying of its parts was left in the middle"
            return Action.LEAVE, "its deadline is still to come"


class Janitor:
    """Ends uploads past their deadline, and resumes what a dead worker began."""

    def __init__(self, deps: Deps, coordinator: Coordinator) -> None:
        self._deps = deps
        self._sessions = deps.sessions
        self._tasks = deps.tasks
        self._clock = deps.clock
        self._leases = coordinator.leases
        self._discard = coordinator.discard
        self._coordinator = coordinator

    async def run(self, period_seconds: float, stop: asyncio.Event) -> None:
        """Sweep every `period_seconds` until `stop` is set, even if one sweep fails.

        Cancelling it ends the waiting alone: what was begun for an Upload goes on as a detached
        task.
        """
        reached = True
        while not stop.is_set():
            try:
                while len(await self.sweep()) == BATCH and not stop.is_set():
                    pass
                if not reached:
                    logger.info("the janitor reaches the session store again")
                reached = True
            except errors.SessionsUnavailable:
                if reached:
                    logger.warning("the janitor cannot reach the session store; it tries again")
                reached = False
            except Exception:
                logger.exception("a sweep of the janitor failed; it tries again")
            try:
                await asyncio.wait_for(stop.wait(), period_seconds)
            except TimeoutError:
                continue

    async def sweep(self, report: Report = unheard) -> Sequence[str]:
        """Deal with at most 100 due Uploads, four at a time; returns their sids.

        One that takes long is reported when it is done, which may be after this returns.
        """
        due = await self._sessions.take_due(BATCH, _AGAIN)
        left = iter(due)
        await asyncio.gather(*(self._lane(left, report) for _ in range(_LANES)))
        return due

    async def foresee(self, report: Report) -> None:
        """Report what a sweep would do about the Uploads that are due, and do nothing."""
        for sid in await self._sessions.peek_due(_MOST_FORESEEN):
            if (upload := await self._sessions.get(sid)) is not None:
                report(_finding(upload, *self._next_step(upload)))

    def _next_step(self, upload: Upload) -> tuple[Action, str]:
        return next_step(
            upload, self._clock.now(), self._deps.lease, self._leases.retention(upload)
        )

    async def _lane(self, left: Iterator[str], report: Report) -> None:
        for sid in left:
            # A Complete may take minutes: the lane goes on, and so does the Complete.
            work = self._tasks.start(self._attempt(sid, report))
            await asyncio.wait({work}, timeout=_PATIENCE_SECONDS)

    async def _attempt(self, sid: str, report: Report) -> None:
        try:
            upload = await self._sessions.get(sid)
        except errors.SessionsUnavailable as error:
            # It comes up again in five minutes, as does whatever fails below.
            logger.info("upload %s: %s", sid, error)
            return
        if upload is None:
            return
        action, reason = self._next_step(upload)
        failed = ""
        try:
            await self._act(upload, action)
        except (errors.TryAgain, errors.StorageRefused) as error:
            logger.info("upload %s: %s", sid, error)
            failed = str(error)
        except errors.UploadError as error:
            # That is how it ended, and its row says so.
            logger.info("upload %s: %s", sid, error)
            reason += f"; {error}"
        except Exception:
            logger.exception("upload %s: the janitor failed", sid)
            failed = "an unforeseen error: see the log"
        done = not failed and action is not Action.LEAVE
        report(_finding(upload, action, reason, done=done, error=failed))

    async def _act(self, upload: Upload, action: Action) -> None:
        if action is not Action.LEAVE:
            # Ahead of a claim: one that is given up is due again in seconds, and with nothing to
            # wait for, all that is in such a backend would go round without an end.
            self._deps.storage.capabilities_of(upload.grant.backend)
        match action:
            case Action.FORGET:
                await self._discard.abort_orphans(upload.grant)
                await self._sessions.remove(upload.sid, upload.epoch)
            case Action.COMPLETE:
                await self._complete(upload)
            case Action.OPEN:
                opened = await self._coordinator.initialize.resume(
                    await self._leases.take(upload, State.INITIATING)
                )
                fate = "is kept until its deadline" if opened else "is forgotten"
                logger.info("upload %s: was left half open, and %s", upload.sid, fate)
            case Action.BURY:
                await self._discard.bury(await self._leases.take(upload, State.ABORTING))
            case Action.ABORT:
                expired = upload.grant.expire_time <= self._clock.now()
                await self._abort(upload, AbortReason.EXPIRED if expired else AbortReason.REQUESTED)
            case Action.COMPOSE:
                await asyncio.shield(self._coordinator.compose.work(upload))
            case Action.LEAVE:
                pass

    async def _complete(self, upload: Upload) -> None:
        claimed = await self._leases.take(upload, State.COMPLETING)
        try:
            if claimed.manifest and not self._coordinator.complete.can_verify(claimed):
                # Only its caller knows the parts it named, and is to ask for it again.
                await self._coordinator.resolver.settle(claimed)
            else:
                await self._coordinator.complete.run(claimed, resumed=True)
        except (errors.StorageRefused, errors.StorageUnavailable):
            if self._clock.now() < upload.grant.expire_time + GIVE_UP:
                raise
            # Storage has refused it, or not said what became of it, for a day and longer than
            # anybody was promised. The claim was given up with the failure. If the request is
            # still at work, storage decides between it and the abort, and HEAD tells.
            await self._abort(claimed, AbortReason.EXPIRED)

    async def _abort(self, upload: Upload, reason: AbortReason) -> None:
        outcome = await self._discard.run(await self._leases.take(upload, State.ABORTING), reason)
        logger.info("upload %s: %s (%s)", upload.sid, outcome.state, reason)


def _finding(
    upload: Upload, action: Action, reason: str, *, done: bool = False, error: str = ""
) -> Finding:
    grant = upload.grant
    return Finding(
        Kind.UPLOAD, grant.bucket, grant.key, grant.create_time, action, reason, done, error
    )
