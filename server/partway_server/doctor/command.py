"""`partway-server doctor`: runs the examination, hints at progress, prints, and ends in order."""

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

import click
import uvloop

from partway_server.clock import SystemClock
from partway_server.doctor.finding import Finding, exit_code
from partway_server.doctor.report import as_json, as_text
from partway_server.doctor.run import Wanted, examine_all
from partway_server.settings import Settings

INTERRUPTED = 130
_QUIET_SECONDS = 1.0


class Hint:
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


def run(settings: Settings, wanted: Wanted, *, json_output: bool) -> int:
    """Print what is found; the exit code."""
    hint = Hint(sys.stderr)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            findings = runner.run(_until_signal(settings, wanted, hint))
    finally:
        hint.clear()
    if findings is None:
        click.echo("partway-server: interrupted; what was made in the bucket is removed", err=True)
        return INTERRUPTED
    colour = sys.stdout.isatty()
    click.echo(as_json(findings) if json_output else as_text(findings, colour=colour))
    return exit_code(findings)


async def _until_signal(settings: Settings, wanted: Wanted, hint: Hint) -> Sequence[Finding] | None:
    """None if a signal came. Only the first counts: the second would leave things behind."""
    work = asyncio.ensure_future(
        examine_all(
            settings, wanted, clock=SystemClock(), random_hex=secrets.token_hex, progress=hint
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
        return await work
    except asyncio.CancelledError:
        if not came.is_set():
            raise
        return None
