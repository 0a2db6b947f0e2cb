"""Discard what storage holds of an upload, under a lease: for an Abort, an expiry or a lost key.

Look first, and look last. An abort that finds the object ends with the upload complete; whatever
reaches storage after that is removed when it is seen, or when the upload is buried.
"""

import logging

from partway_server.domain.grant import Grant
from partway_server.domain.upload import AbortReason, Upload
from partway_server.storage.base import Head
from partway_server.workflow.deps import Deps
from partway_server.workflow.leases import Leases
from partway_server.workflow.object_proof import find_object, verify_object

logger = logging.getLogger(__name__)


class Discard:
    """Removes parts, and objects that came too late."""

    def __init__(self, deps: Deps, leases: Leases) -> None:
        self._storage = deps.storage
        self._sessions = deps.sessions
        self._leases = leases

    async def run(self, upload: Upload, reason: AbortReason) -> Upload:
        """Discard the parts of an upload whose ABORTING lease was just taken, and end the lease.

        Returns it ABORTED, or COMPLETED if the object turns out to be there and did not come late.
        """
        async with self._leases.hold(upload):
            # Look first. Where a Complete joined the parts and could not clear them away, the
            # object may share its bytes with them, and an abort would drop them: so it reads in
            # SeaweedFS (weed/s3api/filer_multipart.go).
            if not upload.grant.single and (
                stored := await find_object(self._storage, upload.grant)
            ):
                return await self._leases.complete(upload, stored)
            await self.abort_multipart(upload.grant)
            head = await self._storage.head(upload.grant)
            if upload.stays_aborted:
                await self._remove_late(upload, head)
            elif stored := verify_object(upload.grant, head):
                return await self._leases.complete(upload, stored)
            else:
                await self.remove_object(upload.grant, head)
            # One that was aborted before keeps its reason.
            return await self._leases.finish(upload.aborted(upload.abort_reason or reason))

    async def bury(self, upload: Upload) -> None:
        """Forget an aborted upload, leased ABORTING, after removing what came late."""
        async with self._leases.hold(upload):
            await self.abort_multipart(upload.grant)
            await self.abort_orphans(upload.grant)
            await self._remove_late(upload, await self._storage.head(upload.grant))
            await self._sessions.remove(upload.sid, upload.epoch)

    async def _remove_late(self, upload: Upload, head: Head | None) -> None:
        if head is not None and head.write_token == upload.grant.write_token:
            # As before a Complete: if this lease is over, another worker may have answered
            # COMPLETED.
            await self._leases.renew(upload)
            logger.error("upload %s: removing an object that came after the abort", upload.sid)
            await self._storage.delete(upload.grant, head)

    async def abort_orphans(self, grant: Grant) -> None:
        """Abort the multipart uploads at the key of an upload that has ended, except its own.

        A create whose reply was given up may land after another was made, and no one has its ID.
        """
        for multipart_id in await self._storage.list_multiparts(grant):
            if multipart_id != grant.multipart_id:
                await self._storage.abort(grant.with_multipart(multipart_id))

    async def abort_multipart(self, grant: Grant) -> None:
        """Abort the upload's own multipart upload, if it has one."""
        if not grant.single:
            await self._storage.abort(grant)

    async def remove_object(self, grant: Grant, head: Head | None) -> None:
        """Delete the object that HEAD showed if it is this upload's, whole or not."""
        if head is not None and head.write_token == grant.write_token:
            await self._storage.delete(grant, head)
