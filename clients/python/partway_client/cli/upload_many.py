"""The `partway upload` command for several files: a few at a time, and one summary of all."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from partway_client._progress_meter import OnProgress
from partway_client.cli.batch_journal import BatchJournal
from partway_client.cli.files_progress import FilesMeter, showing_files
from partway_client.cli.output import print_note, transferred
from partway_client.client import OnDone
from partway_client.errors import PartwayError
from partway_client.models import Uploaded

_PART_BYTES = 16 * 1024 * 1024
"""What a part is taken to have before the service has said."""

UploadOne = Callable[[str, OnProgress, OnDone], Coroutine[Any, Any, None]]
"""Upload a file. Raises PartwayError."""


@dataclass
class UploadMany:
    """Uploads files so that together they have at most `concurrency` parts under way.

    A small file is one part; a large one has all of them, and is alone. `print_result` and
    `print_error` are called in the order of the files: a script may rely on that.
    """

    upload: UploadOne
    print_result: Callable[[str, Uploaded], None]
    print_error: Callable[[str, PartwayError], None]
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
        printed = InOrder(files)
        try:
            left = [file for file in files if not self._is_known(file, printed)]
            sizes = {file: size_of(file) for file in left}
            meter = FilesMeter(len(files), sum(sizes.values()), files_done=self._known)
            with showing_files(meter):
                await self._upload_together(sizes, meter, printed)
        finally:
            self._summarize(len(files), self.monotonic() - began)
        if not self._failed:
            self.journal.remove(files)
        return not self._failed

    def _is_known(self, file: str, printed: "InOrder") -> bool:
        """Return whether an earlier run uploaded the file, whose result is printed again then."""
        known = self.journal.find(file)
        if known is not None:
            self._known += 1
            printed.set(file, partial(self.print_result, file, known))
        return known is not None

    async def _upload_together(
        self, sizes: dict[str, int], meter: FilesMeter, printed: "InOrder"
    ) -> None:
        places = asyncio.Semaphore(self.concurrency)

        async def upload(file: str, taken: int) -> None:
            try:
                with meter.file(file) as show:
                    await self._upload_one(file, show, printed)
            finally:
                for _ in range(taken):
                    places.release()

        try:
            async with asyncio.TaskGroup() as group:
                for file, size_bytes in sizes.items():
                    wanted = self._places_for(size_bytes)
                    for _ in range(wanted):
                        await places.acquire()
                    group.create_task(upload(file, wanted))
        except ExceptionGroup as errors:
            # Of this command itself, such as a standard output that cannot be written to.
            raise errors.exceptions[0] from None

    async def _upload_one(self, file: str, show: OnProgress, printed: "InOrder") -> None:
        def on_done(uploaded: Uploaded) -> None:
            # Remembered before the upload is: a run that is killed in between has its result.
            self.journal.add(file, uploaded)
            self._done += 1
            self._done_bytes += uploaded.size_bytes
            self._sent_bytes += uploaded.bytes_sent
            self._via_service_bytes += uploaded.bytes_via_service
            printed.set(file, partial(self.print_result, file, uploaded))

        try:
            await self.upload(file, show, on_done)
        except PartwayError as error:
            self._failed += 1
            printed.set(file, partial(self.print_error, file, error))

    def _places_for(self, size_bytes: int) -> int:
        parts = -(-size_bytes // (self.part_bytes or _PART_BYTES))
        return min(max(parts, 1), self.concurrency)

    def _summarize(self, count: int, seconds: float) -> None:
        done = self._done + self._known
        words = f"{count} files" if done == count else f"{done} of {count} files"
        sent, via_service = self._sent_bytes, self._via_service_bytes
        words += f", {transferred(self._done_bytes, seconds, sent, via_service)}"
        if self._known:
            words += f"; {self._known} uploaded by an earlier run"
        if self._failed:
            words += f"; {self._failed} failed"
        print_note(f"partway: {words}")


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
