"""ReportParts: count the parts that a caller says it has sent."""

from collections.abc import Sequence

from partway_server.domain import errors
from partway_server.domain.errors import InvalidRequest
from partway_server.domain.grant import Caller
from partway_server.domain.steps import in_turns
from partway_server.domain.upload import Upload
from partway_server.workflow.deps import Deps
from partway_server.workflow.part_checks import ExpectedPart
from partway_server.workflow.progress import judge
from partway_server.workflow.resolver import Resolver


class ReportParts:
    """Counts reported parts."""

    def __init__(self, deps: Deps, resolver: Resolver) -> None:
        self._sessions = deps.sessions
        self._resolver = resolver

    async def __call__(
        self,
        caller: Caller,
        upload_id: str,
        parts: Sequence[ExpectedPart],
        within: tuple[int, int] | None = None,
    ) -> tuple[list[InvalidRequest | None], Upload]:
        """Count the parts that match the plan; return for each what is wrong with it, or None.

        `within` are the first and the last part that the caller may report, None for any.

        Raises UploadNotFound, UploadNotActive, UploadBusy.
        """
        upload = await self._resolver.load_active(caller, upload_id)
        faults = await in_turns(judge(parts, upload.grant, within))
        good = {part.number for part, fault in zip(parts, faults, strict=True) if fault is None}
        if good:
            row = await self._sessions.report(upload, good)
            if row is None:
                # The record was lost since, or another upload has the sid: the next call finds out.
                raise errors.UploadBusy(upload.sid)
            upload = self._resolver.active(row)
        return faults, upload
