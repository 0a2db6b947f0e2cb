"""The verbs, one method per RPC.

Three truths decide everything here. Storage is the truth for bytes and outcomes: which parts
exist, and whether the object is ours. The upload_id is the truth for authority: it is opened
before anything else, and what does not open, or is another caller's, is NOT_FOUND before storage
or Redis hears of it. Redis is arbiter and memory: it says who may complete or abort now.

So each method has one shape. Open the id. Load the row; if Redis has lost it, rebuild it from the
id and storage. Decide by the row's state. If storage is to be changed, take a claim and let the
Settler carry it out as a detached task, since the caller may go away at any moment. A method that
waits for such work and runs out of time answers COMPLETING, and the work goes on.

What a verb does with the Upload that it loaded is said where it is done: `opening` and `composing`
begin one, `selecting` and `via_service` are about its parts, `ending` completes or aborts it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta

from partway_server.domain import errors
from partway_server.domain.clock import Clock
from partway_server.domain.errors import InvalidRequest, UploadNotActive
from partway_server.domain.grant import Caller
from partway_server.domain.part_plan import runs
from partway_server.domain.requests import ComposeParams, UploadParams
from partway_server.domain.upload import State, Upload
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.sessions.base import Cursor, SessionStore
from partway_server.storage.base import StoredPart
from partway_server.workflow.background_tasks import Tasks
from partway_server.workflow.compose import Composer
from partway_server.workflow.ending import Ender
from partway_server.workflow.freshness import Reader
from partway_server.workflow.initialize import Opener, Turn
from partway_server.workflow.part_checks import ExpectedPart, as_planned
from partway_server.workflow.presign import Presigned, Selection, Selector
from partway_server.workflow.progress import Progress, judge
from partway_server.workflow.recovery import Loader
from partway_server.workflow.upload_part import ViaService
from partway_server.workflow.watch import Watching


class Coordinator:
    """Everything that callers can do."""

    def __init__(
        self,
        *,
        upload_ids: UploadIdCipher,
        sessions: SessionStore,
        opener: Opener,
        composer: Composer,
        loader: Loader,
        reader: Reader,
        selector: Selector,
        via_service: ViaService,
        ender: Ender,
        watching: Watching,
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._upload_ids = upload_ids
        self._sessions = sessions
        self._opener = opener
        self._composer = composer
        self._loader = loader
        self._reader = reader
        self._selector = selector
        self._via_service = via_service
        self._ender = ender
        self._watching = watching
        self._tasks = tasks
        self._clock = clock

    def upload_id(self, upload: Upload) -> str:
        """The id that callers hold."""
        return self._upload_ids.encrypt(upload.grant)

    async def initialize(self, caller: Caller, wanted: UploadParams) -> Upload:
        """Open an Upload, or return the first one with this request_id.

        Raises InvalidRequest, RequestIdReused, UploadBusy.
        """
        upload, turn = await self._opener.claim(caller, wanted)
        if turn is Turn.LEAVE:
            return await self._reader.latest(upload)
        return await self._tasks.finish(self._opener.open(upload, turn, wanted.metadata))

    async def presign(self, caller: Caller, upload_id: str, selection: Selection) -> Presigned:
        """Choose the parts and make ready to sign them.

        Raises InvalidRequest, UploadNotFound, UploadNotActive.
        """
        upload = await self._active(caller, upload_id)
        return await self._selector.select(upload, selection)

    async def upload_part(
        self,
        caller: Caller,
        upload_id: str,
        number: int,
        checksum: bytes,
        chunks: AsyncIterator[bytes],
    ) -> StoredPart:
        """Pass a part on to storage as its bytes come; whatever fails, storage keeps none of it.

        Nothing is read of `chunks` before the Upload and its policy allow it. Raises
        InvalidRequest, UploadNotFound, UploadNotActive, ViaServiceOff, PartChanged, UploadBusy, and
        what `chunks` raise.
        """
        upload = await self._active(caller, upload_id)
        return await self._via_service.put(upload, number, checksum, chunks)

    async def complete(
        self,
        caller: Caller,
        upload_id: str,
        expected: Sequence[ExpectedPart],
        wait: timedelta,
        checksum: bytes = b"",
    ) -> Upload:
        """Make the object; returns it COMPLETED, or COMPLETING if `wait` was too short for it.

        `checksum` is that of the whole object, if the caller names it.

        Raises InvalidRequest, UploadNotFound, UploadNotActive, PartsMissing, PartsMismatch,
        PartsRefused, CompletedOtherwise, ObjectExists, UploadConflict.
        """
        until = self._clock.now() + wait
        upload = await self._loader.load(caller, upload_id)
        return await self._ender.complete(upload, expected, until, checksum)

    async def compose(self, caller: Caller, asked: ComposeParams, wait: timedelta) -> Upload:
        """Make one object of others; returns it as it stands if `wait` was too short for it.

        Raises InvalidRequest, RequestIdReused, UploadNotFound, SourceUnusable, SourcesNotJoinable,
        UploadBusy, and what `complete` raises.
        """
        until = self._clock.now() + wait
        upload = await self._composer.open(caller, asked)
        if upload.state not in (State.ACTIVE, State.COMPLETING):
            return await self._reader.latest(upload)
        work = self._composer.work(upload)
        remaining = (until - self._clock.now()).total_seconds()
        done, _ = await asyncio.wait({work}, timeout=max(remaining, 0))
        return work.result() if done else await self._loader.row(upload.grant)

    async def abort(self, caller: Caller, upload_id: str) -> Upload:
        """Discard the parts. Raises UploadNotFound, UploadNotActive, UploadBusy."""
        return await self._ender.abort(await self._loader.load(caller, upload_id))

    async def list_parts(
        self, caller: Caller, upload_id: str, after: int, limit: int
    ) -> tuple[Sequence[StoredPart], bool]:
        """A page of the stored parts after number `after`, and whether there are more.

        Raises UploadNotFound, UploadNotActive.
        """
        upload = await self._active(caller, upload_id)
        parts = await self._reader.stored(upload, after, limit + 1)
        return parts[:limit], len(parts) > limit

    async def status(
        self, caller: Caller, upload_id: str, *, progress: bool
    ) -> tuple[Upload, Progress | None]:
        """The Upload, and its progress as storage lists it now, if it is ACTIVE or COMPLETED.

        Raises UploadNotFound.
        """
        upload = await self._reader.latest(await self._loader.load(caller, upload_id))
        if not progress:
            return upload, None
        plan = upload.grant.plan
        if upload.state is State.COMPLETED:
            return upload, Progress(plan.part_count, plan.size_bytes, ())
        if upload.state is not State.ACTIVE:
            return upload, None
        try:
            held = as_planned(plan, await self._reader.stored(upload))
        except UploadNotActive:
            return await self.status(caller, upload_id, progress=True)
        numbers = {part.number for part in held}
        missing = runs(n for n in plan.numbers() if n not in numbers)
        return upload, Progress(len(held), sum(p.size_bytes for p in held), missing)

    async def report(
        self, caller: Caller, upload_id: str, parts: Sequence[ExpectedPart]
    ) -> tuple[list[InvalidRequest | None], Upload]:
        """Count the parts that are as planned as sent: for each, what is wrong with it, or None.

        Raises UploadNotFound, UploadNotActive, UploadBusy.
        """
        upload = await self._active(caller, upload_id)
        faults = judge(parts, upload.grant)
        good = {part.number for part, fault in zip(parts, faults, strict=True) if fault is None}
        if good:
            row = await self._sessions.report(upload, good)
            if row is None:
                # It was lost since, or taken by another Upload: the next call finds out which.
                raise errors.UploadBusy(upload.sid)
            upload = self._reader.active(row)
        return faults, upload

    async def watch(self, caller: Caller, upload_id: str) -> AsyncGenerator[Upload, None]:
        """The Upload as it is now, then after each change, until it is COMPLETED or ABORTED.

        Raises UploadNotFound, and Stopping once `stop_watching` was called.
        """
        grant = self._loader.grant(caller, upload_id)

        async def look(sure: bool) -> Upload:
            upload = await self._loader.row(grant)
            return await self._reader.latest(upload) if sure else upload

        async with aclosing(self._watching.watch(grant, look)) as seen:
            async for upload in seen:
                yield upload

    def stop_watching(self) -> None:
        """End all watches: the service is about to stop."""
        self._watching.stop()

    async def list_uploads(
        self,
        caller: Caller,
        *,
        state: State | None,
        fingerprint: str,
        policy: str,
        created_from: datetime | None,
        created_before: datetime | None,
        before: Cursor | None,
        limit: int,
    ) -> tuple[Sequence[Upload], Cursor | None]:
        """A page of the caller's Uploads, newest first, and where the next one begins.

        Those that were never opened are left out: the id of an Upload names its multipart upload,
        and they have none yet, or never had.
        """
        page, following = await self._sessions.list_uploads(
            caller,
            state=state,
            fingerprint=fingerprint,
            policy=policy,
            created_from=created_from,
            created_before=created_before,
            before=before,
            limit=limit,
        )
        return [u for u in page if u.grant.opened], following

    async def _active(self, caller: Caller, upload_id: str) -> Upload:
        return self._reader.active(await self._loader.load(caller, upload_id))
