"""How one object is made of others: the parts of its Upload are copied by storage.

What is composed is an Upload like any other, opened on the same path; only who sends its parts
differs. The sources are named by their upload_ids, which are the authority: an id of the caller's
tenant that opens says where the object is and what it must carry, and storage proves that it is
there. Each part is copied on condition of the source's entity tag, and Complete holds the sizes
against the plan, so that what is joined is what was proven.

The copying changes nothing that cannot be begun again: ListParts says what is left. So it is under
no claim, and an Abort can come at any time; two workers at once copy the same bytes. Whoever copies
puts the due time of the row off while the work goes on. When that stops, a janitor takes it up. If
the row was lost, so were the sources; then the caller's repeat of the request brings them back.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from partway_server.domain import errors
from partway_server.domain.clock import Clock
from partway_server.domain.requests import ComposeParams, UploadParams
from partway_server.domain.upload import AbortReason, Caller, Checksum, Grant, Source, State, Upload
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import MultipartNotFound, SourceChanged, Storage
from partway_server.workflow.abort import Aborter
from partway_server.workflow.background_tasks import Tasks
from partway_server.workflow.complete import Settler, Sleep
from partway_server.workflow.initialize import Opener, Turn, same_composition
from partway_server.workflow.object_proof import is_source, proof
from partway_server.workflow.part_checks import as_planned
from partway_server.workflow.recovery import Loader

_LANES = 4
"""How many parts of one Upload are copied at a time."""

_COPIES = 16
"""How many parts a process has storage copy at a time: a quarter of the connections that Complete
needs, too."""

_PAUSES = (0.5, 1.0, 2.0)

logger = logging.getLogger(__name__)


class _Unusable(Exception):
    """A source is gone, or another object; `source` is its place, from 0."""

    def __init__(self, source: int) -> None:
        super().__init__(source)
        self.source = source


class Composer:
    """Opens composed Uploads, and copies their parts."""

    def __init__(
        self,
        *,
        upload_ids: UploadIdCipher,
        sessions: SessionStore,
        storage: Storage,
        opener: Opener,
        loader: Loader,
        settler: Settler,
        aborter: Aborter,
        tasks: Tasks,
        clock: Clock,
        sleep: Sleep,
        lease: timedelta,
    ) -> None:
        self._upload_ids = upload_ids
        self._sessions = sessions
        self._storage = storage
        self._opener = opener
        self._loader = loader
        self._settler = settler
        self._aborter = aborter
        self._tasks = tasks
        self._clock = clock
        self._sleep = sleep
        self._lease = lease
        self._copies = asyncio.Semaphore(_COPIES)
        self._working: dict[str, asyncio.Task[Upload]] = {}

    async def open(self, caller: Caller, asked: ComposeParams) -> Upload:
        """The Upload for this request, opened, or as it stands if the request is a repeat.

        Raises InvalidRequest, RequestIdReused, UploadNotFound, SourceUnusable, SourcesNotJoinable,
        UploadBusy. Nothing is created before all sources are proven.
        """
        grants = [self._source_grant(caller, upload_id) for upload_id in asked.upload_ids]
        digest = asked.digest(grants)
        row = await self._opener.known(caller, asked.request_id)
        if row is not None and not same_composition(row, digest):
            raise errors.RequestIdReused(asked.request_id)
        if row is not None and row.grant.opened:
            # Its sources may be gone by now, as they should be if that was asked for.
            lost = row.state is State.ACTIVE and not row.sources
            return await self._with_sources(row, asked, grants) if lost else row
        policy = self._opener.policy(caller, asked.policy)
        wanted = await self._wanted(asked, grants, digest, policy.backend)
        # It is opened by the policy of now, which may have been read anew meanwhile.
        _check_backend(grants, self._opener.policy(caller, asked.policy).backend)
        upload, turn = await self._opener.claim(caller, wanted)
        if turn is Turn.LEAVE:
            return upload
        return await self._tasks.finish(self._opener.open(upload, turn, wanted.metadata))

    def work(self, upload: Upload) -> "asyncio.Task[Upload]":
        """The detached task that brings an ACTIVE or COMPLETING Upload to its end.

        Its result is the Upload COMPLETED, or COMPLETING if another worker has it. It raises
        SourceUnusable (the Upload is ABORTED), and what `Settler.complete` raises.
        """
        token = upload.grant.write_token
        if (task := self._working.get(token)) is None:
            task = self._tasks.start(self._compose(upload))
            self._working[token] = task
            task.add_done_callback(lambda _: self._working.pop(token))
        return task

    def _source_grant(self, caller: Caller, upload_id: str) -> Grant:
        grant = self._upload_ids.open(upload_id)
        if grant.caller.tenant != caller.tenant:
            raise errors.UploadNotFound
        return grant

    async def _wanted(
        self, asked: ComposeParams, grants: Sequence[Grant], digest: bytes, backend: str
    ) -> UploadParams:
        sources = await self._proven(grants, backend)
        return UploadParams(
            policy=asked.policy,
            file_name=asked.file_name,
            size_bytes=sum(source.size_bytes for source in sources),
            content_type=asked.content_type,
            metadata=asked.metadata,
            part_size_bytes=0,
            # Nobody computes one of a part that storage copies.
            checksum=Checksum.NONE,
            fingerprint=asked.fingerprint,
            request_id=asked.request_id,
            sources=sources,
            delete_sources=asked.delete_sources,
            composition=digest,
        )

    async def _proven(self, grants: Sequence[Grant], backend: str) -> tuple[Source, ...]:
        """The sources as storage shows them. Raises SourceUnusable, SourcesNotJoinable."""
        _check_backend(grants, backend)
        heads = await asyncio.gather(*map(self._storage.head, grants))
        sources: list[Source] = []
        for place, (grant, head) in enumerate(zip(grants, heads, strict=True)):
            stored = proof(grant, head)
            if head is None:
                raise errors.SourceUnusable(place, "it is not completed, or its object is gone")
            if stored is None:
                raise errors.SourceUnusable(place, "its object was replaced by another")
            sources.append(
                Source(grant.bucket, grant.key, stored.size_bytes, stored.etag, grant.write_token)
            )
        return tuple(sources)

    async def _with_sources(
        self, row: Upload, asked: ComposeParams, grants: Sequence[Grant]
    ) -> Upload:
        """A row that was rebuilt, with its sources again, so that a janitor knows them, too.

        They stay in any case: that they were to go was lost with the row.
        """
        sources = await self._proven(grants, row.grant.backend)
        claimed, granted = await self._claim(row, State.COMPLETING)
        if claimed is None or not granted:
            raise errors.UploadBusy(row.sid)
        active = replace(claimed.reopened(), sources=sources)
        if not await self._sessions.finish(active, self._due(active)):
            raise errors.UploadBusy(row.sid)
        return active

    async def _compose(self, upload: Upload) -> Upload:
        for pause in _PAUSES:
            try:
                return await self._copy_and_join(upload)
            except (errors.PartsMissing, errors.PartsMismatch, errors.PartsRefused) as refusal:
                # Another worker may be copying the same bytes. In SeaweedFS a part that is copied
                # again is gone for a moment (weed/s3api/s3api_object_handlers_copy.go), and where
                # entity tags are no digests it has another one after.
                logger.info("upload %s: its parts are joined again: %s", upload.sid, refusal)
            await self._sleep(pause)
            upload = await self._unfinished(upload)
        return await self._copy_and_join(upload)

    async def _copy_and_join(self, upload: Upload) -> Upload:
        """Raises PartsMissing, PartsMismatch, PartsRefused: then it is ACTIVE again."""
        if upload.state is State.COMPLETED:
            return upload
        if upload.state is State.ACTIVE:
            try:
                async with self._put_off(upload):
                    await self._copy_missing(upload)
            except MultipartNotFound:
                logger.info("upload %s: it ended while its parts were copied", upload.sid)
            except _Unusable as unusable:
                return await self._give_up(upload, unusable.source)
        row = await self._unfinished(upload)
        if row.state is State.COMPLETED:
            return row
        claimed, granted = await self._claim(row, State.COMPLETING)
        if claimed is None or not granted:
            # Somebody was faster; if that was an Abort, no Compose answers with what it left.
            return await self._unfinished(upload)
        return await self._settler.complete(claimed, resumed=row.state is State.COMPLETING)

    async def _copy_missing(self, upload: Upload) -> None:
        """Copy what storage does not list. Raises MultipartNotFound, _Unusable."""
        plan = upload.grant.plan
        stored = as_planned(plan, await self._storage.list_parts(upload.grant))
        held = {part.number for part in stored}
        missing = [number for number in plan.numbers() if number not in held]
        left = iter(missing)
        lanes = [asyncio.create_task(self._lane(upload, left)) for _ in range(_LANES)]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.wait(lanes)
        # Not every store that takes the condition may know it.
        for place in sorted({plan.slice(number).source for number in missing}):
            source = upload.sources[place]
            head = await self._storage.head(source.grant(upload.grant))
            if head is None or not is_source(source, head):
                raise _Unusable(place)

    async def _lane(self, upload: Upload, left: Iterator[int]) -> None:
        for number in left:
            async with self._copies:
                await self._copy(upload, number)
            # What is shown of it is not worth an end of the copying.
            with contextlib.suppress(errors.SessionsUnavailable):
                await self._sessions.report(upload, [number])

    async def _copy(self, upload: Upload, number: int) -> None:
        piece = upload.grant.plan.slice(number)
        source = upload.sources[piece.source]
        for pause in (*_PAUSES, None):
            try:
                await self._storage.copy_part(upload.grant, number, source, piece.begin, piece.size)
                return
            except SourceChanged:
                raise _Unusable(piece.source) from None
            except errors.StorageUnavailable:
                if pause is None:
                    raise
                await self._sleep(pause)

    async def _give_up(self, upload: Upload, place: int) -> Upload:
        row = await self._unfinished(upload)
        if row.state is State.COMPLETED:
            # By another worker, which has removed the sources.
            return row
        claimed, granted = await self._claim(row, State.ABORTING)
        if claimed is None or not granted:
            return await self._unfinished(upload)
        outcome = await self._aborter.abort(claimed, AbortReason.SOURCE_CHANGED)
        if outcome.state is State.COMPLETED:
            return outcome
        raise errors.SourceUnusable(place, "its object is gone, or was replaced by another")

    async def _unfinished(self, upload: Upload) -> Upload:
        """The row, but if it was aborted. Raises UploadNotActive."""
        row = await self._loader.row(upload.grant)
        if row.state in (State.ABORTING, State.ABORTED):
            raise errors.UploadNotActive(row.sid, row.public_state, row.abort_reason or "")
        return row

    async def _claim(self, row: Upload, target: State) -> tuple[Upload | None, bool]:
        return await self._sessions.claim(row.sid, target, self._lease, seen=row)

    @contextlib.asynccontextmanager
    async def _put_off(self, upload: Upload) -> AsyncIterator[None]:
        """Keep janitors away while the work goes on."""
        putting = asyncio.create_task(self._put_off_forever(upload))
        try:
            yield
        finally:
            putting.cancel()
            await asyncio.wait({putting})

    async def _put_off_forever(self, upload: Upload) -> None:
        while True:
            try:
                row = await self._sessions.get(upload.sid)
                if row is not None and row.composing:
                    await self._sessions.put_off(row.sid, row.epoch, self._due(row))
            except Exception:
                # Whatever it is: then a janitor may come, and copy the same bytes.
                logger.warning("upload %s: its work is not put off", upload.sid, exc_info=True)
            # Real time, as for the lease of a claim.
            await asyncio.sleep(self._lease.total_seconds() / 3)

    def _due(self, upload: Upload) -> datetime:
        return upload.look_again(self._clock.now(), self._lease)


def _check_backend(grants: Sequence[Grant], backend: str) -> None:
    """Refuse sources that storage cannot copy to this backend. Raises SourcesNotJoinable."""
    for place, grant in enumerate(grants):
        if grant.backend != backend:
            raise errors.SourcesNotJoinable(place, "it is on another backend")
