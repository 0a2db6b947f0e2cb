"""Leases: taken before storage is changed, kept alive meanwhile, ended with the outcome.

If storage stops answering half way, the session record stays COMPLETING or ABORTING and its lease
is released, so that the next call, or the janitor, resumes from there.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

from partway_server.domain import errors
from partway_server.domain.grant import Grant
from partway_server.domain.upload import State, StoredObject, Upload
from partway_server.workflow.deps import Deps
from partway_server.workflow.object_proof import is_source
from partway_server.workflow.recent_claims import RecentClaims

LONGEST_PUT = timedelta(hours=12)
"""How long a transfer that began before its URL expired may go on."""

ORPHAN_URL_SECONDS = 900
"""The longest lifetime of URLs for an upload whose policy is no longer configured."""

logger = logging.getLogger(__name__)


class Leases:
    """Takes leases, keeps them alive, and records what was done under them."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._recent = RecentClaims(deps)

    async def take_active(
        self, grant: Grant, target: State, manifest: bytes | None = None
    ) -> tuple[Upload | None, bool, bool]:
        """Take an ACTIVE upload into the leased state `target`, without a look at it first.

        For callers to whom nothing matters that only its record says. Returns the current record,
        whoever it belongs to, whether the lease was taken, and whether the record was the latest:
        see `SessionStore.claim_active`.
        """
        deps, sent = self._deps, self._recent.now()
        row, granted, latest = await deps.sessions.claim_active(grant, target, deps.lease, manifest)
        if granted and row is not None:
            self._recent.add(row, sent)
        return row, granted and row is not None, latest

    async def try_take(
        self, upload: Upload, target: State, manifest: bytes | None = None
    ) -> tuple[Upload, bool]:
        """Take `upload` into the leased state `target`, if it is still as the caller saw it.

        Returns the upload as it is now, and whether the lease was taken.
        """
        deps, sent = self._deps, self._recent.now()
        row, granted = await deps.sessions.claim(
            upload.sid, target, deps.lease, manifest, seen=upload
        )
        if granted and row is not None:
            self._recent.add(row, sent)
        return row or upload, granted and row is not None

    async def take(self, upload: Upload, target: State) -> Upload:
        """Take `upload` into the leased state `target`. Raises UploadBusy."""
        taken, granted = await self.try_take(upload, target)
        if not granted:
            raise errors.UploadBusy(upload.sid)
        return taken

    async def renew(self, upload: Upload) -> None:
        """Renew the lease, right before a request that must not be sent without it.

        A worker that was paused past its lease stops here. Raises UploadBusy.
        """
        deps = self._deps
        if not await deps.sessions.renew(upload.sid, upload.epoch, deps.lease):
            raise errors.UploadBusy(upload.sid)

    async def ensure(self, upload: Upload) -> None:
        """Renew the lease as `renew` does, unless it was taken a moment ago.

        Then it goes on for nearly as long: see `RecentClaims`. Raises UploadBusy.
        """
        if not self._recent.has(upload):
            await self.renew(upload)

    async def release(self, upload: Upload) -> None:
        """Give the lease up, so that another worker need not wait for its end."""
        self._recent.discard(upload)
        await self._deps.sessions.renew(upload.sid, upload.epoch, timedelta())

    @contextlib.asynccontextmanager
    async def hold(self, upload: Upload) -> AsyncIterator[None]:
        """Send heartbeats while the work goes on; release the lease if storage fails it."""
        heartbeat = asyncio.create_task(self._heartbeat(upload))
        try:
            yield
        except (errors.StorageUnavailable, errors.StorageRefused):
            await self.release(upload)
            raise
        finally:
            heartbeat.cancel()
            await asyncio.wait({heartbeat})

    async def activate(self, upload: Upload, multipart_id: str) -> Upload:
        """End an INITIATING lease: the multipart upload is open. Raises UploadBusy."""
        deps = self._deps
        active = upload.activated(multipart_id)
        if not await deps.sessions.finish(active, active.look_again(deps.clock.now(), deps.lease)):
            raise errors.UploadBusy(upload.sid)
        return active

    async def complete(self, upload: Upload, stored: StoredObject) -> Upload:
        """End the lease: the object is verified.

        Sources that are to be deleted go first, under the same lease: whoever takes over from a
        worker that died half way deletes them again.
        """
        if upload.delete_sources:
            await self._delete_sources(upload)
        return await self.finish(upload.completed(stored))

    async def finish(self, outcome: Upload) -> Upload:
        """End the lease with what storage showed. Storage stands, even where the record does not.

        Raises UploadBusy if another worker has the upload by now.
        """
        sessions, due = self._deps.sessions, self._deps.clock.now() + self.due(outcome)
        if await sessions.finish(outcome, due):
            return outcome
        # The record is lost, or another lease was taken since.
        row, stored = await sessions.insert(outcome, due, restore=True)
        if stored or (row.state is outcome.state is State.COMPLETED):
            return outcome
        ours = row.grant.write_token == outcome.grant.write_token
        if ours and outcome.state is State.COMPLETED and not row.stays_aborted:
            # The object is verified, so a record that says otherwise must not stay: its burial
            # would delete the object. If another worker has the upload now, the answer waits.
            taken, granted = await self.try_take(row, State.COMPLETING)
            if granted and outcome.object is not None:
                done = taken.completed(outcome.object)
                if await sessions.finish(done, due):
                    return done
        raise errors.UploadBusy(outcome.sid)

    def due(self, upload: Upload) -> timedelta:
        """Return how long from now the janitor is to look at an upload in this state."""
        if kept := self.retention(upload):
            return kept
        now = self._deps.clock.now()
        return max(upload.look_again(now, self._deps.lease) - now, timedelta())

    def retention(self, upload: Upload) -> timedelta:
        """Return how long an upload that has ended is remembered; zero for any other.

        An aborted one leaves a tombstone until no URL of it can be in use.
        """
        if upload.state is State.COMPLETED:
            return self._deps.completed_keep
        if upload.state is State.ABORTED:
            orphan_url = timedelta(seconds=ORPHAN_URL_SECONDS)
            return max(self._deps.policies.longest_url(), orphan_url) + LONGEST_PUT
        return timedelta()

    async def _delete_sources(self, upload: Upload) -> None:
        storage = self._deps.storage
        # The same object may be named twice.
        for source in {(s.bucket, s.key): s for s in upload.sources}.values():
            grant = source.grant(upload.grant)
            try:
                head = await storage.head(grant)
                if head is not None and is_source(source, head):
                    await storage.delete(grant, head)
            except errors.StorageRefused as refusal:
                # No reason to withhold the object that was made: the source stays.
                logger.warning("upload %s: a source is not deleted: %s", upload.sid, refusal)

    async def _heartbeat(self, upload: Upload) -> None:
        deps = self._deps
        while True:
            # Real time, not the injected sleep: it keeps pace with the store's own clock.
            await asyncio.sleep(deps.lease.total_seconds() / 3)
            try:
                if not await deps.sessions.renew(upload.sid, upload.epoch, deps.lease):
                    return
            except errors.UploadError as error:
                # The lease may expire; then the renewal before the request and the epoch decide.
                logger.warning("upload %s: its lease is not renewed: %s", upload.sid, error)
            except Exception:
                logger.warning("upload %s: its lease is not renewed", upload.sid, exc_info=True)
