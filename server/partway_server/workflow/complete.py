"""Complete: run or resume CompleteMultipartUpload while holding the lease.

A reply that does not arrive says nothing about what storage did. So whatever storage answers, only
what `object_proof` finds is recorded and returned.

Any number of calls may complete one upload at once. One of them takes the lease, and its work goes
on as a detached task even if that call goes away; the others wait for the outcome. The order:

1. take the lease; of an ACTIVE upload at once, without a look at it;
2. list the parts; compare them with the plan, and with what the caller says of them. The part of
   a single PUT is the object: the HEAD that shows it ends here;
3. renew the lease unless it was just taken: a worker that was paused past it stops here;
4. ask storage to join the parts, at once and once: no client of ours retries it;
5. whatever came back, look: HEAD for the object, ListParts for whether storage can be asked again;
6. record the outcome, which ends the lease, and answer.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from partway_server.domain import errors
from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import UploadNotActive
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.steps import in_turns
from partway_server.domain.upload import AbortReason, Manifest, State, StoredObject, Upload
from partway_server.storage.base import (
    CompleteRefused,
    CompleteUnknown,
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    StoredPart,
    single_part,
)
from partway_server.workflow.deps import Deps
from partway_server.workflow.discard import Discard
from partway_server.workflow.leases import Leases
from partway_server.workflow.object_proof import find_object, verify_object
from partway_server.workflow.part_checks import (
    ExpectedPart,
    check_expected,
    check_parts,
    check_whole,
    contradicted,
    manifest_of,
    with_whole,
    without_checksums,
)
from partway_server.workflow.resolver import SETTLE_STEPS, Resolver

POLL_SECONDS = 0.25
SEND_ATTEMPTS = 4

logger = logging.getLogger(__name__)


class Complete:
    """Completes uploads."""

    def __init__(self, deps: Deps, leases: Leases, discard: Discard, resolver: Resolver) -> None:
        self._deps = deps
        self._storage = deps.storage
        self._leases = leases
        self._discard = discard
        self._resolver = resolver

    async def __call__(
        self,
        caller: Caller,
        upload_id: str,
        expected: Sequence[ExpectedPart],
        wait: timedelta,
        checksum: bytes = b"",
    ) -> Upload:
        """Make the object; return the upload COMPLETED, or COMPLETING if `wait` was too short.

        `checksum` is that of the whole object, if the caller names it.

        Raises InvalidRequest, UploadNotFound, and what `run` raises.
        """
        until = self._deps.clock.now() + wait
        grant = self._resolver.grant(caller, upload_id)
        await in_turns(check_expected(expected, grant.plan))
        check_whole(checksum, grant)
        manifest = await in_turns(manifest_of(expected, checksum))
        upload, work = await self._start_at_once(grant, expected, manifest)
        while upload.state is not State.COMPLETED:
            remaining = (until - self._deps.clock.now()).total_seconds()
            work = work or await self._start(upload, expected, manifest)
            if work is not None:
                done, _ = await asyncio.wait({work}, timeout=max(remaining, 0))
                if done:
                    upload = work.result()
                    break
            elif remaining > 0:
                # Another call has the lease: its outcome decides.
                await self._deps.sleep(min(POLL_SECONDS, remaining))
            upload = await self._resolver.row(upload.grant)
            if (work is not None or remaining <= 0) and upload.state is not State.COMPLETED:
                return _under_way(upload)
        if upload.differs_from(manifest):
            raise errors.CompletedOtherwise(upload.sid)
        return upload

    async def _start_at_once(
        self, grant: Grant, expected: Sequence[ExpectedPart], manifest: Manifest
    ) -> tuple[Upload, asyncio.Task[Upload] | None]:
        """Take the lease and start the work if the upload is ACTIVE, as nearly all are.

        Returns the session record, and the work if it was started.
        """
        row, taken, latest = await self._leases.take_active(
            grant, State.COMPLETING, manifest.pack()
        )
        if row is None or not taken:
            return await self._resolver.row(grant, row), None
        work = self.run(row, expected, resumed=False, latest=latest)
        return row, self._deps.tasks.start(work)

    async def _start(
        self, upload: Upload, expected: Sequence[ExpectedPart], manifest: Manifest
    ) -> asyncio.Task[Upload] | None:
        """Take the lease and start the work, or return None if another call has the lease."""
        if upload.state is State.ABORTED and not await find_object(self._storage, upload.grant):
            raise UploadNotActive(upload.sid, upload.state, upload.abort_reason or "")
        # Half aborted: whether the object came first, the end of the abort will show.
        abort = upload.state is State.ABORTING or upload.stays_aborted
        target = State.ABORTING if abort else State.COMPLETING
        if not manifest.checksum:
            # A caller who names none takes over from one who did: that one is still verified.
            manifest = replace(manifest, checksum=Manifest.unpack(upload.manifest).checksum)
        # It shows only before the lease is taken, and matters where an object may be removed.
        latest = upload.grant.single and await self._deps.sessions.is_current(upload)
        row, taken = await self._leases.try_take(upload, target, manifest.pack())
        if not taken:
            return None
        if target is State.ABORTING:
            return self._deps.tasks.start(self._finish_abort(row))
        resumed = upload.state is not State.ACTIVE
        return self._deps.tasks.start(self.run(row, expected, resumed=resumed, latest=latest))

    async def run(
        self,
        upload: Upload,
        expected: Sequence[ExpectedPart] = (),
        *,
        resumed: bool,
        latest: bool = False,
    ) -> Upload:
        """Make the object of an upload whose COMPLETING lease was just taken; return it COMPLETED.

        `resumed` says that an earlier worker may have asked storage already; `latest`, that the
        record before the lease was not stale, so that no caller was answered COMPLETED. Raises
        PartsMissing, PartsMismatch, PartsRefused (the upload is ACTIVE again); UploadNotActive,
        ObjectExists, UploadConflict (it is ABORTED); CompletedOtherwise; TryAgain.
        """
        async with self._leases.hold(upload):
            try:
                stored, proof = await self._stored(upload.grant)
                await self._check(upload, stored, expected, latest=latest)
            except MultipartNotFound:
                return await self._resolver.completed_or_lost(
                    upload, in_flight=not upload.grant.single
                )
            except (errors.PartsMissing, errors.PartsMismatch) as refusal:
                missing = isinstance(refusal, errors.PartsMissing)
                # Complete long ago, if the record was restored from a copy, and perhaps opened
                # again.
                looked = missing or upload.grant.single
                if looked and (found := await find_object(self._storage, upload.grant)):
                    outcome = await self._leases.complete(upload, found)
                    if missing:
                        return outcome
                    raise errors.CompletedOtherwise(upload.sid) from None
                await self._leases.finish(upload.reopened())
                raise
            if not upload.grant.single:
                return await self._join(upload, stored, resumed=resumed)
            if proof is not None:
                return await self._leases.complete(upload, proof)
            return await self._resolver.completed_or_lost(upload, in_flight=False)

    async def _stored(self, grant: Grant) -> tuple[Sequence[StoredPart], StoredObject | None]:
        """Return the stored parts and, of a single PUT, the object if it is certainly the upload's.

        Raises MultipartNotFound.
        """
        if not grant.single:
            return await self._storage.list_parts(grant), None
        head = await self._storage.head(grant)
        parts = single_part(grant, head, self._storage.capabilities_of(grant.backend))
        return parts, verify_object(grant, head)

    def can_verify(self, upload: Upload) -> bool:
        """Return whether storage joins nothing but the bytes that the caller meant."""
        can = self._storage.capabilities_of(upload.grant.backend)
        return bool(upload.whole_checksum) and can.whole_checksum

    async def _check(
        self,
        upload: Upload,
        stored: Sequence[StoredPart],
        expected: Sequence[ExpectedPart],
        *,
        latest: bool,
    ) -> None:
        """Compare the stored parts with the plan and with what the caller says of them.

        Raises PartsMissing or PartsMismatch. The part of a single PUT whose bytes differ from what
        its caller says is removed first, since storage would not accept it a second time: but only
        if no caller can have been answered that it is complete.
        """
        grant, plan = upload.grant, upload.grant.plan
        if upload.whole_checksum:
            expected = with_whole(expected, upload.whole_checksum, plan)
        md5 = grant.checksum is Checksum.MD5
        other = (md5 or grant.single) and await in_turns(contradicted(stored, expected))
        if other and md5 and not await self._storage.etags_are_md5(grant):
            # An entity tag that is not an MD5 says nothing of the bytes.
            stored, other = await in_turns(without_checksums(stored)), False
        try:
            await in_turns(check_parts(upload.sid, plan, stored, expected))
        except errors.PartsMismatch:
            if grant.single and other and latest:
                head = await self._storage.head(grant)
                if head is not None and head.etag == stored[0].etag:
                    await self._discard.remove_object(grant, head)
            raise

    async def _join(self, upload: Upload, parts: Sequence[StoredPart], *, resumed: bool) -> Upload:
        grant = upload.grant
        for attempt in range(SEND_ATTEMPTS):
            if attempt:
                await self._deps.sleep(SETTLE_STEPS[attempt - 1])
            await self._leases.ensure(upload)
            try:
                await self._storage.complete(grant, parts, upload.whole_checksum)
            except CompleteRefused as refusal:
                return await self._refused(upload, refusal)
            except (KeyTaken, KeyContested) as rival:
                # The rival may be our own earlier request, still in flight: then it says nothing.
                if not (attempt or resumed) or await self._foreign_object(grant):
                    return await self._lost_key(upload, rival)
            except CompleteUnknown:
                logger.info("upload %s: storage did not say whether it completed", upload.sid)
            if stored := await find_object(self._storage, upload.grant):
                return await self._leases.complete(upload, stored)
            try:
                await self._storage.list_parts(grant, limit=1)
            except MultipartNotFound:
                return await self._resolver.completed_or_lost(upload, in_flight=True)
        raise errors.StorageUnavailable

    async def _refused(self, upload: Upload, refusal: CompleteRefused) -> Upload:
        """Return to ACTIVE, but only if the parts are still there: some stores drop them."""
        try:
            await self._storage.list_parts(upload.grant, limit=1)
        except MultipartNotFound:
            return await self._resolver.completed_or_lost(upload, in_flight=True)
        await self._leases.finish(upload.reopened())
        raise errors.PartsRefused(upload.sid, refusal.code) from refusal

    async def _foreign_object(self, grant: Grant) -> bool:
        """Return whether the object at the key is certainly another writer's."""
        head = await self._storage.head(grant)
        return head is not None and head.write_token != grant.write_token

    async def _lost_key(self, upload: Upload, rival: KeyTaken | KeyContested) -> Upload:
        """Abort: another writer has the key, unless it is our own request whose reply was lost."""
        if stored := await find_object(self._storage, upload.grant):
            return await self._leases.complete(upload, stored)
        await self._discard.abort_multipart(upload.grant)
        if stored := await find_object(self._storage, upload.grant):
            return await self._leases.complete(upload, stored)
        if isinstance(rival, KeyContested):
            await self._leases.finish(upload.aborted(AbortReason.CONFLICT))
            raise errors.UploadConflict(upload.sid)
        await self._leases.finish(upload.aborted(AbortReason.OBJECT_EXISTS))
        raise errors.ObjectExists(upload.sid)

    async def _finish_abort(self, upload: Upload) -> Upload:
        outcome = await self._discard.run(upload, AbortReason.REQUESTED)
        if outcome.state is not State.COMPLETED:
            raise UploadNotActive(outcome.sid, outcome.state, outcome.abort_reason or "")
        return outcome


def _under_way(upload: Upload) -> Upload:
    """Return the answer when time is up. Raises TimedOut unless the upload is COMPLETING.

    An abort, or an end that the last read just missed, has no answer of its own.
    """
    if upload.state is not State.COMPLETING:
        raise errors.TimedOut
    return upload
