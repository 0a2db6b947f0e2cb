"""Who ends an Upload: Complete and Abort, from the claim to the answer.

Any number of calls may ask for it at once. One of them gets the claim, and what it was taken for
goes on as a detached task even if that call goes away; the others wait for what it makes of it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from partway_server.domain import errors
from partway_server.domain.clock import Clock
from partway_server.domain.errors import UploadNotActive
from partway_server.domain.upload import AbortReason, Manifest, State, Upload
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Storage
from partway_server.workflow.abort import Aborter
from partway_server.workflow.background_tasks import Tasks
from partway_server.workflow.complete import Settler, Sleep
from partway_server.workflow.object_proof import proven
from partway_server.workflow.part_checks import (
    ExpectedPart,
    check_expected,
    check_whole,
    manifest_of,
)
from partway_server.workflow.recovery import Loader

_POLL_SECONDS = 0.25


class Ender:
    """Takes the claims that end Uploads, and has them carried out."""

    def __init__(
        self,
        *,
        sessions: SessionStore,
        storage: Storage,
        loader: Loader,
        settler: Settler,
        aborter: Aborter,
        tasks: Tasks,
        clock: Clock,
        sleep: Sleep,
        lease: timedelta,
    ) -> None:
        self._sessions = sessions
        self._storage = storage
        self._loader = loader
        self._settler = settler
        self._aborter = aborter
        self._tasks = tasks
        self._clock = clock
        self._sleep = sleep
        self._lease = lease

    async def complete(
        self, upload: Upload, expected: Sequence[ExpectedPart], until: datetime, checksum: bytes
    ) -> Upload:
        """Make the object; returns the Upload COMPLETED, or COMPLETING if `until` comes first.

        Raises InvalidRequest, CompletedOtherwise, and what `Settler.complete` raises.
        """
        check_expected(expected, upload.grant.plan)
        check_whole(checksum, upload.grant)
        manifest = manifest_of(expected, checksum)
        while upload.state is not State.COMPLETED:
            remaining = (until - self._clock.now()).total_seconds()
            work = await self._claim_completion(upload, expected, manifest)
            if work is not None:
                done, _ = await asyncio.wait({work}, timeout=max(remaining, 0))
                if done:
                    upload = work.result()
                    break
            elif remaining > 0:
                # Another call is at it: what it makes of it decides.
                await self._sleep(min(_POLL_SECONDS, remaining))
            upload = await self._loader.row(upload.grant)
            if (work is not None or remaining <= 0) and upload.state is not State.COMPLETED:
                return _under_way(upload)
        if _otherwise(upload, manifest):
            raise errors.CompletedOtherwise(upload.sid)
        return upload

    async def abort(self, upload: Upload) -> Upload:
        """Discard the parts. Raises UploadNotActive, UploadBusy."""
        if upload.state is State.ABORTED:
            return upload
        if upload.state is State.COMPLETED:
            raise UploadNotActive(upload.sid, upload.state)
        row, granted = await self._claim(upload, State.ABORTING)
        if row is None or not granted:
            state = row.state if row else upload.state
            if state in (State.COMPLETING, State.COMPLETED):
                raise UploadNotActive(upload.sid, state)
            raise errors.UploadBusy(upload.sid)
        outcome = await self._tasks.finish(self._aborter.abort(row, AbortReason.REQUESTED))
        if outcome.state is State.COMPLETED:
            raise UploadNotActive(outcome.sid, outcome.state)
        return outcome

    async def _claim_completion(
        self, upload: Upload, expected: Sequence[ExpectedPart], manifest: Manifest
    ) -> asyncio.Task[Upload] | None:
        """Start what completes the Upload, or None if another call has it."""
        target = State.COMPLETING
        if upload.state is State.ABORTING:
            # Half aborted: whether the object came first, the end of the abort will show.
            target = State.ABORTING
        elif upload.state is State.ABORTED and not await proven(self._storage, upload.grant):
            raise UploadNotActive(upload.sid, upload.state, upload.abort_reason or "")
        if not manifest.checksum:
            # A caller who names none takes over from one who did: that stays to be verified.
            manifest = replace(manifest, checksum=Manifest.unpack(upload.manifest).checksum)
        # Only where an object may have to be removed does it matter, and before the claim it shows.
        latest = upload.grant.single and await self._sessions.is_current(upload)
        row, granted = await self._claim(upload, target, manifest.pack())
        if row is None or not granted:
            return None
        if target is State.ABORTING:
            return self._tasks.start(self._settle_aborting(row))
        resumed = upload.state is not State.ACTIVE
        return self._tasks.start(
            self._settler.complete(row, expected, resumed=resumed, latest=latest)
        )

    async def _claim(
        self, upload: Upload, target: State, manifest: bytes | None = None
    ) -> tuple[Upload | None, bool]:
        return await self._sessions.claim(upload.sid, target, self._lease, manifest, seen=upload)

    async def _settle_aborting(self, upload: Upload) -> Upload:
        outcome = await self._aborter.abort(upload, AbortReason.REQUESTED)
        if outcome.state is not State.COMPLETED:
            raise UploadNotActive(outcome.sid, outcome.state, outcome.abort_reason or "")
        return outcome


def _otherwise(upload: Upload, manifest: Manifest) -> bool:
    """Whether a COMPLETED Upload was completed with something else than is named now."""
    then, stored = Manifest.unpack(upload.manifest), upload.object
    if manifest.parts and then.parts and manifest.parts != then.parts:
        return True
    known = (stored.checksum if stored else b"") or upload.whole_checksum
    return bool(manifest.checksum and known) and manifest.checksum != known


def _under_way(upload: Upload) -> Upload:
    """The answer when time is up. An abort, or an end that the row just missed, is none."""
    if upload.state is not State.COMPLETING:
        raise errors.TimedOut
    return upload
