"""Completes an Upload, waits while storage joins its parts, and interprets a refusal."""

from collections.abc import Collection, Mapping

from partway_client import errors
from partway_client._upload.checksums import PartChecksums
from partway_client._upload.context import UploadContext
from partway_client.models import Phase, State, UploadInfo

_MOST_POLLS = 400
_POLLS_PER_COMPLETE = 8

_ABORTED = (State.ABORTING, State.ABORTED)


class Completion:
    """The completion of one Upload. `etags`, by part number, are those that this run saw."""

    def __init__(
        self, context: UploadContext, *, checksums: PartChecksums, etags: Mapping[int, str]
    ) -> None:
        self._context = context
        self._checksums = checksums
        self._etags = etags

    async def complete(self, upload: UploadInfo) -> UploadInfo:
        """Return the Upload: COMPLETED, or COMPLETING while storage is still joining the parts."""
        checksums, whole = await self._checksums.all()
        # The entity tag of a single part is that of the object, which the service checks itself.
        etags = self._etags if upload.part_count > 1 else {}
        entry = self._context.entry
        try:
            return await self._context.rpc.complete(upload.upload_id, checksums, whole, etags)
        except errors.InvalidRequest:
            if whole and entry.found and not entry.adopted:
                # An earlier run sent another checksum to Initialize, for the same path and time.
                raise errors.FileChanged from None
            raise

    async def settle(self, upload: UploadInfo) -> UploadInfo:
        """Wait while storage is joining; return the Upload, ACTIVE or COMPLETED with our bytes.

        Raises UploadAborted, StillCompleting, CompletedOtherwise.
        """
        meter, polls = self._context.meter, 0
        while upload.state is State.COMPLETING:
            meter.enter(Phase.COMPLETING)
            polls += 1
            if polls > _MOST_POLLS:
                raise errors.StillCompleting
            await self._context.retry.back_off(min(polls, 6), base=0.5, cap=10.0, at_least=0.2)
            if polls % _POLLS_PER_COMPLETE:
                upload = await self._context.rpc.status(upload.upload_id)
            else:
                # The worker that was joining may have died; this call takes over from it.
                upload = await self.complete(upload)
        if upload.state in _ABORTED:
            raise errors.UploadAborted(upload.abort_reason)
        if upload.state is State.COMPLETED:
            # Status does not say whose call completed it. A repeated Complete is refused if the
            # Upload was completed with other bytes.
            meter.enter(Phase.COMPLETING)
            return await self.complete(upload)
        return upload


def parts_to_resend(error: errors.ServiceError, upload: UploadInfo) -> Collection[int]:
    """Return the parts that differ in storage, or all parts if `error` does not say which."""
    if isinstance(error, errors.PartsRefused):
        if error.metadata.get("storage_code") != "BadDigest":
            raise error
        return range(1, upload.part_count + 1)
    if isinstance(error, errors.PartsMissing):
        return ()
    named = {n for first, last in error.parts for n in range(first, last + 1)}
    if str(len(named)) != error.metadata.get("mismatch_count", str(len(named))):
        return range(1, upload.part_count + 1)
    return named
