"""Runs one upload from start to end.

Start: resume what the journal remembers, adopt what another client began with the same file, or
Initialize. Send what storage lacks. Complete, and send again what storage turns out to lack. The
service is asked for the Upload's state at every step, since another client, the service's cleanup
or an operator may have changed it meanwhile.

Other clients may find an Upload by its fingerprint, which two different files can share. So the
parts that storage holds from before this run are compared with the file, even our own;
Complete names the entity tags that this run saw, which detects a part that another client sent
after us; and for an Upload that another call completed, Complete checks that it has our bytes.
"""

import logging

from partway_client import errors
from partway_client._upload.context import UploadContext
from partway_client._upload.smaller_parts import SmallerParts
from partway_client._upload.upload_attempt import UploadAttempt
from partway_client._upload.upload_start import UploadStart
from partway_client.models import Phase, UploadInfo

logger = logging.getLogger(__name__)

_OVER_ERRORS = (
    errors.UploadAborted,
    errors.UploadNotFound,
    errors.ObjectExists,
    errors.UploadConflict,
)
"""After these nothing is left to resume."""

_COMPLETE = "UPLOAD_ACTION_COMPLETE"

_STALE = (
    errors.UploadAborted,
    errors.UploadNotFound,
    errors.UploadNotActive,
    errors.RequestIdReused,
    errors.CompletedOtherwise,
)
"""What may have happened to an Upload between two runs."""


class UploadSession:
    """One upload, from its start or from where an earlier run stopped."""

    def __init__(self, context: UploadContext) -> None:
        self._context = context
        self._start = UploadStart(context)

    async def run(self) -> UploadInfo:
        """Return the Upload, completed. Raises PartwayError.

        The journal entry stays, for the caller to remove once it has reported the Upload.
        """
        entry, meter = self._context.entry, self._context.meter
        meter.enter(Phase.STARTING)
        try:
            try:
                upload = await self._attempts()
            except _STALE:
                if not entry.found or meter.parts_sent or self._context.options.upload_id:
                    raise
                # What an earlier run left is no longer usable, so start over.
                entry.restart()
                upload = await self._attempts()
        except errors.FileChanged:
            stored = await self._abandon()
            entry.remove()
            raise errors.FileChanged(stored=stored) from None
        except _OVER_ERRORS:
            entry.remove()
            raise
        meter.enter(Phase.DONE)
        return upload

    async def _attempts(self) -> UploadInfo:
        """Attempt it, with smaller parts if those do not get through. Each is at most half."""
        while True:
            try:
                return await self._attempt()
            except SmallerParts as smaller:
                logger.warning(
                    "%s; beginning again with parts of %.1f MB", smaller, smaller.part_bytes / 1e6
                )
                # Saved before the old Upload is aborted, which the next start does.
                self._context.entry.begin_again(smaller.part_bytes)
                self._context.meter.enter(Phase.STARTING)

    async def _attempt(self) -> UploadInfo:
        try:
            return await UploadAttempt(self._context, await self._start.start()).run()
        except errors.PermissionDenied as denied:
            upload_id = self._context.options.upload_id
            if not upload_id or denied.metadata.get("needed") != _COMPLETE:
                raise
            # All parts are sent: whoever made the token completes the Upload.
            return await self._context.rpc.status(upload_id)

    async def _abandon(self) -> bool:
        """Have the service discard the parts. Return whether there is an object already."""
        entry = self._context.entry
        if entry.adopted:
            # The client that began the Upload may still be sending a file that did not change.
            return False
        try:
            await self._context.rpc.abort(entry.upload_id)
        except errors.UploadNotActive as error:
            return error.metadata.get("state") == "UPLOAD_STATE_COMPLETED"
        except errors.PartwayError as error:
            logger.warning("the parts could not be discarded; they will expire: %s", error)
        return False
