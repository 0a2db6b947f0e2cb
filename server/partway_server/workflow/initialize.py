"""Initialize: from what a caller asks for to an open multipart upload in storage.

The session record is written before the multipart upload is created, and the key is derived from
the sid, so that an upload whose ID was never handed out can still be found by listing exactly that
key. The key also carries a mark that identifies it as ours without the record.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum

from partway_server.domain import errors
from partway_server.domain.errors import InvalidRequest
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.requests import UploadParams
from partway_server.domain.upload import State, Upload
from partway_server.storage.base import MultipartNotFound
from partway_server.workflow.batch import StorageTurn, at_once
from partway_server.workflow.deps import Deps
from partway_server.workflow.leases import Leases
from partway_server.workflow.new_upload import derive_sid, is_same_request, new_upload
from partway_server.workflow.resolver import Resolver
from partway_server.workflow.upload_quota import UploadQuota

OPENING_LEASES = 4
"""How many leases after its Initialize an upload that was never opened is left to its caller, who
may come back for it with the same request_id."""


class Turn(Enum):
    """What a call to Initialize does about the upload it met."""

    OPEN = "open it"
    REOPEN = "open it, as an earlier call began to"
    LEAVE = "nothing: it is open, or has ended"
    NONE = "nothing: it was just stored, and is open"


class Initialize:
    """Opens uploads."""

    def __init__(self, deps: Deps, leases: Leases, resolver: Resolver, quota: UploadQuota) -> None:
        self._quota = quota
        self._deps = deps
        self._sessions = deps.sessions
        self._storage = deps.storage
        self._leases = leases
        self._resolver = resolver

    async def __call__(
        self, caller: Caller, params: UploadParams, storage_turn: StorageTurn = at_once
    ) -> Upload:
        """Open an upload, or return the first one with this request_id.

        Storage is asked only in a `storage_turn`.

        Raises InvalidRequest, RequestIdReused, QuotaExceeded, UploadBusy.
        """
        upload, turn = await self.begin(caller, params)
        if turn is Turn.NONE:
            return upload
        if turn is Turn.LEAVE:
            return await self._resolver.current(upload, storage_turn)
        opening = self._open_in_turn(upload, turn, params.metadata, storage_turn)
        return await self._deps.tasks.finish(opening)

    async def _open_in_turn(
        self, upload: Upload, turn: Turn, metadata: Mapping[str, str], storage_turn: StorageTurn
    ) -> Upload:
        if upload.grant.single:
            return await self.open(upload, turn, metadata)
        async with storage_turn() as waited:
            if waited:
                # Perhaps for longer than the lease, and then another call may have it.
                await self._leases.renew(upload)
            return await self.open(upload, turn, metadata)

    async def begin(self, caller: Caller, params: UploadParams) -> tuple[Upload, Turn]:
        """Return the upload for this request, leased INITIATING if `open` is to follow.

        Raises InvalidRequest, RequestIdReused, QuotaExceeded, UploadBusy.
        """
        deps = self._deps
        try:
            upload = new_upload(deps, caller, params)
        except InvalidRequest:
            # A repeat is answered as the first was, though the policy may have changed since.
            row = await self.find_repeated(caller, params.request_id)
            if row is None or not row.grant.opened or row.request_digest != params.digest():
                raise
            if row.state is State.INITIATING:
                raise
            return row, Turn.LEAVE
        if await self._quota.is_near(upload):
            row, ours = await self._insert_verified(upload, params.request_id)
        else:
            row, ours = await self._insert(upload)
        if ours:
            return row, Turn.OPEN if row.state is State.INITIATING else Turn.NONE
        if not is_same_request(row, upload):
            raise errors.RequestIdReused(params.request_id)
        if row.state is not State.INITIATING:
            if not row.grant.opened:
                # The janitor is removing it; after that the request is a new one.
                raise errors.UploadBusy(row.sid)
            return row, Turn.LEAVE
        return await self._confirmed(await self._leases.take(row, State.INITIATING)), Turn.REOPEN

    async def _insert(self, upload: Upload) -> tuple[Upload, bool]:
        deps = self._deps
        due = deps.clock.now() + OPENING_LEASES * deps.lease
        if upload.state is State.ACTIVE:
            due = upload.grant.expire_time
        return await self._sessions.insert(upload, due, deps.lease)

    async def _insert_verified(self, upload: Upload, request_id: str) -> tuple[Upload, bool]:
        """Store the session record if the caller's limits allow it. Raises QuotaExceeded."""
        async with self._quota.verified(upload) as (applicant, excess):
            if excess is not None:
                # A repeat takes nothing that the first did not.
                if row := await self.find_repeated(upload.grant.caller, request_id):
                    return row, False
                raise excess
            # Not ACTIVE before it is confirmed: no one gets its ID, and no event announces it.
            row, ours = await self._insert(replace(upload, state=State.INITIATING))
            if ours:
                try:
                    await applicant.confirm()
                except errors.QuotaExceeded:
                    await self._sessions.remove(row.sid, row.epoch)
                    raise
            return row, ours

    async def _confirmed(self, upload: Upload) -> Upload:
        """Return the upload, leased INITIATING, if the limits allow it. Raises QuotaExceeded.

        The call that stored its record may have ended before it could confirm that.
        """
        try:
            await self._quota.confirm(upload)
        except errors.QuotaExceeded:
            await self._leases.release(upload)
            raise
        return upload

    async def find_repeated(self, caller: Caller, request_id: str) -> Upload | None:
        """Return the upload that a request with this request_id made before, if remembered."""
        if not request_id:
            return None
        return await self._sessions.get(derive_sid(caller, request_id, self._deps.random_bytes))

    async def open(self, upload: Upload, turn: Turn, metadata: Mapping[str, str]) -> Upload:
        """Take a leased INITIATING upload to ACTIVE. Raises UploadBusy, TryAgain."""
        if upload.grant.single:
            return await self._leases.activate(upload, "")
        try:
            multipart_id = await self._multipart(upload, turn, metadata)
        except (errors.StorageUnavailable, errors.StorageRefused):
            await self._leases.release(upload)
            raise
        return await self._leases.activate(upload, multipart_id)

    async def resume(self, upload: Upload) -> Upload | None:
        """Open an upload, leased INITIATING, with what was created for it; None if nothing was.

        Then it is forgotten. Nothing is aborted here: the record may be stale, restored from a
        copy, and its ID in a caller's hands. So what is open stays until the deadline, at the cost
        of an empty multipart upload where no one has the ID. If more than one is open, the others
        are orphans.
        """
        async with self._leases.hold(upload):
            found = await self._storage.list_multiparts(upload.grant)
            if not found:
                await self._sessions.remove(upload.sid, upload.epoch)
                return None
            return await self._leases.activate(upload, await self._in_use(upload.grant, found))

    async def _multipart(self, upload: Upload, turn: Turn, metadata: Mapping[str, str]) -> str:
        """Return S3's ID of the multipart upload, reusing one that an earlier call created."""
        grant = upload.grant
        if turn is Turn.REOPEN:
            found = await self._storage.list_multiparts(grant)
            for orphan in found[1:]:
                await self._storage.abort(grant.with_multipart(orphan))
            if found:
                return found[0]
            head = await self._storage.head(grant)
            if head is not None and head.write_token == grant.write_token:
                # It was completed, and the record is stale. Parts at the key of the object would
                # stay for ever; so the record goes, and the repeat begins a new upload.
                await self._sessions.remove(upload.sid, upload.epoch)
                raise errors.UploadBusy(upload.sid)
            # Past its lease the record may be gone, and what is created would be an orphan.
            await self._leases.renew(upload)
        return await self._storage.create(grant, metadata)

    async def _in_use(self, grant: Grant, found: Sequence[str]) -> str:
        """Return the multipart upload that parts were sent to, or else the first."""
        for multipart_id in found:
            with contextlib.suppress(MultipartNotFound):  # It ended since it was listed.
                if await self._storage.list_parts(grant.with_multipart(multipart_id), limit=1):
                    return multipart_id
        return found[0]
