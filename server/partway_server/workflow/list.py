"""ListUploads and ListParts: pages of a caller's uploads, and of an upload's stored parts."""

from collections.abc import Sequence

from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import Caller, Upload
from partway_server.sessions.base import Cursor
from partway_server.storage.base import StoredPart
from partway_server.workflow.deps import Deps
from partway_server.workflow.resolver import Resolver


class ListUploads:
    """Lists uploads."""

    def __init__(self, deps: Deps) -> None:
        self._sessions = deps.sessions

    async def __call__(
        self, caller: Caller, wanted: UploadFilter, *, before: Cursor | None, limit: int
    ) -> tuple[Sequence[Upload], Cursor | None]:
        """Return a page of the caller's uploads, newest first, and where the next one begins.

        Those that were never opened are left out: an upload ID names its multipart upload, and they
        have none yet, or never had.
        """
        page, following = await self._sessions.list_uploads(
            caller, wanted, before=before, limit=limit
        )
        return [upload for upload in page if upload.grant.opened], following


class ListParts:
    """Lists parts."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def __call__(
        self, caller: Caller, upload_id: str, after: int, limit: int
    ) -> tuple[Sequence[StoredPart], bool]:
        """Return a page of the stored parts after number `after`, and whether more follow.

        Raises UploadNotFound, UploadNotActive.
        """
        upload = await self._resolver.load_active(caller, upload_id)
        parts = await self._resolver.stored(upload, after, limit + 1)
        return parts[:limit], len(parts) > limit
