"""Resolve an upload's current state: from the ID that a caller holds, or from its session record.

Trust the session record unless Redis may have lost writes; then ask storage. A record may be an old
copy that a failover of Redis restored, or missing altogether, and storage may have ended what the
record calls ACTIVE. Each is found out before a caller is given an answer that rests on it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from partway_server.domain import errors
from partway_server.domain.errors import UploadNotActive
from partway_server.domain.grant import Caller, Grant, sid_of_key
from partway_server.domain.upload import AbortReason, State, Upload
from partway_server.storage.base import MultipartNotFound, StoredPart
from partway_server.workflow.batch import StorageTurn, at_once
from partway_server.workflow.deps import Deps
from partway_server.workflow.discard import Discard
from partway_server.workflow.leases import Leases
from partway_server.workflow.object_proof import find_object
from partway_server.workflow.part_checks import as_planned

SETTLE_STEPS = (0.5, 1.0, 2.0, 4.0, 8.0, 14.5)
"""Seconds between looks at a request that may still land: half a minute altogether."""


class Resolver:
    """Finds out what an upload is now, and rebuilds session records that Redis has lost."""

    def __init__(self, deps: Deps, leases: Leases, discard: Discard) -> None:
        self._deps = deps
        self._sessions = deps.sessions
        self._storage = deps.storage
        self._leases = leases
        self._discard = discard

    # From an ID to a session record.

    def grant(self, caller: Caller, upload_id: str) -> Grant:
        """Decrypt the caller's ID. Raises UploadNotFound if it is invalid or another caller's."""
        grant = self._deps.upload_ids.decrypt(upload_id)
        if grant.caller != caller:
            raise errors.UploadNotFound
        return grant

    async def row(self, grant: Grant, read: Upload | None = None) -> Upload:
        """Return the session record of a grant that was handed out, rebuilt if it is lost.

        `read` is what was just read at its sid, if anything was.
        """
        row = read or await self._sessions.get(grant.sid)
        if row is None:
            return await self._rebuild(grant)
        if row.grant.write_token != grant.write_token:
            # Redis lost the first record, and the same request was initialized again: two uploads
            # with one sid. They have keys of their own; the older goes on in a record of its own,
            # too. Its sid comes from the key alone, which is all that a listing of storage shows.
            return await self.row(replace(grant, sid=sid_of_key(grant.bucket, grant.key)))
        if row.state is State.INITIATING:
            row = await self._catch_up(row, grant)
        if row.state is State.ACTIVE and row.grant.expire_time < grant.expire_time:
            # Redis lost an extension, which the ID proves.
            found, extended = await self.extend(row, grant.expire_time)
            return found if found and extended else await self.row(grant)
        return row

    async def extend(self, upload: Upload, expire_time: datetime) -> tuple[Upload | None, bool]:
        """Give an ACTIVE upload another deadline, if its record is still as the caller saw it.

        Returns the current record, None if it is lost, and whether it was extended.
        """
        deps = self._deps
        due = upload.extended(expire_time).look_again(deps.clock.now(), deps.lease)
        return await self._sessions.extend(upload, expire_time, due)

    async def _rebuild(self, grant: Grant) -> Upload:
        """Store the session record again, as storage shows the upload.

        A single PUT whose object is there counts as completed: it cannot be distinguished from one
        that was, and nothing acknowledged may be taken back.
        """
        upload = await self._as_storage_shows(grant)
        due = self._deps.clock.now() + self._leases.due(upload)
        row, stored = await self._sessions.insert(upload, due, restore=True)
        # Another call may have stored one since, and not of this upload.
        return row if stored else await self.row(grant)

    async def _as_storage_shows(self, grant: Grant) -> Upload:
        try:
            parts = await self._storage.list_parts(grant, limit=1)
            if not (grant.single and as_planned(grant.plan, parts)):
                return Upload(grant, State.ACTIVE)
        except MultipartNotFound:
            # Completed or gone: only the object below distinguishes them.
            pass
        if stored := await find_object(self._storage, grant):
            return Upload(grant, State.COMPLETED, object=stored)
        expired = grant.expire_time <= self._deps.clock.now()
        reason = AbortReason.EXPIRED if expired else AbortReason.LOST
        return Upload(grant, State.ABORTED, abort_reason=reason)

    async def _catch_up(self, row: Upload, grant: Grant) -> Upload:
        """Activate an upload whose record was restored from a copy made before it was opened.

        The ID proves that it was opened. What else came after that copy, storage shows: the lease
        has made the record look new, so no later call would ask.
        """
        active = await self._leases.activate(
            await self._leases.take(row, State.INITIATING), grant.multipart_id
        )
        shown = await self._as_storage_shows(grant)
        if shown.state is State.ACTIVE:
            return active
        ended = await self._leases.take(active, State.ABORTING)
        # It looks for the object first, and then the upload is COMPLETED.
        return await self._discard.run(ended, shown.abort_reason or AbortReason.LOST)

    # From a session record to the current state.

    def active(self, upload: Upload) -> Upload:
        """Return the upload if it accepts parts. Raises UploadNotActive."""
        if upload.state is not State.ACTIVE:
            raise UploadNotActive(upload.sid, upload.public_state, upload.abort_reason or "")
        if upload.grant.expire_time <= self._deps.clock.now():
            raise UploadNotActive(upload.sid, upload.state, AbortReason.EXPIRED)
        return upload

    async def load_active(self, caller: Caller, upload_id: str) -> Upload:
        """Return the upload that the caller's ID names if it accepts parts.

        Raises UploadNotFound, UploadNotActive, UploadBusy.
        """
        return await self.active_row(self.grant(caller, upload_id))

    async def active_row(self, grant: Grant) -> Upload:
        """Return the session record of an upload that accepts parts.

        Past the deadline it accepts none, so a lost record is not rebuilt, which would let anyone
        with an old ID make the service ask storage. Raises UploadNotActive, UploadBusy.
        """
        expired = grant.expire_time <= self._deps.clock.now()
        if expired and await self._sessions.get(grant.sid) is None:
            raise UploadNotActive(grant.sid, State.ACTIVE, AbortReason.EXPIRED)
        return self.active(await self.row(grant))

    async def current_row(self, grant: Grant) -> Upload:
        """Return the session record of a grant that was handed out, as `current` does."""
        read, latest = await self._sessions.look(grant.sid)
        upload = await self.row(grant, read)
        # One that is not what was read was written since.
        return upload if latest and upload is read else await self.current(upload)

    async def current(self, upload: Upload, storage_turn: StorageTurn = at_once) -> Upload:
        """Return the upload as recorded, or as storage shows it if the record may be stale."""
        if upload.state is State.COMPLETED or await self._sessions.is_current(upload):
            return upload
        async with storage_turn():
            return await self._shown(upload)

    async def _shown(self, upload: Upload) -> Upload:
        """Return an upload whose record may be stale as storage shows it."""
        if done := await self._acknowledge(upload):
            return done
        if upload.state is State.ACTIVE:
            try:
                await self.stored(upload, limit=1)
            except UploadNotActive:
                return await self.row(upload.grant)
        return upload

    async def stored(
        self, upload: Upload, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        """List the stored parts of an ACTIVE upload; settle it first if storage has lost it.

        Raises UploadNotActive.
        """
        try:
            return await self._storage.list_parts(upload.grant, after, limit)
        except MultipartNotFound:
            await self.lost(upload)

    async def lost(self, upload: Upload) -> NoReturn:
        """Raise how an ACTIVE upload ended that storage does not know.

        Raises UploadNotActive, TryAgain.
        """
        row, taken = await self._leases.try_take(upload, State.COMPLETING)
        if taken:
            row = await self._deps.tasks.finish(self.settle(row))
        else:
            # It was settled, or is being settled, by another call.
            row = await self.row(upload.grant)
        if row.state is State.ACTIVE:
            # It was not lost after all: storage contradicts itself.
            raise errors.StorageUnavailable from None
        raise UploadNotActive(row.sid, row.public_state, row.abort_reason or "") from None

    # The outcome of an upload that storage does not know.

    async def settle(self, upload: Upload) -> Upload:
        """Find out how an upload ended, leased COMPLETING, and end the lease.

        Returns it COMPLETED, or ACTIVE if storage does know it. Raises UploadNotActive (it is
        ABORTED), TryAgain.
        """
        async with self._leases.hold(upload):
            try:
                await self._storage.list_parts(upload.grant, limit=1)
            except MultipartNotFound:
                return await self.completed_or_lost(upload, in_flight=False)
            return await self._leases.finish(upload.reopened())

    async def completed_or_lost(self, upload: Upload, *, in_flight: bool) -> Upload:
        """End the lease on an upload without a multipart upload: it became the object, or is gone.

        A request that is `in_flight` may still land, so "gone" waits half a minute. Raises
        UploadNotActive (it is ABORTED).
        """
        for pause in (*SETTLE_STEPS, None) if in_flight else (None,):
            if stored := await find_object(self._storage, upload.grant):
                return await self._leases.complete(upload, stored)
            if pause is not None:
                await self._deps.sleep(pause)
        await self._leases.finish(upload.aborted(AbortReason.LOST))
        raise errors.UploadNotActive(upload.sid, State.ABORTED, AbortReason.LOST)

    async def _acknowledge(self, upload: Upload) -> Upload | None:
        """Return the upload COMPLETED if its object is verified, whatever its record says.

        Recorded, unless another worker has the upload: it finds the same. An object that came after
        an abort that is final is removed instead.
        """
        stored = await find_object(self._storage, upload.grant)
        if stored is None:
            return None
        if upload.stays_aborted and upload.abort_reason:
            row, taken = await self._leases.try_take(upload, State.ABORTING)
            if taken:
                work = self._discard.run(row, upload.abort_reason)
                return await self._deps.tasks.finish(work)
            return upload
        row, taken = await self._leases.try_take(upload, State.COMPLETING)
        if taken:
            return await self._leases.complete(row, stored)
        return replace(
            upload, state=State.COMPLETED, object=stored, abort_reason=None, lease_until=None
        )
