"""Shows an upload's progress: a bar on a terminal, plain lines elsewhere."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskProgressColumn,
    TextColumn,
)
from rich.progress import Progress as RichProgress

from partway_client.cli.output import is_quiet, print_line, print_note, printable
from partway_client.cli.recent_rate import RecentRate
from partway_client.models import Phase, Progress, State, UploadInfo

LINE_SECONDS = 10.0
_TICK_SECONDS = 1.0

_WORDS = {
    Phase.SPOOLING: "copying the stream to disk first",
    Phase.STARTING: "starting",
    Phase.VERIFYING: "verifying the parts in storage",
    Phase.COPYING: "storage is copying",
    Phase.COMPLETING: "completing",
}

_MOVING = frozenset({Phase.SPOOLING, Phase.VERIFYING, Phase.SENDING})
"""The phases in which bytes move here."""


@contextlib.contextmanager
def showing(name: str) -> Iterator[Callable[[Progress], None]]:
    """Show one upload on standard error. Yields a function to call with its progress."""
    console = Console(stderr=True)
    if console.is_terminal and not is_quiet():
        with bars(console) as shown:
            bar = UploadBar(name=printable(name), bars=shown)
            with ticking(bar.tick):
                yield bar.show
    else:
        lines = ProgressLines(name=name, write=print_note)
        with ticking(lines.tick):
            yield lines.show


@contextlib.contextmanager
def ticking(tick: Callable[[], None]) -> Iterator[None]:
    """Call `tick` every second: what stands still reports no progress."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            tick()

    ticker = asyncio.create_task(repeat())
    try:
        yield
    finally:
        ticker.cancel()


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


def bars(console: Console, *, redirect_stdout: bool = True) -> RichProgress:
    """Return the display of one bar, which disappears at the end. Its field `moving` is a text.

    What is printed to standard output meanwhile appears above it, if that is redirected.
    """
    return RichProgress(
        # File names are not markup.
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[moving]}", markup=False),
        console=console,
        transient=True,
        redirect_stdout=redirect_stdout,
    )


class UploadBar:
    """A bar with the rate of the last seconds and the time left."""

    def __init__(self, *, name: str, bars: RichProgress) -> None:
        self._name = name
        self._bars = bars
        self._task = bars.add_task(name, total=None, moving="")
        self._progress: Progress | None = None
        self._rate = RecentRate()

    def show(self, progress: Progress) -> None:
        if self._progress is None or progress.phase is not self._progress.phase:
            # Parts already in storage must not count into the transfer rate.
            self._rate.restart(progress.bytes_done)
        self._rate.moved(progress.bytes_done)
        self._progress = progress
        words = _WORDS.get(progress.phase)
        self._bars.update(
            self._task,
            description=f"{self._name} ({words})" if words else self._name,
            completed=progress.bytes_done,
            total=progress.bytes_total or None,
        )
        self.tick()

    def tick(self) -> None:
        """Show how fast it goes, also if no progress was made."""
        progress = self._progress
        if progress is not None:
            moves = progress.phase in _MOVING
            words = self._rate.words(progress.bytes_total) if moves else ""
            self._bars.update(self._task, moving=words)


class WatchBar:
    """A bar of the reported progress of an Upload."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task = bars.add_task("", total=None, moving="")

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
        self._progress: Progress | None = None
        self._began = self._next = 0.0
        self._rate = RecentRate(monotonic)

    def show(self, progress: Progress) -> None:
        if self._progress is None or progress.phase is not self._progress.phase:
            self._began = self._monotonic()
            self._next = self._began + LINE_SECONDS
            self._rate.restart(progress.bytes_done)
            self._announce(progress)
        self._rate.moved(progress.bytes_done)
        self._progress = progress
        self.tick()

    def tick(self) -> None:
        """Write a line if it is time for one, also if no progress was made."""
        now, progress = self._monotonic(), self._progress
        if progress is None or now < self._next:
            return
        self._next = now + LINE_SECONDS
        if progress.phase in _MOVING:
            self._write(f"{self._name}: {self._moving(progress)}")
        elif words := _WORDS.get(progress.phase):
            self._write(f"{self._name}: {words}, for {now - self._began:.0f} s now")

    def _announce(self, progress: Progress) -> None:
        words = _WORDS.get(progress.phase)
        if progress.phase is Phase.SENDING:
            words = f"sending {decimal(progress.bytes_total - progress.bytes_done)}"
            if progress.bytes_resumed:
                words += f"; {decimal(progress.bytes_resumed)} already in storage"
        if words:
            self._write(f"{self._name}: {words}")

    def _moving(self, progress: Progress) -> str:
        done, total = progress.bytes_done, progress.bytes_total
        moving = self._rate.words(total)
        if not total:
            return f"{decimal(done)}, {moving}"
        return f"{100 * done // total}%, {decimal(done)} of {decimal(total)}, {moving}"
