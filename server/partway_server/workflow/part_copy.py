"""Copy the parts of a composed upload from its sources, by storage.

Copying changes nothing that cannot be started again: ListParts says what is left. So it needs no
lease, and an Abort can come at any time; two workers at once copy the same bytes. Whoever copies
postpones the due time of the session record while the work goes on. When that stops, a janitor
resumes it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator

from partway_server.domain import errors
from partway_server.domain.steps import in_turns
from partway_server.domain.upload import Upload
from partway_server.storage.base import SourceChanged
from partway_server.workflow.deps import Deps
from partway_server.workflow.object_proof import is_source
from partway_server.workflow.part_checks import planned

_LANES = 4
"""How many parts of one upload are copied at a time."""

_COPIES = 16
"""How many parts a process has storage copy at a time: a quarter of the connections, which Complete
needs, too."""

COPY_BACKOFF_SECONDS = (0.5, 1.0, 2.0)

logger = logging.getLogger(__name__)


class SourceGone(Exception):
    """A source is gone, or another object; `source` is its position, from 0."""

    def __init__(self, source: int) -> None:
        super().__init__(source)
        self.source = source


class PartCopy:
    """Copies parts, a few at a time in this process."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._storage = deps.storage
        self._copies = asyncio.Semaphore(_COPIES)

    async def run(self, upload: Upload) -> None:
        """Copy the parts that storage does not list. Raises MultipartNotFound, SourceGone."""
        async with self._postponed(upload):
            await self._copy_missing(upload)

    async def _copy_missing(self, upload: Upload) -> None:
        plan = upload.grant.plan
        stored = await self._storage.list_parts(upload.grant)
        held = {part.number for part in await in_turns(planned(plan, stored))}
        missing = sorted(set(plan.numbers()) - held)
        left = iter(missing)
        lanes = [asyncio.create_task(self._lane(upload, left)) for _ in range(_LANES)]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.wait(lanes)
        # Not every store that accepts the condition may honour it.
        for position in plan.sources_of(missing):
            source = upload.sources[position]
            head = await self._storage.head(source.grant(upload.grant))
            if head is None or not is_source(source, head):
                raise SourceGone(position)

    async def _lane(self, upload: Upload, left: Iterator[int]) -> None:
        for number in left:
            async with self._copies:
                await self._copy(upload, number)
            # Progress that cannot be reported is no reason to stop copying.
            with contextlib.suppress(errors.SessionsUnavailable):
                await self._deps.sessions.report(upload, [number])

    async def _copy(self, upload: Upload, number: int) -> None:
        piece = upload.grant.plan.slice(number)
        source = upload.sources[piece.source]
        for pause in (*COPY_BACKOFF_SECONDS, None):
            try:
                await self._storage.copy_part(upload.grant, number, source, piece.begin, piece.size)
                return
            except SourceChanged:
                raise SourceGone(piece.source) from None
            except errors.StorageUnavailable:
                if pause is None:
                    raise
                await self._deps.sleep(pause)

    @contextlib.asynccontextmanager
    async def _postponed(self, upload: Upload) -> AsyncIterator[None]:
        """Keep janitors away while the work goes on."""
        postponing = asyncio.create_task(self._postpone_forever(upload))
        try:
            yield
        finally:
            postponing.cancel()
            await asyncio.wait({postponing})

    async def _postpone_forever(self, upload: Upload) -> None:
        deps = self._deps
        while True:
            try:
                row = await deps.sessions.get(upload.sid)
                if row is not None and row.composing:
                    due = row.look_again(deps.clock.now(), deps.lease)
                    await deps.sessions.put_off(row.sid, row.epoch, due)
            except errors.UploadError as error:
                # A janitor may come then, and copy the same bytes.
                logger.warning("upload %s: its work is not postponed: %s", upload.sid, error)
            except Exception:
                # Copying goes on: the worst is the same, a janitor that copies the same bytes.
                logger.warning("upload %s: its work is not postponed", upload.sid, exc_info=True)
            # Real time, as for the heartbeat of a lease.
            await asyncio.sleep(deps.lease.total_seconds() / 3)
