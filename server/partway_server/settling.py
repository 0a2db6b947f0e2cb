"""How an Upload ends: Complete and Abort, carried out under a claim.

A reply that does not come says nothing about what storage did, and "an object exists at the key"
does not either. So both operations end with the same question to storage: does the object at our
key carry our write token and have our size, and no other checksum than we were told? Only that
answer is recorded and told.

The order within one Complete:

1. list the parts and hold them against the plan, and against what the caller says of them;
2. renew the lease, right before the request: a worker that was paused past its lease stops here;
3. ask storage once to join the parts; the SDK does not retry it;
4. whatever came back, look: HEAD for the proof, ListParts for whether it can be asked again.

Storage that stops answering half way leaves the row COMPLETING or ABORTING with the lease given
up, so that the next call, or the janitor, takes it from there.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from partway_server import errors
from partway_server.clock import Clock
from partway_server.objects.base import (
    CompleteRefused,
    CompleteUnknown,
    Head,
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    Objects,
    StoredPart,
)
from partway_server.parts import ExpectedPart, check_parts, contradicted, with_whole
from partway_server.sessions.base import Sessions
from partway_server.uploads import (
    AbortReason,
    Checksum,
    Grant,
    Source,
    State,
    StoredObject,
    Upload,
)

COMPLETED_ROW = timedelta(days=7)
"""How long a completed Upload is remembered."""

LONGEST_PUT = timedelta(hours=12)
"""How long a transfer that began before its URL ran out may go on."""

_SEND_ATTEMPTS = 4
_SETTLE_STEPS = (0.5, 1.0, 2.0, 4.0, 8.0, 14.5)

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


def proof(grant: Grant, head: Head | None) -> StoredObject | None:
    """The object, if it is surely this Upload's and whole.

    What a Complete says of its checksum is no part of it: storage was handed that when it joined
    the parts, and an object that was acknowledged once is not to be doubted by a later caller.
    """
    if head is None or head.write_token != grant.write_token:
        return None
    if head.size_bytes != grant.plan.size_bytes:
        return None
    if head.checksum and grant.whole_checksum not in (b"", head.checksum):
        return None
    return StoredObject(head.size_bytes, head.etag, head.version_id, head.checksum, head.metadata)


def is_source(source: Source, head: Head) -> bool:
    """Whether the object at the key of a source is still that very one."""
    return (head.etag, head.write_token) == (source.etag, source.write_token)


class Settler:
    """Carries out what a claim was taken for. Each method ends the claim, or gives it up.

    `tombstone` tells how long an aborted Upload is remembered: until no URL of it is in use.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        objects: Objects,
        clock: Clock,
        sleep: Sleep,
        lease: timedelta,
        tombstone: Callable[[], timedelta],
    ) -> None:
        self._sessions = sessions
        self._objects = objects
        self._clock = clock
        self._sleep = sleep
        self._lease = lease
        self._tombstone = tombstone

    async def complete(
        self,
        upload: Upload,
        expected: Sequence[ExpectedPart] = (),
        *,
        resumed: bool,
        latest: bool = False,
    ) -> Upload:
        """Make the object of an Upload that was just claimed COMPLETING; returns it COMPLETED.

        `resumed` says that an earlier claim may have asked storage already; `latest`, that the row
        before the claim was no old copy, so that nobody was told COMPLETED. Raises PartsMissing,
        PartsMismatch, PartsRefused (the Upload is ACTIVE again); UploadNotActive, ObjectExists,
        UploadConflict (it is ABORTED); CompletedOtherwise; TryAgain.
        """
        async with self._held(upload):
            try:
                stored = await self._objects.list_parts(upload.grant)
                await self._check(upload, stored, expected, latest=latest)
            except MultipartNotFound:
                return await self._done_or_lost(upload, in_flight=not upload.grant.single)
            except (errors.PartsMissing, errors.PartsMismatch) as refusal:
                missing = isinstance(refusal, errors.PartsMissing)
                # Complete long ago, if the row was put back from a copy, and perhaps opened anew.
                looked = missing or upload.grant.single
                if looked and (found := await self.proven(upload.grant)):
                    outcome = await self._made(upload, found)
                    if missing:
                        return outcome
                    raise errors.CompletedOtherwise(upload.sid) from None
                await self._finish(upload.reopened())
                raise
            if upload.grant.single:
                return await self._done_or_lost(upload, in_flight=False)
            return await self._join(upload, stored, resumed=resumed)

    async def settle(self, upload: Upload) -> Upload:
        """Find out what became of an Upload, claimed COMPLETING, that storage did not know.

        Returns it COMPLETED, or ACTIVE if storage does know it. Raises UploadNotActive (it is
        ABORTED), TryAgain.
        """
        async with self._held(upload):
            try:
                await self._objects.list_parts(upload.grant, limit=1)
            except MultipartNotFound:
                return await self._done_or_lost(upload, in_flight=False)
            return await self._finish(upload.reopened())

    async def acknowledge(self, upload: Upload) -> Upload | None:
        """The Upload as COMPLETED if its object is proven, whatever its row says; else None.

        For an Upload under no claim of the caller's. Recorded, unless somebody works on the row:
        they find the same.
        """
        stored = await self.proven(upload.grant)
        if stored is None:
            return None
        row, granted = await self._sessions.claim(
            upload.sid, State.COMPLETING, self._lease, seen=upload
        )
        if row is not None and granted:
            return await self._made(row, stored)
        return replace(
            upload, state=State.COMPLETED, object=stored, abort_reason=None, lease_until=None
        )

    async def abort(self, upload: Upload, reason: AbortReason) -> Upload:
        """Discard the parts of an Upload that was just claimed ABORTING.

        Returns it ABORTED, or COMPLETED if the object turns out to be there.
        """
        async with self._held(upload):
            # First a look. Where a Complete joined the parts and could not clear them away, the
            # object may share its bytes with them, and an abort would drop them: so it reads in
            # SeaweedFS (weed/s3api/filer_multipart.go).
            if not upload.grant.single and (stored := await self.proven(upload.grant)):
                return await self._made(upload, stored)
            await self._discard(upload.grant)
            head = await self._objects.head(upload.grant)
            if stored := proof(upload.grant, head):
                return await self._made(upload, stored)
            await self._remove_ours(upload.grant, head)
            # One that was aborted before keeps its reason.
            return await self._finish(upload.aborted(upload.abort_reason or reason))

    async def bury(self, upload: Upload) -> None:
        """Forget an aborted Upload, claimed ABORTING, after what came late has been removed."""
        async with self._held(upload):
            await self._discard(upload.grant)
            await self.discard_strays(upload.grant)
            head = await self._objects.head(upload.grant)
            if head is not None and head.write_token == upload.grant.write_token:
                # As before a Complete: if this claim is over, another may have said COMPLETED.
                if not await self._sessions.renew(upload.sid, upload.epoch, self._lease):
                    raise errors.UploadBusy(upload.sid)
                logger.error("upload %s: removing an object that came after the abort", upload.sid)
                await self._objects.delete(upload.grant, head)
            await self._sessions.remove(upload.sid, upload.epoch)

    def can_verify(self, upload: Upload) -> bool:
        """Whether storage joins nothing but the bytes that the caller meant."""
        can = self._objects.capabilities_of(upload.grant.backend)
        return bool(upload.whole_checksum) and can.whole_checksum

    def check_backend(self, upload: Upload) -> None:
        """Raises StorageUnavailable if the Upload is in a backend that is not configured here."""
        self._objects.capabilities_of(upload.grant.backend)

    async def take_up(self, upload: Upload) -> Upload | None:
        """Open an Upload, claimed INITIATING, with what was created for it; None if nothing was.

        Then it is forgotten. Nothing is aborted here: the row may be an old copy, put back, and its
        id in a caller's hands. So what is open stays until the deadline, at the cost of an empty
        multipart upload where nobody has the id. If more than one is open, the others are strays.
        """
        async with self._held(upload):
            found = await self._objects.list_multiparts(upload.grant)
            if not found:
                await self._sessions.remove(upload.sid, upload.epoch)
                return None
            active = upload.activated(await self._in_use(upload.grant, found))
            due = active.look_again(self._clock.now(), self._lease)
            if not await self._sessions.finish(active, due):
                raise errors.UploadBusy(upload.sid)
            return active

    async def discard_strays(self, grant: Grant) -> None:
        """Abort what is open at the key of an Upload that is over, but is not its own.

        A create whose reply was given up may land after another was made, and nobody has its id.
        """
        for multipart_id in await self._objects.list_multiparts(grant):
            if multipart_id != grant.multipart_id:
                await self._objects.abort(grant.with_multipart(multipart_id))

    async def proven(self, grant: Grant) -> StoredObject | None:
        """The object, if storage has it and it is surely this Upload's."""
        return proof(grant, await self._objects.head(grant))

    def due(self, upload: Upload) -> timedelta:
        """How long from now the janitor is to look at an Upload in this state."""
        if upload.state is State.COMPLETED:
            return COMPLETED_ROW
        if upload.state is State.ABORTED:
            return self._tombstone()
        now = self._clock.now()
        return max(upload.look_again(now, self._lease) - now, timedelta())

    async def _check(
        self,
        upload: Upload,
        stored: Sequence[StoredPart],
        expected: Sequence[ExpectedPart],
        *,
        latest: bool,
    ) -> None:
        """Hold what storage lists against the plan and the caller's word.

        Raises PartsMissing or PartsMismatch; the part of a single PUT that has other bytes than
        its caller says is removed before, since storage would not take it a second time: but only
        if nobody can have been told that it is complete.
        """
        grant, plan = upload.grant, upload.grant.plan
        if upload.whole_checksum:
            expected = with_whole(expected, upload.whole_checksum, plan)
        other = any(contradicted(part, expected) for part in stored)
        if other and grant.checksum is Checksum.MD5 and not await self._objects.tells_md5(grant):
            # An entity tag that is no MD5 says nothing of the bytes.
            stored, other = [replace(part, checksum=b"") for part in stored], False
        try:
            check_parts(upload.sid, plan, stored, expected)
        except errors.PartsMismatch:
            if grant.single and other and latest:
                head = await self._objects.head(grant)
                if head is not None and head.etag == stored[0].etag:
                    await self._remove_ours(grant, head)
            raise

    async def _remove_ours(self, grant: Grant, head: Head | None) -> None:
        if head is not None and head.write_token == grant.write_token:
            await self._objects.delete(grant, head)

    async def _join(self, upload: Upload, parts: Sequence[StoredPart], *, resumed: bool) -> Upload:
        grant = upload.grant
        for attempt in range(_SEND_ATTEMPTS):
            if attempt:
                await self._sleep(_SETTLE_STEPS[attempt - 1])
            if not await self._sessions.renew(upload.sid, upload.epoch, self._lease):
                raise errors.UploadBusy(upload.sid)
            try:
                await self._objects.complete(grant, parts, upload.whole_checksum)
            except CompleteRefused as refusal:
                return await self._refused(upload, refusal)
            except (KeyTaken, KeyContested) as rival:
                # The rival may be our own earlier request, still at work: then it says nothing.
                if not (attempt or resumed) or await self._other_object(grant):
                    return await self._lost_key(upload, rival)
            except CompleteUnknown:
                logger.info("upload %s: storage did not say whether it completed", upload.sid)
            if stored := await self.proven(upload.grant):
                return await self._made(upload, stored)
            try:
                await self._objects.list_parts(grant, limit=1)
            except MultipartNotFound:
                return await self._done_or_lost(upload, in_flight=True)
        raise errors.StorageUnavailable

    async def _refused(self, upload: Upload, refusal: CompleteRefused) -> Upload:
        """Back to ACTIVE, but only if the parts are still there: some stores drop them."""
        try:
            await self._objects.list_parts(upload.grant, limit=1)
        except MultipartNotFound:
            return await self._done_or_lost(upload, in_flight=True)
        await self._finish(upload.reopened())
        raise errors.PartsRefused(upload.sid, refusal.code) from refusal

    async def _other_object(self, grant: Grant) -> bool:
        """Whether the object at the key is surely somebody else's."""
        head = await self._objects.head(grant)
        return head is not None and head.write_token != grant.write_token

    async def _lost_key(self, upload: Upload, rival: KeyTaken | KeyContested) -> Upload:
        """Somebody has the key. It may be ourselves, by an earlier request whose reply was lost."""
        if stored := await self.proven(upload.grant):
            return await self._made(upload, stored)
        await self._discard(upload.grant)
        if stored := await self.proven(upload.grant):
            return await self._made(upload, stored)
        if isinstance(rival, KeyContested):
            await self._finish(upload.aborted(AbortReason.CONFLICT))
            raise errors.UploadConflict(upload.sid)
        await self._finish(upload.aborted(AbortReason.OBJECT_EXISTS))
        raise errors.ObjectExists(upload.sid)

    async def _done_or_lost(self, upload: Upload, *, in_flight: bool) -> Upload:
        """Storage knows no such multipart upload: either it became the object, or it is gone.

        A request that is `in_flight` may land yet, so the answer "gone" waits half a minute.
        """
        for pause in (*_SETTLE_STEPS, None) if in_flight else (None,):
            if stored := await self.proven(upload.grant):
                return await self._made(upload, stored)
            if pause is not None:
                await self._sleep(pause)
        await self._finish(upload.aborted(AbortReason.LOST))
        raise errors.UploadNotActive(upload.sid, State.ABORTED, AbortReason.LOST)

    async def _discard(self, grant: Grant) -> None:
        """Abort what storage has under the grant."""
        if not grant.single:
            await self._objects.abort(grant)

    async def _in_use(self, grant: Grant, found: Sequence[str]) -> str:
        """The one that parts were sent to, or else the first."""
        for multipart_id in found:
            with contextlib.suppress(MultipartNotFound):  # It ended since it was listed.
                if await self._objects.list_parts(grant.with_multipart(multipart_id), limit=1):
                    return multipart_id
        return found[0]

    async def _made(self, upload: Upload, stored: StoredObject) -> Upload:
        """Record that the object is proven.

        What is to go with it goes first, under the same claim: whoever takes over from a worker
        that died half way does it again.
        """
        if upload.delete_sources:
            await self._delete_sources(upload)
        return await self._finish(upload.completed(stored))

    async def _delete_sources(self, upload: Upload) -> None:
        # The same object may be named twice.
        for source in {(s.bucket, s.key): s for s in upload.sources}.values():
            grant = source.grant(upload.grant)
            try:
                head = await self._objects.head(grant)
                if head is not None and is_source(source, head):
                    await self._objects.delete(grant, head)
            except errors.StorageRefused as refusal:
                # No reason to withhold the object that was made: the source stays.
                logger.warning("upload %s: a source is not removed: %s", upload.sid, refusal)

    async def _finish(self, outcome: Upload) -> Upload:
        """Record what storage showed. Storage stands, even where the row does not."""
        due = self._clock.now() + self.due(outcome)
        if await self._sessions.finish(outcome, due):
            return outcome
        # The row is lost, or another claim has come since.
        row, stored = await self._sessions.insert(outcome, due)
        if stored or (row.state is outcome.state is State.COMPLETED):
            return outcome
        ours = row.grant.write_token == outcome.grant.write_token
        if ours and outcome.state is State.COMPLETED:
            # Proven, and so never to be left beside a row that says otherwise: its burial would
            # remove the object. If somebody works on the row now, the answer waits for them.
            claimed, granted = await self._sessions.claim(
                outcome.sid, State.COMPLETING, self._lease, seen=row
            )
            if claimed is not None and granted and outcome.object is not None:
                done = claimed.completed(outcome.object)
                if await self._sessions.finish(done, due):
                    return done
        raise errors.UploadBusy(outcome.sid)

    @contextlib.asynccontextmanager
    async def _held(self, upload: Upload) -> AsyncIterator[None]:
        """Keep the claim's lease alive while the work goes on, and give it up if it fails."""
        heartbeat = asyncio.create_task(self._renew_forever(upload))
        try:
            yield
        except (errors.StorageUnavailable, errors.StorageRefused):
            await self._sessions.renew(upload.sid, upload.epoch, timedelta())
            raise
        finally:
            heartbeat.cancel()
            await asyncio.wait({heartbeat})

    async def _renew_forever(self, upload: Upload) -> None:
        while True:
            # Real time, not the injected sleep: it keeps pace with the store's own clock.
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                if not await self._sessions.renew(upload.sid, upload.epoch, self._lease):
                    return
            except Exception:
                # Whatever it is: the lease may run out, and then the check before the request and
                # the epoch decide.
                logger.warning("upload %s: its lease is not renewed", upload.sid, exc_info=True)
