"""Shows the progress of several uploads at once: one bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress as Bars

from partway_client.cli.output import is_quiet, print_note
from partway_client.cli.progress_bar import LINE_SECONDS, bars, ticking
from partway_client.cli.recent_rate import RecentRate
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
    if is_quiet() or not console.is_terminal:
        meter.show = FilesLines(meter).show
        with ticking(meter.show):
            yield
        return
    # Results that are printed meanwhile go above the bar only if they go to the same terminal.
    with bars(console, redirect_stdout=sys.stdout.isatty()) as shown:
        meter.show = FilesBar(meter, shown).show
        with ticking(meter.show):
            yield


class FilesBar:
    """A bar with the rate of the last seconds and the time left."""

    def __init__(self, meter: FilesMeter, bars: Bars) -> None:
        self._meter, self._bars = meter, bars
        self._rate = RecentRate()
        self._task = bars.add_task("", total=meter.bytes_total or None, moving="")
        self.show()

    def show(self) -> None:
        meter = self._meter
        self._rate.moved(meter.bytes_done)
        self._bars.update(
            self._task,
            description=f"{meter.files_done} of {meter.files} files",
            completed=meter.bytes_done,
            moving=self._rate.words(meter.bytes_total),
        )


class FilesLines:
    """A line of text every few seconds."""

    def __init__(self, meter: FilesMeter, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._monotonic = monotonic
        self._next = monotonic() + LINE_SECONDS
        self._rate = RecentRate(monotonic)

    def show(self) -> None:
        now, meter = self._monotonic(), self._meter
        done, total = meter.bytes_done, meter.bytes_total
        self._rate.moved(done)
        if now < self._next:
            return
        self._next = now + LINE_SECONDS
        percent = 100 * done // total if total else 0
        print_note(
            f"{meter.files_done} of {meter.files} files, {percent}%,"
            f" {decimal(done)} of {decimal(total)}, {self._rate.words(total)}"
        )
