"""What was left behind, as storage tells it: multipart uploads that no row leads to.

Rows can be lost. Then an upload whose id nobody presents again is known to nobody, and its parts
are paid for until somebody looks. So the sweep lists what is unfinished in storage and holds each
against the mark in its key and against its row. It touches only what carries our mark, and of
that only what cannot be used any more.

Nothing here is locked, and nothing need be:

- Storage is listed first and the row is read after. A row is written before its multipart upload
  is created, so a row that is missing was lost or forgotten, not late.
- The multipart upload of an ACTIVE, COMPLETING or ABORTING row is never touched. An Upload never
  changes over to another, so one that is a stray when the row is read stays one.
- The worst that can come between the decision and the request is a caller who presents an id whose
  row was lost, hours after its deadline, and asks to complete it. Storage then decides between that
  Complete and our abort, and the Complete learns by HEAD which it was. Nothing that was answered is
  taken back.
- An object is never removed here. One that came after an abort is found at the burial of its row,
  under a claim.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from partway_server.cleanup.report import Action, Finding, Kind, Report, unheard
from partway_server.domain import errors
from partway_server.domain.key_marks import KeyMark
from partway_server.domain.part_plan import Plan
from partway_server.domain.policy import Policy
from partway_server.domain.upload import Caller, Checksum, Grant, State, Upload, sid_of_key
from partway_server.storage.base import MultipartNotFound, UnfinishedUpload
from partway_server.workflow.deps import Deps

CREATE_UNDER_WAY = timedelta(minutes=15)
"""How long a create may be under way, with room for clocks that differ."""

_SOON_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: all keys of a backend's bucket that begin with `prefix`."""

    backend: str
    bucket: str
    prefix: str

    def holds(self, other: "Place") -> bool:
        same = (self.backend, self.bucket) == (other.backend, other.bucket)
        return same and other.prefix.startswith(self.prefix)


def places_of(policies: Iterable[Policy]) -> Sequence[Place]:
    """Where the uploads of these policies are, each place once."""
    found = {Place(policy.backend, policy.bucket, policy.key_prefix) for policy in policies}
    return sorted(
        (place for place in found if not any(o.holds(place) for o in found - {place})),
        key=lambda place: (place.backend, place.bucket, place.prefix),
    )


def decide(
    mark: KeyMark | None,
    listed: UnfinishedUpload,
    row: Upload | None,
    now: datetime,
    grace: timedelta,
) -> tuple[Action, str]:
    """What to do about an unfinished multipart upload, and why. `row` is the one for its key."""
    if mark is None:
        return Action.LEAVE, "its key has no mark of this deployment"
    if row is None:
        if now < mark.expire_time + grace:
            return Action.LEAVE, "it has no row, but its id may yet be presented"
        return Action.ABORT, "it has no row, and its deadline is past"
    its_own = row.grant.multipart_id == listed.multipart_id
    match row.state:
        case State.ABORTED:
            return Action.ABORT, "its upload is aborted"
        case State.COMPLETED if not its_own:
            return Action.ABORT, "its upload was completed with another"
        case State.COMPLETED:
            # Its parts may be the object's own bytes: see the look that `workflow.discard` begins
            # with.
            return Action.LEAVE, "its upload was completed with it: storage still lists it"
        case State.ACTIVE if not its_own:
            if listed.initiated is None or now < listed.initiated + CREATE_UNDER_WAY:
                return Action.LEAVE, "its upload goes on with another, but it is young"
            return Action.ABORT, "its upload goes on with another"
        case _:
            return Action.LEAVE, f"its upload is {row.state}"


class Sweeper:
    """Aborts what is unfinished in storage, is ours, and is of no use any more.

    `grace` is how long past its deadline an upload without a row is left, for clocks that differ
    and for a Complete that is at work on it while its row is lost.
    """

    def __init__(self, deps: Deps, *, grace: timedelta) -> None:
        self._policies = deps.policies
        self._key_marks = deps.key_marks
        self._sessions = deps.sessions
        self._storage = deps.storage
        self._clock = deps.clock
        self._random_bytes = deps.random_bytes
        self._grace = grace

    async def run(self, period_seconds: float, stop: asyncio.Event) -> None:
        """Sweep within a minute, and then at least every `period_seconds`, until `stop` is set.

        A sweep that is cut off is no loss: the next one sees what is left.
        """
        pause = self._some(min(period_seconds, _SOON_SECONDS))
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), pause)
            except TimeoutError:
                await self._try_sweep()
                pause = self._some(period_seconds)

    async def sweep(self, report: Report = unheard, *, dry_run: bool = False) -> None:
        """Look at all that is unfinished in storage, and unless `dry_run` abort what is an orphan.

        Each is reported, and so is a place that cannot be listed. Raises SessionsUnavailable: a row
        that cannot be read is not one that is missing.
        """
        # The policies may change on the way; what is new is looked at the next time.
        for place in places_of(self._policies.values()):
            try:
                if self._storage.capabilities_of(place.backend).exact_key_listing_only:
                    words = "this storage lists unfinished uploads of one key only"
                    report(_unlisted(place, words))
                    continue
                found = self._storage.unfinished(place.backend, place.bucket, place.prefix)
                async for listed in found:
                    report(await self._deal_with(place, listed, dry_run=dry_run))
            except (errors.StorageUnavailable, errors.StorageRefused) as error:
                logger.warning("storage cannot be swept: %s", error)
                report(_unlisted(place, "it could not be listed to its end", str(error)))

    async def _try_sweep(self) -> None:
        try:
            await self.sweep()
        except errors.SessionsUnavailable:
            logger.warning("a sweep of storage cannot reach the session store; it tries again")
        except Exception:
            logger.exception("a sweep of storage failed; it tries again")

    def _some(self, seconds: float) -> float:
        """Between half and all of it: replicas that start together should not all list at once."""
        return seconds * (1 + int.from_bytes(self._random_bytes(2)) / 0xFFFF) / 2

    async def _deal_with(self, place: Place, listed: UnfinishedUpload, *, dry_run: bool) -> Finding:
        mark = self._key_marks.read(place.bucket, listed.key)
        action, reason = await self._decide(place, mark, listed)
        done, error = False, ""
        if mark is not None and action is Action.ABORT:
            grant = _as_marked(place, mark, listed)
            try:
                if await self._keeps_an_object(grant):
                    action, reason = Action.LEAVE, "the object at its key may be made from it"
                elif not dry_run:
                    await self._storage.abort(grant)
                    done = True
                    logger.info("upload %s: aborted an orphan in storage: %s", mark.sid, reason)
            except (errors.StorageUnavailable, errors.StorageRefused) as failure:
                logger.warning("upload %s: its orphan stays: %s", mark.sid, failure)
                error = str(failure)
        return Finding(
            Kind.MULTIPART, place.bucket, listed.key, listed.initiated, action, reason, done, error
        )

    async def _decide(
        self, place: Place, mark: KeyMark | None, listed: UnfinishedUpload
    ) -> tuple[Action, str]:
        now = self._clock.now()
        rows: list[Upload | None] = []
        if mark is not None:
            # Under its own sid there may be another Upload by now, and this one under another's.
            for sid in (mark.sid, sid_of_key(place.bucket, listed.key)):
                row = await self._sessions.get(sid)
                if row is not None and _at(row.grant) == (place.backend, place.bucket, listed.key):
                    rows.append(row)
        verdicts = [decide(mark, listed, row, now, self._grace) for row in rows or [None]]
        # Of two rows that differ, the one in whose favour it is.
        return next((v for v in verdicts if v[0] is Action.LEAVE), verdicts[0])

    async def _keeps_an_object(self, grant: Grant) -> bool:
        """Whether the Upload's object exists, and could be made from these very parts.

        A store may have joined them and failed to clear them away. What has no parts is a stray.
        """
        head = await self._storage.head(grant)
        if head is None or not head.write_token.startswith(grant.write_token):
            return False
        try:
            return bool(await self._storage.list_parts(grant, limit=1))
        except MultipartNotFound:
            return False


def _unlisted(place: Place, reason: str, error: str = "") -> Finding:
    return Finding(
        Kind.LISTING, place.bucket, place.prefix, None, Action.LEAVE, reason, error=error
    )


def _at(grant: Grant) -> tuple[str, str, str]:
    return grant.backend, grant.bucket, grant.key


def _as_marked(place: Place, mark: KeyMark, listed: UnfinishedUpload) -> Grant:
    """As much of the grant as the mark tells. Storage goes by its place and multipart_id."""
    return Grant(
        sid=mark.sid,
        caller=Caller("", ""),
        policy="",
        backend=place.backend,
        bucket=place.bucket,
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
