"""The verbs, one method per RPC.

Three truths decide everything here. Storage is the truth for bytes and outcomes: which parts
exist, and whether the object is ours. The upload_id is the truth for authority: it is opened
before anything else, and what does not open, or is another caller's, is NOT_FOUND before storage
or Redis hears of it. Redis is arbiter and memory: it says who may complete or abort now.

So each method has one shape. Open the id. Load the row; if Redis has lost it, rebuild it from the
id and storage. Decide by the row's state. If storage is to be changed, take a claim and let the
Settler carry it out as a detached task, since the caller may go away at any moment. A method that
waits for such work and runs out of time answers COMPLETING, and the work goes on.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import NoReturn

from partway_server import errors
from partway_server.clock import Clock
from partway_server.composing import Composer, Composition
from partway_server.errors import InvalidRequest, UploadNotActive
from partway_server.loading import Loader
from partway_server.objects.base import (
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    Objects,
    Presigner,
    StoredPart,
)
from partway_server.observe import Metrics
from partway_server.opening import Opener, Turn, Wanted
from partway_server.parts import (
    ExpectedPart,
    as_planned,
    check_checksum,
    check_checksums,
    check_expected,
    check_number,
    check_ranges,
    check_sent,
    check_whole,
    contradicted,
    manifest_of,
    refusal,
)
from partway_server.passing import checked
from partway_server.plan import Plan, runs, unroll
from partway_server.policy import Policy
from partway_server.reports import Progress, judge
from partway_server.sealing import Sealer
from partway_server.sessions.base import Cursor, Sessions
from partway_server.settling import Settler, Sleep
from partway_server.tasks import Tasks
from partway_server.uploads import AbortReason, Caller, Checksum, Manifest, State, Upload
from partway_server.watching import Watching

_POLL_SECONDS = 0.25

ORPHAN_URL_SECONDS = 900
"""How long URLs work at most where the Upload's policy is no longer configured."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The parts to presign: (first, last) runs, or none for all that storage does not hold."""

    ranges: Sequence[tuple[int, int]] = ()
    checksums: Mapping[int, bytes] | None = None
    lifetime: timedelta | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Presigned:
    """Parts ready to be signed: iterate `signer.sign(numbers, checksums)`, lazily.

    Kept as runs: a hundred streams of ten thousand numbers each would be tens of megabytes.
    """

    plan: Plan
    ranges: Sequence[tuple[int, int]]
    checksums: Mapping[int, bytes]
    signer: Presigner

    @property
    def count(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def numbers(self) -> Iterator[int]:
        return unroll(self.ranges)


class Coordinator:
    """Everything that callers can do."""

    def __init__(
        self,
        *,
        policies: Mapping[str, Policy],
        sealer: Sealer,
        sessions: Sessions,
        objects: Objects,
        opener: Opener,
        composer: Composer,
        loader: Loader,
        settler: Settler,
        watching: Watching,
        tasks: Tasks,
        clock: Clock,
        sleep: Sleep,
        lease: timedelta,
        metrics: Metrics,
    ) -> None:
        self._policies = policies
        self._sealer = sealer
        self._sessions = sessions
        self._objects = objects
        self._opener = opener
        self._composer = composer
        self._loader = loader
        self._settler = settler
        self._watching = watching
        self._tasks = tasks
        self._clock = clock
        self._sleep = sleep
        self._lease = lease
        self._metrics = metrics

    def upload_id(self, upload: Upload) -> str:
        """The id that callers hold."""
        return self._sealer.seal(upload.grant)

    async def initialize(self, caller: Caller, wanted: Wanted) -> Upload:
        """Open an Upload, or return the first one with this request_id.

        Raises InvalidRequest, RequestIdReused, UploadBusy.
        """
        upload, turn = await self._opener.claim(caller, wanted)
        if turn is Turn.LEAVE:
            return await self._latest(upload)
        return await self._tasks.finish(self._opener.open(upload, turn, wanted.metadata))

    async def presign(self, caller: Caller, upload_id: str, selection: Selection) -> Presigned:
        """Choose the parts and make ready to sign them.

        Raises InvalidRequest, UploadNotFound, UploadNotActive.
        """
        upload = self._active(await self._loader.load(caller, upload_id))
        grant, now = upload.grant, self._clock.now()
        policy = self._policies.get(grant.policy)
        checksums = selection.checksums or {}
        check_sent(grant.plan)
        if selection.ranges:
            check_ranges(selection.ranges, grant.plan)
            ranges = selection.ranges
        else:
            stored = await self._stored(upload)
            held = {part.number for part in as_planned(grant.plan, stored)}
            missing = (n for n in grant.plan.numbers() if n not in held)
            ranges = runs(islice(missing, selection.limit))
        check_checksums(grant.checksum, unroll(ranges), checksums)
        most = policy.max_url_seconds if policy else ORPHAN_URL_SECONDS
        lifetime = selection.lifetime or timedelta(seconds=policy.url_seconds if policy else most)
        if lifetime.total_seconds() > most:
            raise refusal("url_lifetime", f"the policy allows {most} seconds")
        signer = await self._objects.presigner(grant, lifetime, now)
        return Presigned(grant.plan, ranges, checksums, signer)

    async def upload_part(
        self,
        caller: Caller,
        upload_id: str,
        number: int,
        checksum: bytes,
        chunks: AsyncIterator[bytes],
    ) -> StoredPart:
        """Pass a part on to storage as its bytes come; whatever fails, storage keeps none of it.

        Nothing is read of `chunks` before the Upload and its policy allow it. Raises
        InvalidRequest, UploadNotFound, UploadNotActive, ViaServiceOff, PartChanged, UploadBusy, and
        what `chunks` raise.
        """
        upload = self._active(await self._loader.load(caller, upload_id))
        grant = upload.grant
        policy = self._policies.get(grant.policy)
        if policy is None or not policy.via_service:
            raise errors.ViaServiceOff(upload.sid, grant.policy)
        check_sent(grant.plan)
        check_number(number, grant.plan)
        check_checksum(grant.checksum, checksum)
        with self._metrics.part_via_service(policy.name):
            body = checked(
                chunks,
                grant=grant,
                number=number,
                checksum=checksum,
                passed=lambda size: self._metrics.passed_via_service(policy.name, size),
            )
            stored = await self._pass_on(upload, number, body, checksum)
            await self._passed(upload, number)
        return stored

    async def complete(
        self,
        caller: Caller,
        upload_id: str,
        expected: Sequence[ExpectedPart],
        wait: timedelta,
        checksum: bytes = b"",
    ) -> Upload:
        """Make the object; returns it COMPLETED, or COMPLETING if `wait` was too short for it.

        `checksum` is that of the whole object, if the caller names it.

        Raises InvalidRequest, UploadNotFound, UploadNotActive, PartsMissing, PartsMismatch,
        PartsRefused, CompletedOtherwise, ObjectExists, UploadConflict.
        """
        until = self._clock.now() + wait
        upload = await self._loader.load(caller, upload_id)
        check_expected(expected, upload.grant.plan)
        check_whole(checksum, upload.grant)
        manifest = manifest_of(expected, checksum)
        while upload.state is not State.COMPLETED:
            remaining = (until - self._clock.now()).total_seconds()
            work = await self._claim_completion(upload, expected, manifest)
            if work is not None:
                done, _ = await asyncio.wait({work}, timeout=max(remaining, 0))
                if done:
                    upload = work.result()
                    break
            elif remaining > 0:
                # Another call is at it: what it makes of it decides.
                await self._sleep(min(_POLL_SECONDS, remaining))
            upload = await self._loader.row(upload.grant)
            if (work is not None or remaining <= 0) and upload.state is not State.COMPLETED:
                return _under_way(upload)
        if _otherwise(upload, manifest):
            raise errors.CompletedOtherwise(upload.sid)
        return upload

    async def compose(self, caller: Caller, asked: Composition, wait: timedelta) -> Upload:
        """Make one object of others; returns it as it stands if `wait` was too short for it.

        Raises InvalidRequest, RequestIdReused, UploadNotFound, SourceUnusable, SourcesNotJoinable,
        UploadBusy, and what `complete` raises.
        """
        until = self._clock.now() + wait
        upload = await self._composer.open(caller, asked)
        if upload.state not in (State.ACTIVE, State.COMPLETING):
            return await self._latest(upload)
        work = self._composer.work(upload)
        remaining = (until - self._clock.now()).total_seconds()
        done, _ = await asyncio.wait({work}, timeout=max(remaining, 0))
        return work.result() if done else await self._loader.row(upload.grant)

    async def abort(self, caller: Caller, upload_id: str) -> Upload:
        """Discard the parts. Raises UploadNotFound, UploadNotActive, UploadBusy."""
        upload = await self._loader.load(caller, upload_id)
        if upload.state is State.ABORTED:
            return upload
        if upload.state is State.COMPLETED:
            raise UploadNotActive(upload.sid, upload.state)
        row, granted = await self._claim(upload, State.ABORTING)
        if row is None or not granted:
            state = row.state if row else upload.state
            if state in (State.COMPLETING, State.COMPLETED):
                raise UploadNotActive(upload.sid, state)
            raise errors.UploadBusy(upload.sid)
        outcome = await self._tasks.finish(self._settler.abort(row, AbortReason.REQUESTED))
        if outcome.state is State.COMPLETED:
            raise UploadNotActive(outcome.sid, outcome.state)
        return outcome

    async def list_parts(
        self, caller: Caller, upload_id: str, after: int, limit: int
    ) -> tuple[Sequence[StoredPart], bool]:
        """A page of the stored parts after number `after`, and whether there are more.

        Raises UploadNotFound, UploadNotActive.
        """
        upload = self._active(await self._loader.load(caller, upload_id))
        parts = await self._stored(upload, after, limit + 1)
        return parts[:limit], len(parts) > limit

    async def status(
        self, caller: Caller, upload_id: str, *, progress: bool
    ) -> tuple[Upload, Progress | None]:
        """The Upload, and its progress as storage lists it now, if it is ACTIVE or COMPLETED.

        Raises UploadNotFound.
        """
        upload = await self._latest(await self._loader.load(caller, upload_id))
        if not progress:
            return upload, None
        plan = upload.grant.plan
        if upload.state is State.COMPLETED:
            return upload, Progress(plan.part_count, plan.size_bytes, ())
        if upload.state is not State.ACTIVE:
            return upload, None
        try:
            held = as_planned(plan, await self._stored(upload))
        except UploadNotActive:
            return await self.status(caller, upload_id, progress=True)
        numbers = {part.number for part in held}
        missing = runs(n for n in plan.numbers() if n not in numbers)
        return upload, Progress(len(held), sum(p.size_bytes for p in held), missing)

    async def report(
        self, caller: Caller, upload_id: str, parts: Sequence[ExpectedPart]
    ) -> tuple[list[InvalidRequest | None], Upload]:
        """Count the parts that are as planned as sent: for each, what is wrong with it, or None.

        Raises UploadNotFound, UploadNotActive, UploadBusy.
        """
        upload = self._active(await self._loader.load(caller, upload_id))
        faults = judge(parts, upload.grant)
        good = {part.number for part, fault in zip(parts, faults, strict=True) if fault is None}
        if good:
            row = await self._sessions.report(upload, good)
            if row is None:
                # It was lost since, or taken by another Upload: the next call finds out which.
                raise errors.UploadBusy(upload.sid)
            upload = self._active(row)
        return faults, upload

    async def watch(self, caller: Caller, upload_id: str) -> AsyncGenerator[Upload, None]:
        """The Upload as it is now, then after each change, until it is COMPLETED or ABORTED.

        Raises UploadNotFound, and Stopping once `stop_watching` was called.
        """
        grant = self._loader.grant(caller, upload_id)

        async def look(sure: bool) -> Upload:
            upload = await self._loader.row(grant)
            return await self._latest(upload) if sure else upload

        async with aclosing(self._watching.watch(grant, look)) as seen:
            async for upload in seen:
                yield upload

    def stop_watching(self) -> None:
        """End all watches: the service is about to stop."""
        self._watching.stop()

    async def list_uploads(
        self,
        caller: Caller,
        *,
        state: State | None,
        fingerprint: str,
        policy: str,
        created_from: datetime | None,
        created_before: datetime | None,
        before: Cursor | None,
        limit: int,
    ) -> tuple[Sequence[Upload], Cursor | None]:
        """A page of the caller's Uploads, newest first, and where the next one begins.

        Those that were never opened are left out: the id of an Upload names its multipart upload,
        and they have none yet, or never had.
        """
        page, following = await self._sessions.list_uploads(
            caller,
            state=state,
            fingerprint=fingerprint,
            policy=policy,
            created_from=created_from,
            created_before=created_before,
            before=before,
            limit=limit,
        )
        return [u for u in page if u.grant.opened], following

    async def _latest(self, upload: Upload) -> Upload:
        """The Upload as its row says, or as storage does if the row may be an old copy."""
        if upload.state is State.COMPLETED or await self._sessions.vouches(upload):
            return upload
        if done := await self._settler.acknowledge(upload):
            return done
        if upload.state is State.ACTIVE:
            try:
                await self._stored(upload, limit=1)
            except UploadNotActive:
                return await self._loader.row(upload.grant)
        return upload

    def _active(self, upload: Upload) -> Upload:
        if upload.state is not State.ACTIVE:
            raise UploadNotActive(upload.sid, upload.told_state, upload.abort_reason or "")
        if upload.grant.expire_time <= self._clock.now():
            raise UploadNotActive(upload.sid, upload.state, AbortReason.EXPIRED)
        return upload

    async def _stored(
        self, upload: Upload, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        """What storage lists of an ACTIVE Upload; if storage has lost it, it is settled first."""
        try:
            return await self._objects.list_parts(upload.grant, after, limit)
        except MultipartNotFound:
            await self._lost(upload)

    async def _lost(self, upload: Upload) -> NoReturn:
        """Say what became of an ACTIVE Upload that storage does not know."""
        row, granted = await self._claim(upload, State.COMPLETING)
        if row is not None and granted:
            row = await self._tasks.finish(self._settler.settle(row))
        else:
            # It was settled, or is being settled, by another call.
            row = await self._loader.row(upload.grant)
        if row.state is State.ACTIVE:
            # It was not lost after all: storage contradicts itself.
            raise errors.StorageUnavailable from None
        raise UploadNotActive(row.sid, row.told_state, row.abort_reason or "") from None

    async def _pass_on(
        self, upload: Upload, number: int, body: AsyncIterator[bytes], checksum: bytes
    ) -> StoredPart:
        grant = upload.grant
        try:
            return await self._objects.put_part(grant, number, body, checksum, self._clock.now())
        except MultipartNotFound:
            await self._lost(upload)
        except KeyContested:
            raise errors.UploadBusy(upload.sid) from None
        except KeyTaken:
            # Mostly by ourselves: an earlier try, whose answer was lost.
            if ours := as_planned(grant.plan, await self._stored(upload)):
                return await self._sent_before(upload, ours[0], checksum)
            raise errors.StorageRefused("PutObject", "PreconditionFailed") from None

    async def _sent_before(self, upload: Upload, stored: StoredPart, checksum: bytes) -> StoredPart:
        """The object of a single PUT that is there, if it is not known to have other bytes."""
        named = ExpectedPart(stored.number, stored.size_bytes, "", checksum)
        other = contradicted(stored, [named])
        by_md5 = upload.grant.checksum is Checksum.MD5
        if other and (not by_md5 or await self._objects.tells_md5(upload.grant)):
            raise errors.CompletedOtherwise(upload.sid)
        return stored

    async def _passed(self, upload: Upload, number: int) -> None:
        """Count a part that storage took as reported.

        An abort may have overtaken it, of which a single PUT hears nothing from storage.
        """
        row = await self._sessions.report(upload, [number])
        if row is None:
            row = await self._loader.row(upload.grant)
        if row.state in (State.ABORTING, State.ABORTED):
            raise UploadNotActive(row.sid, row.told_state, row.abort_reason or "")

    async def _claim_completion(
        self, upload: Upload, expected: Sequence[ExpectedPart], manifest: Manifest
    ) -> asyncio.Task[Upload] | None:
        """Start what completes the Upload, or None if another call has it."""
        target = State.COMPLETING
        if upload.state is State.ABORTING:
            # Half aborted: whether the object came first, the end of the abort will show.
            target = State.ABORTING
        elif upload.state is State.ABORTED and not await self._settler.proven(upload.grant):
            raise UploadNotActive(upload.sid, upload.state, upload.abort_reason or "")
        if not manifest.checksum:
            # A caller who names none takes over from one who did: that stays to be verified.
            manifest = replace(manifest, checksum=Manifest.unpack(upload.manifest).checksum)
        # Only where an object may have to be removed does it matter, and before the claim it shows.
        latest = upload.grant.single and await self._sessions.vouches(upload)
        row, granted = await self._claim(upload, target, manifest.pack())
        if row is None or not granted:
            return None
        if target is State.ABORTING:
            return self._tasks.start(self._settle_aborting(row))
        resumed = upload.state is not State.ACTIVE
        return self._tasks.start(
            self._settler.complete(row, expected, resumed=resumed, latest=latest)
        )

    async def _claim(
        self, upload: Upload, target: State, manifest: bytes | None = None
    ) -> tuple[Upload | None, bool]:
        return await self._sessions.claim(upload.sid, target, self._lease, manifest, seen=upload)

    async def _settle_aborting(self, upload: Upload) -> Upload:
        outcome = await self._settler.abort(upload, AbortReason.REQUESTED)
        if outcome.state is not State.COMPLETED:
            raise UploadNotActive(outcome.sid, outcome.state, outcome.abort_reason or "")
        return outcome


def _otherwise(upload: Upload, manifest: Manifest) -> bool:
    """Whether a COMPLETED Upload was completed with something else than is named now."""
    then, stored = Manifest.unpack(upload.manifest), upload.object
    if manifest.parts and then.parts and manifest.parts != then.parts:
        return True
    known = (stored.checksum if stored else b"") or upload.whole_checksum
    return bool(manifest.checksum and known) and manifest.checksum != known


def _under_way(upload: Upload) -> Upload:
    """The answer when time is up. An abort, or an end that the row just missed, is none."""
    if upload.state is not State.COMPLETING:
        raise errors.TimedOut
    return upload
