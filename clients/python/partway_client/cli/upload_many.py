"""The `partway upload` command for several files: a few at a time, and one summary of all."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.filesize import decimal

from partway_client.cli.batch_journal import BatchJournal
from partway_client.cli.files_progress import FilesMeter, showing_files
from partway_client.cli.output import print_note
from partway_client.models import Progress, Uploaded

_PART_BYTES = 16 * 1024 * 1024
"""What a part is taken to have before the service has said."""

UploadOne = Callable[
    [str, Callable[[Progress], None], Callable[[Uploaded], None]], Coroutine[Any, Any, bool]
]
"""Upload a file, with its `on_progress` and `on_done`, and return whether that succeeded."""


@dataclass
class UploadMany:
    """Uploads files so that together they have at most `concurrency` parts under way.

    A small file is one part; a large one has all of them, and is alone. `show_result` prints the
    result of a file that an earlier run uploaded.
    """

    upload: UploadOne
    show_result: Callable[[str, Uploaded], None]
    journal: BatchJournal
    concurrency: int
    part_bytes: int
    monotonic: Callable[[], float] = time.monotonic
    _failed: int = field(default=0, init=False)
    _known: int = field(default=0, init=False)
    _done: int = field(default=0, init=False)
    _done_bytes: int = field(default=0, init=False)
    _sent_bytes: int = field(default=0, init=False)
    _via_service_bytes: int = field(default=0, init=False)

    async def run(self, files: Sequence[str]) -> bool:
        """Return whether all files are uploaded."""
        began = self.monotonic()
        try:
            left = [file for file in files if not self._is_known(file)]
            await self._upload_all(left, len(files))
        finally:
            self._summarize(len(files), self.monotonic() - began)
        if not self._failed:
            self.journal.remove(files)
        return not self._failed

    def _is_known(self, file: str) -> bool:
        """Return whether an earlier run uploaded the file, and print its result again if so."""
        known = self.journal.find(file)
        if known is not None:
            self.show_result(file, known)
            self._known += 1
        return known is not None

    async def _upload_all(self, left: Sequence[str], count: int) -> None:
        sizes = {file: _size(file) for file in left}
        meter = FilesMeter(count, sum(sizes.values()), files_done=self._known)
        with showing_files(meter):
            await self._upload_together(sizes, meter)

    async def _upload_together(self, sizes: Mapping[str, int], meter: FilesMeter) -> None:
        places = asyncio.Semaphore(self.concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                for file, size_bytes in sizes.items():
                    wanted = self._places_for(size_bytes)
                    for _ in range(wanted):
                        await places.acquire()
                    group.create_task(self._upload_in(places, wanted, file, meter))
        except ExceptionGroup as errors:
            # Of this command itself, such as a standard output that cannot be written to.
            raise errors.exceptions[0] from None

    async def _upload_in(
        self, places: asyncio.Semaphore, taken: int, file: str, meter: FilesMeter
    ) -> None:
        try:
            with meter.file(file) as show:
                await self._upload_one(file, show)
        finally:
            for _ in range(taken):
                places.release()

    async def _upload_one(self, file: str, show: Callable[[Progress], None]) -> None:
        def on_done(uploaded: Uploaded) -> None:
            self.show_result(file, uploaded)
            self.journal.add(file, uploaded)
            self._done += 1
            self._done_bytes += uploaded.size_bytes
            self._sent_bytes += uploaded.bytes_sent
            self._via_service_bytes += uploaded.bytes_via_service

        if not await self.upload(file, show, on_done):
            self._failed += 1

    def _places_for(self, size_bytes: int) -> int:
        parts = -(-size_bytes // (self.part_bytes or _PART_BYTES))
        return min(max(parts, 1), self.concurrency)

    def _summarize(self, count: int, seconds: float) -> None:
        done = self._done + self._known
        words = f"{count} files" if done == count else f"{done} of {count} files"
        words += f", {decimal(self._done_bytes)} in {seconds:.1f} s"
        if self._sent_bytes and seconds:
            words += f", {decimal(int(self._sent_bytes / seconds))}/s"
        if self._via_service_bytes:
            words += f"; {decimal(self._via_service_bytes)} went through the service"
        if self._known:
            words += f"; {self._known} uploaded by an earlier run"
        if self._failed:
            words += f"; {self._failed} failed"
        print_note(f"partway: {words}")


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size
    except (OSError, ValueError):
        # What is wrong is said when it is uploaded.
        return 0
