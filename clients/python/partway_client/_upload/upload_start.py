"""Starts an upload: resumes the one in the journal, adopts another client's, or makes a new one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from partway_client._transport.messages import NewUpload, PartUrl
from partway_client._upload.checksums import whole_checksum
from partway_client._upload.content_type import guess_content_type
from partway_client._upload.context import UploadContext
from partway_client._upload.resume_lookup import WORTH_BYTES, find_open
from partway_client._upload.smaller_parts import first_part_size
from partway_client.errors import PartwayError
from partway_client.models import Checksum, Route, State, UploadInfo

logger = logging.getLogger(__name__)

_SMALL_BYTES = 16 * 1024 * 1024
"""Usually one part: its checksum goes with Initialize, which can then sign it at once."""


@dataclass(frozen=True, slots=True)
class StartedUpload:
    """An Upload to send parts to, and what its Initialize returned beside it.

    `accepts_parts` is whether the service lets parts through, None if it has not said so;
    `whole_checksum` is that of the file, b"" if it was not computed yet.
    """

    upload: UploadInfo
    first_urls: Sequence[PartUrl] = ()
    accepts_parts: bool | None = None
    whole_checksum: bytes = b""


class UploadStart:
    """The start of one upload. It searches for another client's Upload at most once."""

    def __init__(self, context: UploadContext) -> None:
        self._context = context
        self._searched = False

    async def start(self) -> StartedUpload:
        """Return the Upload in the journal, an adopted one, or a new one. Raises PartwayError."""
        entry = self._context.entry
        if entry.superseded:
            await self._discard(entry.superseded)
        if entry.upload_id:
            upload = await self._context.rpc.status(entry.upload_id)
            if upload.state is not State.INITIATING or self._context.options.upload_id:
                return StartedUpload(upload)
        adopted = await self._adopt()
        return StartedUpload(adopted) if adopted is not None else await self._initialize()

    async def _adopt(self) -> UploadInfo | None:
        """Adopt what another client began with the same file, if nothing is in the journal."""
        context = self._context
        size_bytes, fingerprint = context.source.size_bytes, context.fingerprint
        entry = context.entry
        # An Upload that was begun again because of its parts would be found.
        known = bool(entry.upload_id) or self._searched or entry.begun_again
        resumable = context.options.resume and fingerprint and size_bytes > WORTH_BYTES
        if known or not resumable:
            return None
        # Once: an Upload that turned out to be unusable would be found again.
        self._searched = True
        upload = await find_open(
            context.rpc,
            fingerprint=fingerprint,
            size_bytes=size_bytes,
            now=context.retry.now(),
        )
        if upload is not None:
            logger.info("resuming an open upload of the same file")
            context.entry.adopt(upload.upload_id)
        return upload

    async def _discard(self, upload_id: str) -> None:
        """Abort an Upload that this one replaces, and forget it."""
        try:
            await self._context.rpc.abort(upload_id)
        except PartwayError as error:
            logger.debug("an Upload that was replaced could not be aborted; it expires: %s", error)
        self._context.entry.superseded = ""
        self._context.entry.save()

    async def _initialize(self) -> StartedUpload:
        context, options = self._context, self._context.options
        source, whole = context.source, b""
        if not (context.entry.found or context.entry.begun_again or options.part_size):
            # Saved first: with the same request_id, the same size must be asked for.
            context.entry.part_size = await first_part_size(context)
            if context.entry.part_size:
                context.entry.save()
        combinable = options.checksum in (Checksum.BEST, Checksum.CRC64NVME)
        if combinable and source.size_bytes <= _SMALL_BYTES:
            whole = await whole_checksum(source)
        content_type = options.content_type
        new = NewUpload(
            policy=options.policy,
            file_name=source.name,
            size_bytes=source.size_bytes,
            content_type=(
                guess_content_type(source.name) if content_type is None else content_type
            ),
            metadata=options.metadata,
            part_size_bytes=options.part_size or context.entry.part_size,
            fingerprint=context.fingerprint,
            request_id=context.entry.request_id,
            presign_parts=0 if options.route is Route.SERVICE else options.window,
            checksum_algorithm=options.checksum,
            checksum=whole,
        )
        upload, first_urls, accepts_parts = await context.rpc.initialize(new)
        context.entry.upload_id = upload.upload_id
        # Even of one part: once Redis has lost the row, the request_id would begin another Upload.
        context.entry.save()
        return StartedUpload(upload, first_urls, accepts_parts, whole)
