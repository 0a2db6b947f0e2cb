"""From the id that a caller holds to the Upload, whatever Redis still knows of it."""

from dataclasses import replace
from datetime import timedelta

from partway_server.domain import errors
from partway_server.domain.clock import Clock
from partway_server.domain.grant import Caller, Grant, sid_of_key
from partway_server.domain.upload import AbortReason, State, Upload
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import MultipartNotFound, Storage
from partway_server.workflow.abort import Aborter
from partway_server.workflow.leases import Recorder
from partway_server.workflow.object_proof import proven
from partway_server.workflow.part_checks import as_planned


class Loader:
    """Opens ids, and rebuilds the rows that Redis has lost."""

    def __init__(
        self,
        *,
        upload_ids: UploadIdCipher,
        sessions: SessionStore,
        storage: Storage,
        recorder: Recorder,
        aborter: Aborter,
        clock: Clock,
        lease: timedelta,
    ) -> None:
        self._upload_ids = upload_ids
        self._sessions = sessions
        self._storage = storage
        self._recorder = recorder
        self._aborter = aborter
        self._clock = clock
        self._lease = lease

    async def load(self, caller: Caller, upload_id: str) -> Upload:
        """The Upload that the caller's id opens. Raises UploadNotFound, UploadBusy."""
        return await self.row(self.grant(caller, upload_id))

    def grant(self, caller: Caller, upload_id: str) -> Grant:
        """What the caller's id says. Raises UploadNotFound."""
        grant = self._upload_ids.decrypt(upload_id)
        if grant.caller != caller:
            raise errors.UploadNotFound
        return grant

    async def row(self, grant: Grant) -> Upload:
        """The Upload of a grant that was handed out, as its row says, or as storage does."""
        row = await self._sessions.get(grant.sid)
        if row is None:
            return await self._rebuild(grant)
        if row.grant.write_token != grant.write_token:
            # Redis lost the first row, and the same request was initialized anew: two Uploads with
            # one sid. They have keys of their own; the older goes on in a row of its own, too. Its
            # sid comes from the key alone, which is all that whoever lists storage knows.
            return await self.row(replace(grant, sid=sid_of_key(grant.bucket, grant.key)))
        if row.state is State.INITIATING:
            return await self._catch_up(row, grant)
        return row

    async def _rebuild(self, grant: Grant) -> Upload:
        """The row as storage shows it, stored again.

        A single PUT whose object is there counts as completed: it cannot be told from one that
        was, and nothing acknowledged may be taken back.
        """
        upload = await self._as_storage_shows(grant)
        due = self._clock.now() + self._recorder.due(upload)
        row, stored = await self._sessions.insert(upload, due)
        # Another call may have stored one since, and not of this Upload.
        return row if stored else await self.row(grant)

    async def _as_storage_shows(self, grant: Grant) -> Upload:
        try:
            parts = await self._storage.list_parts(grant, limit=1)
            if not (grant.single and as_planned(grant.plan, parts)):
                return Upload(grant, State.ACTIVE)
        except MultipartNotFound:
            # Completed or gone: only the proof below tells which.
            pass
        if stored := await proven(self._storage, grant):
            return Upload(grant, State.COMPLETED, object=stored)
        expired = grant.expire_time <= self._clock.now()
        reason = AbortReason.EXPIRED if expired else AbortReason.LOST
        return Upload(grant, State.ABORTED, abort_reason=reason)

    async def _catch_up(self, row: Upload, grant: Grant) -> Upload:
        """The id proves that the Upload was opened; the row, put back from a copy, does not.

        What else came after that copy, storage shows: the claim has made the row look new, so
        nobody would ask again.
        """
        claimed, granted = await self._sessions.claim(
            row.sid, State.INITIATING, self._lease, seen=row
        )
        if claimed is None or not granted:
            raise errors.UploadBusy(row.sid)
        active = claimed.activated(grant.multipart_id)
        due = active.look_again(self._clock.now(), self._lease)
        if not await self._sessions.finish(active, due):
            raise errors.UploadBusy(row.sid)
        shown = await self._as_storage_shows(grant)
        if shown.state is State.ACTIVE:
            return active
        over, granted = await self._sessions.claim(
            row.sid, State.ABORTING, self._lease, seen=active
        )
        if over is None or not granted:
            raise errors.UploadBusy(row.sid)
        # It looks for the object first, and then it is COMPLETED.
        return await self._aborter.abort(over, shown.abort_reason or AbortReason.LOST)
