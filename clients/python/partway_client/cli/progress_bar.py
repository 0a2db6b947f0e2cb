"""Shows an upload's progress: a bar on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress

from partway_client.cli.output import print_line, print_note, printable
from partway_client.models import Phase, Progress, State, UploadInfo

LINE_SECONDS = 5.0

_WORDS = {
    Phase.SPOOLING: "copying the stream to disk first",
    Phase.STARTING: "starting",
    Phase.VERIFYING: "verifying the parts in storage",
    Phase.COPYING: "storage is copying",
    Phase.COMPLETING: "completing",
}


@contextlib.contextmanager
def showing(name: str) -> Iterator[Callable[[Progress], None]]:
    """Show one upload on standard error. Yields a function to call with its progress."""
    console = Console(stderr=True)
    if console.is_terminal:
        with bars(console, TransferSpeedColumn()) as shown:
            yield UploadBar(name=printable(name), bars=shown).show
    else:
        yield ProgressLines(name=name, write=print_note).show


@contextlib.contextmanager
def showing_watch() -> Iterator[Callable[[UploadInfo], None]]:
    """Show an Upload that others send. Yields a function to call at each change.

    It shows a bar on a terminal, and otherwise prints lines to standard output.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with bars(console) as shown:
            yield WatchBar(shown).show
    else:
        yield lambda upload: print_line(reported_line(upload))


def bars(console: Console, *more: ProgressColumn, redirect_stdout: bool = True) -> RichProgress:
    """Return the display of one bar, which disappears at the end.

    What is printed to standard output meanwhile appears above it, if that is redirected.
    """
    return RichProgress(
        # File names are not markup.
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        *more,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=redirect_stdout,
    )


class UploadBar:
    """A bar with the transfer rate and the time left."""

    def __init__(self, *, name: str, bars: RichProgress) -> None:
        self._name = name
        self._bars = bars
        self._task = bars.add_task(name, total=None)
        self._phase: Phase | None = None

    def show(self, progress: Progress) -> None:
        if progress.phase is Phase.SENDING and self._phase is not Phase.SENDING:
            # Parts already in storage must not count into the transfer rate.
            self._bars.reset(self._task, completed=progress.bytes_done)
        self._phase = progress.phase
        words = _WORDS.get(progress.phase)
        self._bars.update(
            self._task,
            description=f"{self._name} ({words})" if words else self._name,
            completed=progress.bytes_done,
            total=progress.bytes_total or None,
        )


class WatchBar:
    """A bar of the reported progress of an Upload."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task = bars.add_task("", total=None)

    def show(self, upload: UploadInfo) -> None:
        done = upload.reported.bytes_stored if upload.reported else 0
        name = upload.key.rpartition("/")[2]
        self._bars.update(
            self._task,
            description=f"{name} ({upload.state.value})",
            completed=upload.size_bytes if upload.state is State.COMPLETED else done,
            total=upload.size_bytes,
        )


def reported_line(upload: UploadInfo) -> str:
    """Return one line with the reported progress of an Upload."""
    reported = upload.reported
    if reported is None:
        return upload.state.value
    size = upload.size_bytes
    percent = 100 * reported.bytes_stored // size if size else 0
    return (
        f"{upload.state.value}  {percent}%, {decimal(reported.bytes_stored)} of {decimal(size)}, "
        f"{reported.parts_stored} of {upload.part_count} parts are reported"
    )


class ProgressLines:
    """A line of text every few seconds and at each change of phase."""

    def __init__(
        self,
        *,
        name: str,
        write: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._write = write
        self._monotonic = monotonic
        self._phase: Phase | None = None
        self._began = self._next = 0.0
        self._bytes_before = 0

    def show(self, progress: Progress) -> None:
        now = self._monotonic()
        if progress.phase is not self._phase:
            self._phase = progress.phase
            self._began, self._next = now, now + LINE_SECONDS
            self._bytes_before = progress.bytes_done
            self._announce(progress)
        elif now >= self._next:
            self._next = now + LINE_SECONDS
            self._write(f"{self._name}: {self._moving(progress, now - self._began)}")

    def _announce(self, progress: Progress) -> None:
        words = _WORDS.get(progress.phase)
        if progress.phase is Phase.SENDING:
            words = f"sending {decimal(progress.bytes_total - progress.bytes_done)}"
            if progress.bytes_resumed:
                words += f"; {decimal(progress.bytes_resumed)} already in storage"
        if words:
            self._write(f"{self._name}: {words}")

    def _moving(self, progress: Progress, seconds: float) -> str:
        done, total = progress.bytes_done, progress.bytes_total
        rate = max(done - self._bytes_before, 0) / seconds
        if not total:
            return f"{decimal(done)}, {decimal(int(rate))}/s"
        left = f", {(total - done) / rate:.0f} s left" if rate else ""
        percent = 100 * done // total
        return f"{percent}%, {decimal(done)} of {decimal(total)}, {decimal(int(rate))}/s{left}"
