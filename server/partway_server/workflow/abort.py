"""Abort: discard what storage holds of an upload."""

from partway_server.domain import errors
from partway_server.domain.errors import UploadNotActive
from partway_server.domain.grant import Caller
from partway_server.domain.upload import AbortReason, State, Upload
from partway_server.workflow.deps import Deps
from partway_server.workflow.discard import Discard
from partway_server.workflow.leases import Leases
from partway_server.workflow.resolver import Resolver


class Abort:
    """Aborts uploads."""

    def __init__(self, deps: Deps, leases: Leases, discard: Discard, resolver: Resolver) -> None:
        self._tasks = deps.tasks
        self._leases = leases
        self._discard = discard
        self._resolver = resolver

    async def __call__(self, caller: Caller, upload_id: str) -> Upload:
        """Discard the parts. Raises UploadNotFound, UploadNotActive, UploadBusy."""
        grant = self._resolver.grant(caller, upload_id)
        row, taken, _ = await self._leases.take_active(grant, State.ABORTING)
        if row is None or not taken:
            upload = await self._resolver.row(grant, row)
            if upload.state is State.ABORTED:
                return upload
            row = await self._take(upload)
        outcome = await self._tasks.finish(self._discard.run(row, AbortReason.REQUESTED))
        if outcome.state is State.COMPLETED:
            raise UploadNotActive(outcome.sid, outcome.state)
        return outcome

    async def _take(self, upload: Upload) -> Upload:
        """Take the lease of an upload that was not ACTIVE, or not as the caller's ID says."""
        if upload.state is State.COMPLETED:
            raise UploadNotActive(upload.sid, upload.state)
        row, taken = await self._leases.try_take(upload, State.ABORTING)
        if not taken:
            if row.state in (State.COMPLETING, State.COMPLETED):
                raise UploadNotActive(upload.sid, row.state)
            raise errors.UploadBusy(upload.sid)
        return row
