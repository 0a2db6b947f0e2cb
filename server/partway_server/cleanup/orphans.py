"""Cleans up what storage shows to be left behind: multipart uploads without a session record.

Session records can be lost. Then an upload whose id is never presented again is unknown to Partway,
and its parts are billed until someone looks. So the sweep lists the unfinished uploads in storage
and compares each with the mark in its key and with its session record. It touches only uploads with
our mark, and of those only the ones that cannot be used any more.

Nothing here is locked, and nothing needs to be:

- Storage is listed first and the session record is read after. A record is written before its
  multipart upload is created, so a missing record was lost or forgotten, not late.
- The multipart upload of an ACTIVE, COMPLETING or ABORTING record is never touched. An upload never
  changes over to another one, so an orphan stays an orphan after its record was read.
- The worst that can come between the decision and the request is a caller who presents an id whose
  record was lost, hours after the last deadline that an extension can give, and asks to complete
  it. Storage then decides between that Complete and our abort, and the Complete learns by HEAD
  which it was. No answer that was given is taken back.
- An object is never removed here. One that appears after an abort is found at the burial of its
  record, under a lease.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import Caller, Grant, sid_of_key
from partway_server.domain.key_marks import KeyMark
from partway_server.domain.part_plan import Plan
from partway_server.domain.policy import Policy
from partway_server.domain.upload import State, Upload
from partway_server.storage.base import MultipartNotFound, UnfinishedUpload
from partway_server.workflow.deps import Deps

CREATE_UNDER_WAY = timedelta(minutes=15)
"""How long a create may be in flight, with room for clocks that differ."""

_SOON_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SweepScope:
    """What to list: all keys in the bucket of a backend that begin with `prefix`."""

    backend: str
    bucket: str
    prefix: str

    def covers(self, other: "SweepScope") -> bool:
        same = (self.backend, self.bucket) == (other.backend, other.bucket)
        return same and other.prefix.startswith(self.prefix)


def scopes_of(policies: Iterable[Policy]) -> Sequence[SweepScope]:
    """Return where the uploads of these policies are, each once."""
    found = {SweepScope(policy.backend, policy.bucket, policy.key_prefix) for policy in policies}
    return sorted(
        (scope for scope in found if not any(o.covers(scope) for o in found - {scope})),
        key=lambda scope: (scope.backend, scope.bucket, scope.prefix),
    )


def decide(
    mark: KeyMark | None,
    listed: UnfinishedUpload,
    row: Upload | None,
    now: datetime,
    grace: timedelta,
) -> tuple[Action, str]:
    """Return what to do about an unfinished multipart upload, and why."""
    if mark is None:
        return Action.LEAVE, "its key does not have the mark of this deployment"
    if row is None:
        if now < mark.expire_time + grace:
            return Action.LEAVE, "no session record, but its id may still be presented"
        return Action.ABORT, "no session record, and its last possible deadline has passed"
    its_own = row.grant.multipart_id == listed.multipart_id
    match row.state:
        case State.ABORTED:
            return Action.ABORT, "its upload is aborted"
        case State.COMPLETED if not its_own:
            return Action.ABORT, "its upload was completed with another one"
        case State.COMPLETED:
            # Its parts may be the object's own bytes: see the look that `workflow.discard` begins
            # with.
            return Action.LEAVE, "its upload was completed with it, and storage still lists it"
        case State.ACTIVE if not its_own:
            if listed.initiated is None or now < listed.initiated + CREATE_UNDER_WAY:
                return Action.LEAVE, "its upload continues with another one, but it is recent"
            return Action.ABORT, "its upload continues with another one"
        case _:
            return Action.LEAVE, f"its upload is {row.state}"


class Sweeper:
    """Aborts unfinished uploads in storage that are ours and of no use any more.

    `grace` is how long past the last deadline that it can have, by any extension, an upload without
    a session record is left, for clocks that differ and for a Complete that is working on it while
    its record is lost.
    """

    def __init__(self, deps: Deps, *, grace: timedelta) -> None:
        self._policies = deps.policies
        self._key_marks = deps.key_marks
        self._sessions = deps.sessions
        self._storage = deps.storage
        self._clock = deps.clock
        self._random_bytes = deps.random_bytes
        self._grace = grace
        self._metrics = deps.metrics.cleanup

    async def run(self, period_seconds: float, stop: asyncio.Event) -> None:
        """Sweep within a minute, and then at least every `period_seconds`, until `stop` is set.

        A sweep that is cut off loses nothing: the next one sees what is left.
        """
        pause = self._some(min(period_seconds, _SOON_SECONDS))
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), pause)
            except TimeoutError:
                await self._try_sweep()
                pause = self._some(period_seconds)

    async def sweep(self, report: Report = ignore_record, *, dry_run: bool = False) -> None:
        """Look at all unfinished uploads in storage and, unless `dry_run`, abort the orphans.

        Each is reported, and so is a scope that cannot be listed. Raises SessionsUnavailable: a
        session record that cannot be read is not one that is missing.
        """
        # The policies may change meanwhile; new ones are covered by the next sweep.
        for scope in scopes_of(self._policies.values()):
            try:
                if self._storage.capabilities_of(scope.backend).exact_key_listing_only:
                    words = "this storage lists the unfinished uploads of one key only"
                    report(_unlisted(scope, words))
                    continue
                found = self._storage.unfinished(scope.backend, scope.bucket, scope.prefix)
                async for listed in found:
                    report(await self._process(scope, listed, dry_run=dry_run))
            except (errors.StorageUnavailable, errors.StorageRefused) as error:
                logger.warning("cannot sweep storage: %s", error)
                report(_unlisted(scope, "it could not be listed completely", str(error)))

    async def _try_sweep(self) -> None:
        try:
            with self._metrics.round("sweep"):
                await self.sweep(counted_by(self._metrics))
        except errors.SessionsUnavailable:
            logger.warning("a storage sweep cannot reach the session store; retrying")
        except Exception:
            logger.exception("a storage sweep failed; retrying")

    def _some(self, seconds: float) -> float:
        """Return between half and all of it, so that replicas started together do not all list."""
        return seconds * (1 + int.from_bytes(self._random_bytes(2)) / 0xFFFF) / 2

    async def _process(
        self, scope: SweepScope, listed: UnfinishedUpload, *, dry_run: bool
    ) -> CleanupRecord:
        mark = self._key_marks.read(scope.bucket, listed.key)
        action, reason = await self._decide(scope, mark, listed)
        done, error = False, ""
        if mark is not None and action is Action.ABORT:
            grant = _as_marked(scope, mark, listed)
            try:
                if await self._keeps_an_object(grant):
                    action, reason = Action.LEAVE, "the object at its key may consist of it"
                elif not dry_run:
                    await self._storage.abort(grant)
                    done = True
                    logger.info("upload %s: aborted an orphan in storage: %s", mark.sid, reason)
            except (errors.StorageUnavailable, errors.StorageRefused) as failure:
                logger.warning("upload %s: its orphan could not be aborted: %s", mark.sid, failure)
                error = str(failure)
        return CleanupRecord(
            CleanupKind.MULTIPART,
            scope.bucket,
            listed.key,
            listed.initiated,
            action,
            reason,
            done,
            error,
        )

    async def _decide(
        self, scope: SweepScope, mark: KeyMark | None, listed: UnfinishedUpload
    ) -> tuple[Action, str]:
        now = self._clock.now()
        rows: list[Upload | None] = []
        if mark is not None:
            # Its own sid may belong to another upload by now, and this upload may have another sid.
            for sid in (mark.sid, sid_of_key(scope.bucket, listed.key)):
                row = await self._sessions.get(sid)
                if row is not None and _at(row.grant) == (scope.backend, scope.bucket, listed.key):
                    rows.append(row)
        verdicts = [decide(mark, listed, row, now, self._grace) for row in rows or [None]]
        # If two records disagree, the one that protects the upload counts.
        return next((v for v in verdicts if v[0] is Action.LEAVE), verdicts[0])

    async def _keeps_an_object(self, grant: Grant) -> bool:
        """Return whether the object of the upload exists and could be made of these very parts.

        A store may have joined them and failed to remove them. An upload without parts is an
        orphan.
        """
        head = await self._storage.head(grant)
        if head is None or not head.write_token.startswith(grant.write_token):
            return False
        try:
            return bool(await self._storage.list_parts(grant, limit=1))
        except MultipartNotFound:
            return False


def _unlisted(scope: SweepScope, reason: str, error: str = "") -> CleanupRecord:
    return CleanupRecord(
        CleanupKind.LISTING, scope.bucket, scope.prefix, None, Action.LEAVE, reason, error=error
    )


def _at(grant: Grant) -> tuple[str, str, str]:
    return grant.backend, grant.bucket, grant.key


def _as_marked(scope: SweepScope, mark: KeyMark, listed: UnfinishedUpload) -> Grant:
    """Return as much of the grant as the mark has. Storage needs its place and multipart_id."""
    return Grant(
        sid=mark.sid,
        caller=Caller("", ""),
        policy="",
        backend=scope.backend,
        bucket=scope.bucket,
        key=listed.key,
        single=False,
        plan=Plan(0, 1),
        content_type="",
        checksum=Checksum.NONE,
        write_token=mark.token_start,
        create_time=mark.expire_time,
        expire_time=mark.expire_time,
        multipart_id=listed.multipart_id,
    )
