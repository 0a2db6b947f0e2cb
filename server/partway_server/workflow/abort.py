"""How an Upload is discarded, carried out under a claim.

First a look, and last a look. An Abort that finds the object answers that the Upload is complete;
what comes to storage after it is removed when the Upload is buried.
"""

import logging
from datetime import timedelta

from partway_server.domain import errors
from partway_server.domain.grant import Grant
from partway_server.domain.upload import AbortReason, Upload
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Head, Storage
from partway_server.workflow.leases import Recorder
from partway_server.workflow.object_proof import proof, proven

logger = logging.getLogger(__name__)


class Aborter:
    """Discards parts, and objects that came too late.

    `abort` and `bury` end the claim, or give it up.
    """

    def __init__(
        self, *, recorder: Recorder, sessions: SessionStore, storage: Storage, lease: timedelta
    ) -> None:
        self._recorder = recorder
        self._sessions = sessions
        self._storage = storage
        self._lease = lease

    async def abort(self, upload: Upload, reason: AbortReason) -> Upload:
        """Discard the parts of an Upload that was just claimed ABORTING.

        Returns it ABORTED, or COMPLETED if the object turns out to be there.
        """
        async with self._recorder.held(upload):
            # First a look. Where a Complete joined the parts and could not clear them away, the
            # object may share its bytes with them, and an abort would drop them: so it reads in
            # SeaweedFS (weed/s3api/filer_multipart.go).
            if not upload.grant.single and (stored := await proven(self._storage, upload.grant)):
                return await self._recorder.made(upload, stored)
            await self.discard(upload.grant)
            head = await self._storage.head(upload.grant)
            if stored := proof(upload.grant, head):
                return await self._recorder.made(upload, stored)
            await self.remove_ours(upload.grant, head)
            # One that was aborted before keeps its reason.
            return await self._recorder.finish(upload.aborted(upload.abort_reason or reason))

    async def bury(self, upload: Upload) -> None:
        """Forget an aborted Upload, claimed ABORTING, after what came late has been removed."""
        async with self._recorder.held(upload):
            await self.discard(upload.grant)
            await self.discard_strays(upload.grant)
            head = await self._storage.head(upload.grant)
            if head is not None and head.write_token == upload.grant.write_token:
                # As before a Complete: if this claim is over, another may have said COMPLETED.
                if not await self._sessions.renew(upload.sid, upload.epoch, self._lease):
                    raise errors.UploadBusy(upload.sid)
                logger.error("upload %s: removing an object that came after the abort", upload.sid)
                await self._storage.delete(upload.grant, head)
            await self._sessions.remove(upload.sid, upload.epoch)

    async def discard_strays(self, grant: Grant) -> None:
        """Abort what is open at the key of an Upload that is over, but is not its own.

        A create whose reply was given up may land after another was made, and nobody has its id.
        """
        for multipart_id in await self._storage.list_multiparts(grant):
            if multipart_id != grant.multipart_id:
                await self._storage.abort(grant.with_multipart(multipart_id))

    async def discard(self, grant: Grant) -> None:
        """Abort what storage has under the grant."""
        if not grant.single:
            await self._storage.abort(grant)

    async def remove_ours(self, grant: Grant, head: Head | None) -> None:
        """Remove the object that HEAD showed, if it is this Upload's, whole or not."""
        if head is not None and head.write_token == grant.write_token:
            await self._storage.delete(grant, head)
