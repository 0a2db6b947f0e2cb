"""What was found out about an Upload, written into its row while the claim holds.

Storage that stops answering half way leaves the row COMPLETING or ABORTING with the lease given up,
so that the next call, or the janitor, takes it from there.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

from partway_server.domain import errors
from partway_server.domain.clock import Clock
from partway_server.domain.upload import State, StoredObject, Upload
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Storage
from partway_server.workflow.object_proof import is_source, proven

COMPLETED_ROW = timedelta(days=7)
"""How long a completed Upload is remembered."""

LONGEST_PUT = timedelta(hours=12)
"""How long a transfer that began before its URL ran out may go on."""

logger = logging.getLogger(__name__)


class Recorder:
    """Keeps claims alive, and ends them with what they showed.

    `tombstone` tells how long an aborted Upload is remembered: until no URL of it is in use.
    """

    def __init__(
        self,
        *,
        sessions: SessionStore,
        storage: Storage,
        clock: Clock,
        lease: timedelta,
        tombstone: Callable[[], timedelta],
    ) -> None:
        self._sessions = sessions
        self._storage = storage
        self._clock = clock
        self._lease = lease
        self._tombstone = tombstone

    def due(self, upload: Upload) -> timedelta:
        """How long from now the janitor is to look at an Upload in this state."""
        if kept := self.kept(upload):
            return kept
        now = self._clock.now()
        return max(upload.look_again(now, self._lease) - now, timedelta())

    def kept(self, upload: Upload) -> timedelta:
        """How long an Upload that is over is remembered; zero for any other."""
        if upload.state is State.COMPLETED:
            return COMPLETED_ROW
        return self._tombstone() if upload.state is State.ABORTED else timedelta()

    async def acknowledge(self, upload: Upload) -> Upload | None:
        """The Upload as COMPLETED if its object is proven, whatever its row says; else None.

        For an Upload under no claim of the caller's. Recorded, unless somebody works on the row:
        they find the same.
        """
        stored = await proven(self._storage, upload.grant)
        if stored is None:
            return None
        row, granted = await self._sessions.claim(
            upload.sid, State.COMPLETING, self._lease, seen=upload
        )
        if row is not None and granted:
            return await self.made(row, stored)
        return replace(
            upload, state=State.COMPLETED, object=stored, abort_reason=None, lease_until=None
        )

    async def made(self, upload: Upload, stored: StoredObject) -> Upload:
        """Record that the object is proven.

        What is to go with it goes first, under the same claim: whoever takes over from a worker
        that died half way does it again.
        """
        if upload.delete_sources:
            await self._delete_sources(upload)
        return await self.finish(upload.completed(stored))

    async def _delete_sources(self, upload: Upload) -> None:
        # The same object may be named twice.
        for source in {(s.bucket, s.key): s for s in upload.sources}.values():
            grant = source.grant(upload.grant)
            try:
                head = await self._storage.head(grant)
                if head is not None and is_source(source, head):
                    await self._storage.delete(grant, head)
            except errors.StorageRefused as refusal:
                # No reason to withhold the object that was made: the source stays.
                logger.warning("upload %s: a source is not removed: %s", upload.sid, refusal)

    async def finish(self, outcome: Upload) -> Upload:
        """Record what storage showed. Storage stands, even where the row does not."""
        due = self._clock.now() + self.due(outcome)
        if await self._sessions.finish(outcome, due):
            return outcome
        # The row is lost, or another claim has come since.
        row, stored = await self._sessions.insert(outcome, due)
        if stored or (row.state is outcome.state is State.COMPLETED):
            return outcome
        ours = row.grant.write_token == outcome.grant.write_token
        if ours and outcome.state is State.COMPLETED:
            # Proven, and so never to be left beside a row that says otherwise: its burial would
            # remove the object. If somebody works on the row now, the answer waits for them.
            claimed, granted = await self._sessions.claim(
                outcome.sid, State.COMPLETING, self._lease, seen=row
            )
            if claimed is not None and granted and outcome.object is not None:
                done = claimed.completed(outcome.object)
                if await self._sessions.finish(done, due):
                    return done
        raise errors.UploadBusy(outcome.sid)

    @contextlib.asynccontextmanager
    async def held(self, upload: Upload) -> AsyncIterator[None]:
        """Keep the claim's lease alive while the work goes on, and give it up if it fails."""
        heartbeat = asyncio.create_task(self._renew_forever(upload))
        try:
            yield
        except (errors.StorageUnavailable, errors.StorageRefused):
            await self._sessions.renew(upload.sid, upload.epoch, timedelta())
            raise
        finally:
            heartbeat.cancel()
            await asyncio.wait({heartbeat})

    async def _renew_forever(self, upload: Upload) -> None:
        while True:
            # Real time, not the injected sleep: it keeps pace with the store's own clock.
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                if not await self._sessions.renew(upload.sid, upload.epoch, self._lease):
                    return
            except Exception:
                # Whatever it is: the lease may run out, and then the check before the request and
                # the epoch decide.
                logger.warning("upload %s: its lease is not renewed", upload.sid, exc_info=True)
