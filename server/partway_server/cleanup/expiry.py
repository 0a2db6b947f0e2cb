"""Cleans up what session records show to be left behind: expired uploads and interrupted work.

Every replica runs one; there is no leader. The session store hands each due upload to one of them,
and every change goes through the same leases as a caller's, so that two janitors, or a janitor and
a caller, never work on one upload at once. Deadlines are compared with the clock; the expiry of a
store decides nothing. What is left in storage without a session record is for `orphans`.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from partway_server.cleanup.report import (
    Action,
    CleanupKind,
    CleanupRecord,
    Report,
    counted_by,
    ignore_record,
)
from partway_server.domain import errors
from partway_server.domain.key_marks import KeyMark
from partway_server.domain.upload import AbortReason, State, Upload, moment_of
from partway_server.workflow.coordinator import Coordinator
from partway_server.workflow.deps import Deps
from partway_server.workflow.initialize import OPENING_LEASES

BATCH = 100

GIVE_UP = timedelta(days=1)
"""How long past its deadline an upload is kept that storage refuses to complete."""

_AGAIN = timedelta(minutes=5)
_RECONCILED = 50
"""How many records of each shard are counted again after each sweep."""

_LANES = 4
_MOST_PREVIEWED = 10_000
_PATIENCE_SECONDS = 60

logger = logging.getLogger(__name__)


def last_deadline(upload: Upload, mark: KeyMark | None) -> datetime:
    """Return the latest deadline that an ID of the upload may have.

    A record that was rebuilt, which has no digest of its request, has that of the ID which was
    presented. A later one may be in a caller's hands, with a deadline that ExtendUpload gave: but
    none later than the key says.
    """
    if upload.request_digest or mark is None:
        return upload.grant.expire_time
    return max(upload.grant.expire_time, mark.expire_time)


def next_step(
    upload: Upload, now: datetime, lease: timedelta, kept: timedelta, deadline: datetime
) -> tuple[Action, str]:
    """Return what to do about an upload that came up as due, and why.

    It may have ended since. So one that is over is compared with the time for which it is `kept`:
    forgetting it sooner would let a repeat of its request open another. `deadline` is its
    `last_deadline`.
    """
    match upload.state:
        case State.COMPLETED | State.ABORTED if now < moment_of(upload.epoch) + kept:
            return Action.LEAVE, "it ended after it came up"
        case State.COMPLETED:
            return Action.FORGET, "it is complete, and storage proves it"
        case State.COMPLETING:
            return Action.COMPLETE, "its Complete was interrupted"
        case State.INITIATING if now < upload.grant.create_time + OPENING_LEASES * lease:
            return Action.LEAVE, "its Initialize was interrupted, but the caller may still retry"
        case State.INITIATING:
            return Action.OPEN, "its Initialize was interrupted; what it created is kept"
        case State.ABORTED:
            return Action.BURY, "it is aborted, and no transfer to it can still be in flight"
        case State.ABORTING if upload.abort_reason is not None:
            return Action.BURY, "it is aborted, and its burial was interrupted"
        case State.ABORTING:
            return Action.ABORT, "its Abort was interrupted"
        case State.ACTIVE:
            if deadline <= now:
                return Action.ABORT, "its deadline has passed"
            if upload.composing:
                return Action.COMPOSE, "the copying of its parts was interrupted"
            return Action.LEAVE, "its deadline has not passed yet"


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
        self._cut_off: list[str] = []
        self._metrics = deps.metrics.cleanup
        self._count = counted_by(self._metrics)

    async def run(self, period_seconds: float, stop: asyncio.Event) -> None:
        """Sweep every `period_seconds` until `stop` is set, even if one sweep fails.

        Cancelling it only ends the wait: work begun for an upload goes on as a detached task.
        """
        reached = True
        while not stop.is_set():
            try:
                await self._round(stop)
                if not reached:
                    logger.info("the janitor can reach the session store again")
                reached = True
            except errors.SessionsUnavailable:
                if reached:
                    logger.warning("the janitor cannot reach the session store; retrying")
                reached = False
            except Exception:
                logger.exception("a janitor sweep failed; retrying")
            try:
                await asyncio.wait_for(stop.wait(), period_seconds)
            except TimeoutError:
                continue

    async def _round(self, stop: asyncio.Event) -> None:
        """Sweep until nothing is due, or `stop` is set."""
        with self._metrics.round("janitor"):
            while len(await self.sweep(self._count)) == BATCH and not stop.is_set():
                pass
            await self._reconcile()
            self._metrics.oldest_due(await self._sessions.first_due())

    async def sweep(self, report: Report = ignore_record) -> Sequence[str]:
        """Process at most 100 due uploads, four at a time, and return their sids.

        An upload that takes long is reported when it is done, which may be after this returns.
        """
        due = await self._sessions.take_due(BATCH, _AGAIN)
        # Those that an outage of Redis cut off are attempted again as soon as it answers: after a
        # failover, a caller may be waiting for the end of one that was set back.
        cut_off, self._cut_off = self._cut_off, []
        left = iter(dict.fromkeys((*cut_off, *due)))
        await asyncio.gather(*(self._lane(left, report) for _ in range(_LANES)))
        return due

    async def preview(self, report: Report) -> None:
        """Report what a sweep would do about the uploads that are due, and change nothing."""
        for sid in await self._sessions.peek_due(_MOST_PREVIEWED):
            if (upload := await self._sessions.get(sid)) is not None:
                report(_record(upload, *self._next_step(upload)))

    async def _reconcile(self) -> None:
        if corrected := await self._sessions.reconcile_usage(_RECONCILED):
            logger.info("%d uploads were not counted as they are, and are now", corrected)

    def _deadline(self, upload: Upload) -> datetime:
        grant = upload.grant
        return last_deadline(upload, self._deps.key_marks.read(grant.bucket, grant.key))

    def _next_step(self, upload: Upload) -> tuple[Action, str]:
        kept = self._leases.retention(upload)
        return next_step(upload, self._clock.now(), self._deps.lease, kept, self._deadline(upload))

    async def _lane(self, left: Iterator[str], report: Report) -> None:
        for sid in left:
            # A Complete may take minutes: the lane moves on, and the Complete continues.
            work = self._tasks.start(self._attempt(sid, report))
            await asyncio.wait({work}, timeout=_PATIENCE_SECONDS)

    async def _attempt(self, sid: str, report: Report) -> None:
        try:
            upload = await self._sessions.get(sid)
        except errors.SessionsUnavailable as error:
            logger.info("upload %s: %s", sid, error)
            self._cut_off.append(sid)
            return
        if upload is None:
            return
        action, reason = self._next_step(upload)
        failed = ""
        try:
            await self._act(upload, action)
        except (errors.TryAgain, errors.StorageRefused) as error:
            # It comes up again in five minutes.
            logger.info("upload %s: %s", sid, error)
            failed = str(error)
            if isinstance(error, errors.SessionsUnavailable):
                self._cut_off.append(sid)
        except errors.UploadError as error:
            # The upload ended this way, and its session record says so.
            logger.info("upload %s: %s", sid, error)
            reason += f"; {error}"
        except Exception:
            logger.exception("upload %s: the janitor failed", sid)
            failed = "an unexpected error; see the log"
        done = not failed and action is not Action.LEAVE
        report(_record(upload, action, reason, done=done, error=failed))

    async def _act(self, upload: Upload, action: Action) -> None:
        if action is not Action.LEAVE:
            # Before taking a lease: one that is released is due again in seconds, and with nothing
            # to wait for, all uploads of such a backend would come up again and again.
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
                outcome = "kept until its deadline" if opened else "forgotten"
                logger.info("upload %s: was left half open; %s", upload.sid, outcome)
            case Action.BURY:
                await self._discard.bury(await self._leases.take(upload, State.ABORTING))
            case Action.ABORT:
                expired = upload.grant.expire_time <= self._clock.now()
                await self._abort(upload, AbortReason.EXPIRED if expired else AbortReason.REQUESTED)
            case Action.COMPOSE:
                await asyncio.shield(self._coordinator.compose.work(upload))
            case Action.LEAVE if upload.state is State.ACTIVE:
                # Otherwise it would come up every few minutes until then.
                await self._sessions.put_off(upload.sid, upload.epoch, self._deadline(upload))
            case Action.LEAVE:
                pass

    async def _complete(self, upload: Upload) -> None:
        claimed = await self._leases.take(upload, State.COMPLETING)
        try:
            if claimed.manifest and not self._coordinator.complete.can_verify(claimed):
                # Only its caller knows the parts it named, and must ask for Complete again.
                await self._coordinator.resolver.settle(claimed)
            else:
                await self._coordinator.complete.run(claimed, resumed=True)
        except (errors.StorageRefused, errors.StorageUnavailable):
            if self._clock.now() < upload.grant.expire_time + GIVE_UP:
                raise
            # For a day, and longer than any caller was promised, storage has refused this or not
            # reported the outcome. The lease was released with the failure. If the request is still
            # in flight, storage decides between it and the abort, and HEAD shows which.
            await self._abort(claimed, AbortReason.EXPIRED)

    async def _abort(self, upload: Upload, reason: AbortReason) -> None:
        outcome = await self._discard.run(await self._leases.take(upload, State.ABORTING), reason)
        logger.info("upload %s: %s (%s)", upload.sid, outcome.state, reason)


def _record(
    upload: Upload, action: Action, reason: str, *, done: bool = False, error: str = ""
) -> CleanupRecord:
    grant = upload.grant
    return CleanupRecord(
        CleanupKind.UPLOAD, grant.bucket, grant.key, grant.create_time, action, reason, done, error
    )
