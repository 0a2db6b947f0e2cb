"""One /metrics for all workers: whichever gets the scrape answers for all of them.

The workers share a port and a folder. Each answers the others on a Unix socket in that folder, and
keeps its last figures in a file beside it: written before each answer, every few seconds, and at
the end. So a counter that was served is never above what the file has, and does not fall when its
worker is killed. What a killed worker counted since its last write is lost: a few seconds.

The parent folds the file of a worker that has ended into one for all such, and is the only one to
write that. A reader looks at the workers' files first, and then leaves out what was folded in
meanwhile; so nothing counts twice, and nothing is missing.
"""

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from secrets import token_hex

from prometheus_client.registry import Collector

from partway_server.observability.definitions import Joined
from partway_server.observability.snapshots import Snapshot, SnapshotCollector, join

WRITE_SECONDS = 5.0
"""How often a worker writes its figures, scrape or none."""

_ANSWER_SECONDS = 1.0
"""How long another worker may take to answer: one that is stopped must not delay a scrape."""

_MEMORY = Path("/dev/shm")
_ENDED = "ended"
_FIGURES, _SOCKET = ".figures", ".sock"

logger = logging.getLogger(__name__)


def open_folder() -> Path:
    """Create a folder for workers to share: in memory where that can be had. Raises OSError."""
    in_memory = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    return Path(tempfile.mkdtemp(prefix="partway-metrics-", dir=_MEMORY if in_memory else None))


def fold(folder: Path, pid: int) -> None:
    """Keep the counters of a worker that has ended. Called by the parent alone."""
    for path in folder.glob(f"{pid}-*{_FIGURES}"):
        if (last := _read(path)) is not None:
            kept = [each for each in (_read(folder / _ENDED), last.lasting()) if each is not None]
            _write(folder / _ENDED, join(kept, lambda name: Joined.SUM))
        path.unlink(missing_ok=True)
        path.with_suffix(_SOCKET).unlink(missing_ok=True)


class FleetMember:
    """One worker. `own` are its metrics, and `joined` says how gauges become one."""

    def __init__(self, folder: Path, own: Collector, joined: Callable[[str], Joined]) -> None:
        self._folder = folder
        self._own = own
        self._joined = joined
        self._name = f"{os.getpid()}-{token_hex(4)}"
        self._figures = folder / f"{self._name}{_FIGURES}"
        self._failed = False

    @contextlib.asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Answer other workers in the block, and leave the last figures behind."""
        server = await asyncio.start_unix_server(
            self._answer, self._folder / f"{self._name}{_SOCKET}"
        )
        # Others find this worker by its file.
        self._take()
        writing = asyncio.create_task(self._keep_writing())
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.wait({writing})
            server.close()
            self._take()

    async def gather(self) -> Collector:
        """Return the figures of all workers, and of those that have ended."""
        own = self._take()
        others = [path for path in self._folder.glob(f"*{_FIGURES}") if path != self._figures]
        found = [each for each in await asyncio.gather(*map(self._ask, others)) if each is not None]
        ended = _read(self._folder / _ENDED)
        if ended is not None:
            found = [each for each in found if not each.sources & ended.sources]
        all_of_them = [own, *found, *([ended] if ended is not None else [])]
        return SnapshotCollector(join(all_of_them, self._joined))

    async def _ask(self, figures: Path) -> Snapshot | None:
        """Return what a worker answers, or what it left behind: then no gauges."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(figures.with_suffix(_SOCKET))
                try:
                    return Snapshot.unpack(await reader.read())
                finally:
                    writer.close()
        except (OSError, ValueError):
            left = _read(figures)
            return left.lasting() if left is not None else None

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(self._take().pack())
            await writer.drain()
        writer.close()

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            self._take()

    def _take(self) -> Snapshot:
        """Return this worker's figures, written down before anyone sees them."""
        snapshot = Snapshot.of(self._own, self._name)
        try:
            _write(self._figures, snapshot)
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.warning(
                    "cannot keep metrics in %s: %s; if this worker ends, its counters are lost",
                    self._folder,
                    error.strerror,
                )
            self._failed = True
        return snapshot


def _read(path: Path) -> Snapshot | None:
    """Return the snapshot in a file, None if it is missing or not one."""
    try:
        return Snapshot.unpack(path.read_bytes())
    except (OSError, ValueError):
        return None


def _write(path: Path, snapshot: Snapshot) -> None:
    """Replace a file as a whole. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(snapshot.pack())
    new.replace(path)
