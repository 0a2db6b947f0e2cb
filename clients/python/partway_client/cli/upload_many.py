"""The `partway upload` command for several files: a few at a time, and one summary of all."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from partway_client._progress_meter import OnProgress
from partway_client._source.file_source import FileIdentity
from partway_client.cli.batch_journal import BatchJournal
from partway_client.cli.file_results import FileResults
from partway_client.cli.files_progress import FilesMeter, showing_files
from partway_client.cli.source_removal import identity_of
from partway_client.errors import PartwayError
from partway_client.models import Uploaded

_PART_BYTES = 16 * 1024 * 1024
"""What a part is taken to have before the service has said."""

OnUploaded = Callable[[FileIdentity | None, Uploaded], object]
"""Called with the identity of a file from before it was uploaded."""

UploadOne = Callable[[str, OnProgress, OnUploaded], Coroutine[Any, Any, None]]
"""Upload a file. Raises PartwayError."""


@dataclass
class UploadMany:
    """Uploads files so that together they have at most `concurrency` parts under way.

    Each has at most `most_for_each`, and at most `parallel_files` go at a time. A small file is one
    part; a large one may have all of them, and is alone then. The `results` are printed in the
    order of the files: a script may rely on that. `entry_of` returns the entry of a file that is
    to be skipped.
    """

    upload: UploadOne
    results: FileResults
    journal: BatchJournal
    entry_of: Callable[[str], Mapping[str, Any] | None]
    concurrency: int
    most_for_each: int
    parallel_files: int
    part_bytes: int

    async def run(self, files: Sequence[str]) -> None:
        """Upload them, except those that an earlier run uploaded or that are to be skipped."""
        summary, printed = self.results.summary, InOrder(files)
        left = [file for file in files if not self._is_done(file, printed)]
        sizes = {file: size_of(file) for file in left}
        done = len(files) - len(left)
        meter = FilesMeter(len(files), sum(sizes.values()), files_done=done)
        with showing_files(meter):
            await self._upload_together(sizes, meter, printed)
        if summary.succeeded:
            self.journal.remove()

    def _is_done(self, file: str, printed: "InOrder") -> bool:
        """Return whether nothing is to be sent, and what is known is printed instead."""
        before = identity_of(file)
        if (known := self.journal.find(file, before)) is not None:
            self.results.summary.uploaded_before += 1
            if self.entry_of(file) is None:
                self.results.record(file, before, known)
            printed.set(file, partial(self._finish, file, before, known))
            return True
        if (entry := self.entry_of(file)) is not None:
            self.results.summary.skipped += 1
            printed.set(file, partial(self.results.skip, file, entry["uri"]))
            return True
        return False

    async def _upload_together(
        self, sizes: dict[str, int], meter: FilesMeter, printed: "InOrder"
    ) -> None:
        places = asyncio.Semaphore(self.concurrency)
        turns = asyncio.Semaphore(self.parallel_files)

        async def upload(file: str, taken: int) -> None:
            try:
                with meter.file(file) as show:
                    await self._upload_one(file, show, printed)
            finally:
                turns.release()
                for _ in range(taken):
                    places.release()

        try:
            async with asyncio.TaskGroup() as group:
                for file, size_bytes in sizes.items():
                    wanted = self._places_for(size_bytes)
                    await turns.acquire()
                    for _ in range(wanted):
                        await places.acquire()
                    group.create_task(upload(file, wanted))
        except ExceptionGroup as errors:
            # Of this command itself, such as a standard output that cannot be written to.
            raise errors.exceptions[0] from None

    async def _upload_one(self, file: str, show: OnProgress, printed: "InOrder") -> None:
        def on_done(before: FileIdentity | None, uploaded: Uploaded) -> None:
            # Remembered before the upload is: a run that is killed in between has its result.
            self.journal.add(file, before, uploaded)
            self.results.record(file, before, uploaded)
            self.results.summary.add(uploaded)
            printed.set(file, partial(self._finish, file, before, uploaded))

        try:
            await self.upload(file, show, on_done)
        except PartwayError as error:
            self.results.summary.failed += 1
            printed.set(file, partial(self.results.fail, file, error))

    def _finish(self, file: str, before: FileIdentity | None, uploaded: Uploaded) -> None:
        self.results.report(file, uploaded)
        self.results.delete(file, before, uploaded)

    def _places_for(self, size_bytes: int) -> int:
        parts = -(-size_bytes // (self.part_bytes or _PART_BYTES))
        return min(max(parts, 1), self.most_for_each)


class InOrder:
    """Calls one function for each file, in the order of the files."""

    def __init__(self, files: Sequence[str]) -> None:
        self._waiting = list(reversed(files))
        self._set: dict[str, Callable[[], None]] = {}

    def set(self, file: str, call: Callable[[], None]) -> None:
        """Call the function as soon as those of all files before are called."""
        self._set[file] = call
        while self._waiting and self._waiting[-1] in self._set:
            self._set.pop(self._waiting.pop())()


def size_of(file: str) -> int:
    """Return the size of a file in bytes, 0 if it cannot be found out."""
    try:
        return os.stat(file).st_size
    except (OSError, ValueError):
        # What is wrong is said when it is uploaded.
        return 0
