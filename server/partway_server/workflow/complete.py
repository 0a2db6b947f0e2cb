"""What becomes of an Upload: a Complete, or what was left of one, carried out under a claim.

A reply that does not come says nothing about what storage did. So whatever storage answers, what
is recorded and told is only what `proof` finds.

The order within one Complete:

1. list the parts and hold them against the plan, and against what the caller says of them;
2. renew the lease, right before the request: a worker that was paused past its lease stops here;
3. ask storage once to join the parts; the SDK does not retry it;
4. whatever came back, look: HEAD for the proof, ListParts for whether it can be asked again.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from partway_server.domain import errors
from partway_server.domain.checksum import Checksum
from partway_server.domain.clock import Clock
from partway_server.domain.grant import Grant
from partway_server.domain.upload import AbortReason, State, Upload
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import (
    CompleteRefused,
    CompleteUnknown,
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    Storage,
    StoredPart,
)
from partway_server.workflow.abort import Aborter
from partway_server.workflow.leases import Recorder
from partway_server.workflow.object_proof import proven
from partway_server.workflow.part_checks import ExpectedPart, check_parts, contradicted, with_whole

_SEND_ATTEMPTS = 4
_SETTLE_STEPS = (0.5, 1.0, 2.0, 4.0, 8.0, 14.5)

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


class Settler:
    """Carries out what a claim was taken for. Each method ends the claim, or gives it up."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        aborter: Aborter,
        sessions: SessionStore,
        storage: Storage,
        clock: Clock,
        sleep: Sleep,
        lease: timedelta,
    ) -> None:
        self._recorder = recorder
        self._aborter = aborter
        self._sessions = sessions
        self._storage = storage
        self._clock = clock
        self._sleep = sleep
        self._lease = lease

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
        async with self._recorder.held(upload):
            try:
                stored = await self._storage.list_parts(upload.grant)
                await self._check(upload, stored, expected, latest=latest)
            except MultipartNotFound:
                return await self._done_or_lost(upload, in_flight=not upload.grant.single)
            except (errors.PartsMissing, errors.PartsMismatch) as refusal:
                missing = isinstance(refusal, errors.PartsMissing)
                # Complete long ago, if the row was put back from a copy, and perhaps opened anew.
                looked = missing or upload.grant.single
                if looked and (found := await proven(self._storage, upload.grant)):
                    outcome = await self._recorder.made(upload, found)
                    if missing:
                        return outcome
                    raise errors.CompletedOtherwise(upload.sid) from None
                await self._recorder.finish(upload.reopened())
                raise
            if upload.grant.single:
                return await self._done_or_lost(upload, in_flight=False)
            return await self._join(upload, stored, resumed=resumed)

    async def settle(self, upload: Upload) -> Upload:
        """Find out what became of an Upload, claimed COMPLETING, that storage did not know.

        Returns it COMPLETED, or ACTIVE if storage does know it. Raises UploadNotActive (it is
        ABORTED), TryAgain.
        """
        async with self._recorder.held(upload):
            try:
                await self._storage.list_parts(upload.grant, limit=1)
            except MultipartNotFound:
                return await self._done_or_lost(upload, in_flight=False)
            return await self._recorder.finish(upload.reopened())

    def can_verify(self, upload: Upload) -> bool:
        """Whether storage joins nothing but the bytes that the caller meant."""
        can = self._storage.capabilities_of(upload.grant.backend)
        return bool(upload.whole_checksum) and can.whole_checksum

    def check_backend(self, upload: Upload) -> None:
        """Raises StorageUnavailable if the Upload is in a backend that is not configured here."""
        self._storage.capabilities_of(upload.grant.backend)

    async def take_up(self, upload: Upload) -> Upload | None:
        """Open an Upload, claimed INITIATING, with what was created for it; None if nothing was.

        Then it is forgotten. Nothing is aborted here: the row may be an old copy, put back, and its
        id in a caller's hands. So what is open stays until the deadline, at the cost of an empty
        multipart upload where nobody has the id. If more than one is open, the others are strays.
        """
        async with self._recorder.held(upload):
            found = await self._storage.list_multiparts(upload.grant)
            if not found:
                await self._sessions.remove(upload.sid, upload.epoch)
                return None
            active = upload.activated(await self._in_use(upload.grant, found))
            due = active.look_again(self._clock.now(), self._lease)
            if not await self._sessions.finish(active, due):
                raise errors.UploadBusy(upload.sid)
            return active

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
        if (
            other
            and grant.checksum is Checksum.MD5
            and not await self._storage.etags_are_md5(grant)
        ):
            # An entity tag that is no MD5 says nothing of the bytes.
            stored, other = [replace(part, checksum=b"") for part in stored], False
        try:
            check_parts(upload.sid, plan, stored, expected)
        except errors.PartsMismatch:
            if grant.single and other and latest:
                head = await self._storage.head(grant)
                if head is not None and head.etag == stored[0].etag:
                    await self._aborter.remove_ours(grant, head)
            raise

    async def _join(self, upload: Upload, parts: Sequence[StoredPart], *, resumed: bool) -> Upload:
        grant = upload.grant
        for attempt in range(_SEND_ATTEMPTS):
            if attempt:
                await self._sleep(_SETTLE_STEPS[attempt - 1])
            if not await self._sessions.renew(upload.sid, upload.epoch, self._lease):
                raise errors.UploadBusy(upload.sid)
            try:
                await self._storage.complete(grant, parts, upload.whole_checksum)
            except CompleteRefused as refusal:
                return await self._refused(upload, refusal)
            except (KeyTaken, KeyContested) as rival:
                # The rival may be our own earlier request, still at work: then it says nothing.
                if not (attempt or resumed) or await self._other_object(grant):
                    return await self._lost_key(upload, rival)
            except CompleteUnknown:
                logger.info("upload %s: storage did not say whether it completed", upload.sid)
            if stored := await proven(self._storage, upload.grant):
                return await self._recorder.made(upload, stored)
            try:
                await self._storage.list_parts(grant, limit=1)
            except MultipartNotFound:
                return await self._done_or_lost(upload, in_flight=True)
        raise errors.StorageUnavailable

    async def _refused(self, upload: Upload, refusal: CompleteRefused) -> Upload:
        """Back to ACTIVE, but only if the parts are still there: some stores drop them."""
        try:
            await self._storage.list_parts(upload.grant, limit=1)
        except MultipartNotFound:
            return await self._done_or_lost(upload, in_flight=True)
        await self._recorder.finish(upload.reopened())
        raise errors.PartsRefused(upload.sid, refusal.code) from refusal

    async def _other_object(self, grant: Grant) -> bool:
        """Whether the object at the key is surely somebody else's."""
        head = await self._storage.head(grant)
        return head is not None and head.write_token != grant.write_token

    async def _lost_key(self, upload: Upload, rival: KeyTaken | KeyContested) -> Upload:
        """Somebody has the key. It may be ourselves, by an earlier request whose reply was lost."""
        if stored := await proven(self._storage, upload.grant):
            return await self._recorder.made(upload, stored)
        await self._aborter.discard(upload.grant)
        if stored := await proven(self._storage, upload.grant):
            return await self._recorder.made(upload, stored)
        if isinstance(rival, KeyContested):
            await self._recorder.finish(upload.aborted(AbortReason.CONFLICT))
            raise errors.UploadConflict(upload.sid)
        await self._recorder.finish(upload.aborted(AbortReason.OBJECT_EXISTS))
        raise errors.ObjectExists(upload.sid)

    async def _done_or_lost(self, upload: Upload, *, in_flight: bool) -> Upload:
        """Storage knows no such multipart upload: either it became the object, or it is gone.

        A request that is `in_flight` may land yet, so the answer "gone" waits half a minute.
        """
        for pause in (*_SETTLE_STEPS, None) if in_flight else (None,):
            if stored := await proven(self._storage, upload.grant):
                return await self._recorder.made(upload, stored)
            if pause is not None:
                await self._sleep(pause)
        await self._recorder.finish(upload.aborted(AbortReason.LOST))
        raise errors.UploadNotActive(upload.sid, State.ABORTED, AbortReason.LOST)

    async def _in_use(self, grant: Grant, found: Sequence[str]) -> str:
        """The one that parts were sent to, or else the first."""
        for multipart_id in found:
            with contextlib.suppress(MultipartNotFound):  # It ended since it was listed.
                if await self._storage.list_parts(grant.with_multipart(multipart_id), limit=1):
                    return multipart_id
        return found[0]
