"""`partway-server doctor`: run the checks, print the findings, and clean up on Ctrl-C."""

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

import click
import uvloop

from partway_server.cli.interrupt import INTERRUPTED
from partway_server.cli.options import fail, setting_flags
from partway_server.config.settings import Settings, SettingsError
from partway_server.storage.capabilities import KNOWN

if TYPE_CHECKING:
    from partway_server.doctor.finding import Finding
    from partway_server.doctor.runner import CheckSelection

_QUIET_SECONDS = 1.0
_REMOVED = "partway-server: interrupted; everything it made in the bucket is removed"


@click.command()
@setting_flags
@click.option("--only", type=click.Choice(["storage", "redis"]), help="Check nothing else.")
@click.option("--fix", is_flag=True, help="Set the bucket's CORS and lifecycle rules if needed.")
@click.option(
    "--cors-origin",
    default="*",
    metavar="ORIGIN",
    help="Origin of the web pages that upload, such as https://app.example; any by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def doctor(only: str | None, fix: bool, cors_origin: str, as_json: bool, **given: Any) -> None:
    """Test storage and Redis for real, and report what is wrong and how to fix it.

    Takes the settings of serve. Everything it makes in the bucket, under partway-probe/, it
    removes. Exit code 0 if nothing is bad, 1 if something is, 2 if the settings are invalid.

    \b
    Before the first start, with pages at app.example that upload:
      partway-server doctor --fix --cors-origin https://app.example

    \b
    In a script, the names of what is bad:
      partway-server doctor --json | jq -r '.findings[] | select(.status == "bad").name'
    """
    try:
        settings = Settings.load(os.environ, given, backends=KNOWN, allow_unknown=True)
    except SettingsError as error:
        fail(2, *error.problems)
    # Imported here because the AWS SDK is slow to load.
    from partway_server.doctor.runner import CheckSelection

    selection = CheckSelection(only or "", fix, cors_origin)
    sys.exit(_run(settings, selection, json_output=as_json))


class ProgressLine:
    """One line on a terminal that names the current check, shown after the first second."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._now = now
        self._begin = now()
        self._shown = False

    def __call__(self, what: str) -> None:
        if self._stream.isatty() and self._now() - self._begin > _QUIET_SECONDS:
            self._stream.write(f"\r\x1b[Kchecking: {what}")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Erase the line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _run(settings: Settings, selection: "CheckSelection", *, json_output: bool) -> int:
    """Print the findings and return the exit code."""
    from partway_server.doctor.access_checks import CLEAN
    from partway_server.doctor.finding import Status, exit_code
    from partway_server.doctor.report import as_json, as_text

    progress = ProgressLine(sys.stderr)
    found: list[Finding] = []
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            finished = runner.run(_until_signal(settings, selection, progress, found.append))
    finally:
        progress.clear()
    if not finished:
        left = [f for f in found if f.name == CLEAN and f.status is not Status.OK]
        click.echo("partway-server: interrupted" if left else _REMOVED, err=True)
        for finding in left:
            click.echo(f"{finding.found}\n{finding.remedy}", err=True)
        return INTERRUPTED
    colour = sys.stdout.isatty()
    click.echo(as_json(found) if json_output else as_text(found, colour=colour))
    return exit_code(found)


async def _until_signal(
    settings: Settings,
    selection: "CheckSelection",
    progress: ProgressLine,
    report: "Callable[[Finding], None]",
) -> bool:
    """Run the checks and return whether they finished.

    Only the first signal counts: a second one would interrupt the removal of what was made.
    """
    from partway_server.doctor.runner import run_checks
    from partway_server.domain.clock import SystemClock

    work = asyncio.ensure_future(
        run_checks(
            settings,
            selection,
            clock=SystemClock(),
            random_hex=secrets.token_hex,
            progress=progress,
            report=report,
        )
    )
    interrupted = asyncio.Event()

    def on_signal() -> None:
        if not interrupted.is_set():
            interrupted.set()
            work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    try:
        await work
    except asyncio.CancelledError:
        if not interrupted.is_set():
            raise
        return False
    return True
