"""Shows the progress of several uploads at once: one bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.filesize import decimal
from rich.progress import TransferSpeedColumn

from partway_client.cli.output import print_note
from partway_client.cli.progress_bar import LINE_SECONDS, bars
from partway_client.models import Progress


class FilesMeter:
    """Counts the files and bytes of several uploads. `show` is called at each change."""

    def __init__(self, files: int, bytes_total: int, *, files_done: int = 0) -> None:
        self.files, self.bytes_total = files, bytes_total
        self.files_done = files_done
        self.show: Callable[[], None] = lambda: None
        self._ended_bytes = 0
        self._under_way: dict[str, int] = {}

    @property
    def bytes_done(self) -> int:
        return self._ended_bytes + sum(self._under_way.values())

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Callable[[Progress], None]]:
        """Count one file. Yields a function to call with its progress."""

        def moved(progress: Progress) -> None:
            self._under_way[name] = progress.bytes_done
            self.show()

        try:
            yield moved
        finally:
            self._ended_bytes += self._under_way.pop(name, 0)
            self.files_done += 1
            self.show()


@contextlib.contextmanager
def showing_files(meter: FilesMeter) -> Iterator[None]:
    """Show on standard error what `meter` counts."""
    console = Console(stderr=True)
    if not console.is_terminal:
        meter.show = FilesLines(meter).show
        yield
        return
    # Results that are printed meanwhile go above the bar only if they go to the same terminal.
    shown = bars(console, TransferSpeedColumn(), redirect_stdout=sys.stdout.isatty())
    with shown:
        task = shown.add_task("", total=meter.bytes_total or None)
        meter.show = lambda: shown.update(
            task,
            description=f"{meter.files_done} of {meter.files} files",
            completed=meter.bytes_done,
        )
        meter.show()
        yield


class FilesLines:
    """A line of text every few seconds."""

    def __init__(self, meter: FilesMeter, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._monotonic = monotonic
        self._began = monotonic()
        self._next = self._began + LINE_SECONDS

    def show(self) -> None:
        now = self._monotonic()
        if now < self._next:
            return
        self._next = now + LINE_SECONDS
        meter = self._meter
        done, total = meter.bytes_done, meter.bytes_total
        percent = 100 * done // total if total else 0
        rate = decimal(int(done / (now - self._began)))
        print_note(
            f"{meter.files_done} of {meter.files} files, {percent}%,"
            f" {decimal(done)} of {decimal(total)}, {rate}/s"
        )
