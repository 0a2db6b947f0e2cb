"""`partway-server doctor`: runs the examination, hints at progress, prints, and ends in order."""

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Callable
from typing import TextIO

import click
import uvloop

from partway_server.cli.interrupt import INTERRUPTED
from partway_server.config.settings import Settings
from partway_server.doctor.access_checks import CLEAN
from partway_server.doctor.finding import Finding, Status, exit_code
from partway_server.doctor.report import as_json, as_text
from partway_server.doctor.runner import CheckSelection, run_checks
from partway_server.domain.clock import SystemClock

_QUIET_SECONDS = 1.0
_REMOVED = "partway-server: interrupted; what was made in the bucket is removed"


class ProgressLine:
    """One line on a terminal that says what is being looked at, once a second has gone by."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._now = now
        self._begin = now()
        self._shown = False

    def __call__(self, what: str) -> None:
        if self._stream.isatty() and self._now() - self._begin > _QUIET_SECONDS:
            self._stream.write(f"\r\x1b[Klooking: {what}")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def run(settings: Settings, wanted: CheckSelection, *, json_output: bool) -> int:
    """Print what is found; the exit code."""
    progress = ProgressLine(sys.stderr)
    found: list[Finding] = []
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            whole = runner.run(_until_signal(settings, wanted, progress, found.append))
    finally:
        progress.clear()
    if not whole:
        left = [f for f in found if f.name == CLEAN and f.status is not Status.OK]
        click.echo("partway-server: interrupted" if left else _REMOVED, err=True)
        for finding in left:
            click.echo(f"{finding.found}\n{finding.mend}", err=True)
        return INTERRUPTED
    colour = sys.stdout.isatty()
    click.echo(as_json(found) if json_output else as_text(found, colour=colour))
    return exit_code(found)


async def _until_signal(
    settings: Settings,
    wanted: CheckSelection,
    progress: ProgressLine,
    say: Callable[[Finding], None],
) -> bool:
    """Whether it ran to its end. Only the first signal counts: a second would leave things."""
    work = asyncio.ensure_future(
        run_checks(
            settings,
            wanted,
            clock=SystemClock(),
            random_hex=secrets.token_hex,
            progress=progress,
            say=say,
        )
    )
    came = asyncio.Event()

    def on_signal() -> None:
        if not came.is_set():
            came.set()
            work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    try:
        await work
    except asyncio.CancelledError:
        if not came.is_set():
            raise
        return False
    return True
