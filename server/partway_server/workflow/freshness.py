"""What an Upload is now: as its row says and, where that may be wrong, as storage does.

A row may be an old copy that a failover of Redis put back, and storage may have ended what the row
calls ACTIVE. Either is found out before a caller is told anything that rests on it.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

from partway_server.domain import errors
from partway_server.domain.clock import Clock
from partway_server.domain.errors import UploadNotActive
from partway_server.domain.upload import AbortReason, State, Upload
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import MultipartNotFound, Storage, StoredPart
from partway_server.workflow.background_tasks import Tasks
from partway_server.workflow.complete import Settler
from partway_server.workflow.leases import Recorder
from partway_server.workflow.recovery import Loader


class Reader:
    """Holds loaded Uploads against the clock and against storage."""

    def __init__(
        self,
        *,
        sessions: SessionStore,
        storage: Storage,
        loader: Loader,
        recorder: Recorder,
        settler: Settler,
        tasks: Tasks,
        clock: Clock,
        lease: timedelta,
    ) -> None:
        self._sessions = sessions
        self._storage = storage
        self._loader = loader
        self._recorder = recorder
        self._settler = settler
        self._tasks = tasks
        self._clock = clock
        self._lease = lease

    def active(self, upload: Upload) -> Upload:
        """The Upload, if parts may come to it. Raises UploadNotActive."""
        if upload.state is not State.ACTIVE:
            raise UploadNotActive(upload.sid, upload.public_state, upload.abort_reason or "")
        if upload.grant.expire_time <= self._clock.now():
            raise UploadNotActive(upload.sid, upload.state, AbortReason.EXPIRED)
        return upload

    async def latest(self, upload: Upload) -> Upload:
        """The Upload as its row says, or as storage does if the row may be an old copy."""
        if upload.state is State.COMPLETED or await self._sessions.is_current(upload):
            return upload
        if done := await self._recorder.acknowledge(upload):
            return done
        if upload.state is State.ACTIVE:
            try:
                await self.stored(upload, limit=1)
            except UploadNotActive:
                return await self._loader.row(upload.grant)
        return upload

    async def stored(
        self, upload: Upload, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        """What storage lists of an ACTIVE Upload; if storage has lost it, it is settled first.

        Raises UploadNotActive.
        """
        try:
            return await self._storage.list_parts(upload.grant, after, limit)
        except MultipartNotFound:
            await self.lost(upload)

    async def lost(self, upload: Upload) -> NoReturn:
        """Say what became of an ACTIVE Upload that storage does not know.

        Raises UploadNotActive, TryAgain.
        """
        row, granted = await self._sessions.claim(
            upload.sid, State.COMPLETING, self._lease, seen=upload
        )
        if row is not None and granted:
            row = await self._tasks.finish(self._settler.settle(row))
        else:
            # It was settled, or is being settled, by another call.
            row = await self._loader.row(upload.grant)
        if row.state is State.ACTIVE:
            # It was not lost after all: storage contradicts itself.
            raise errors.StorageUnavailable from None
        raise UploadNotActive(row.sid, row.public_state, row.abort_reason or "") from None
