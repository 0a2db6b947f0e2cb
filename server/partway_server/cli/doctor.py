"""`partway-server doctor`: run the checks, print the findings, and clean up on Ctrl-C."""

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
import uvloop

from partway_server.cli.interrupt import INTERRUPTED
from partway_server.cli.options import fail, setting_flags
from partway_server.config.backends import DEFAULT, KINDS
from partway_server.config.capability_file import record_text
from partway_server.config.settings import Settings, SettingsError

if TYPE_CHECKING:
    from partway_server.config.backends import Backend
    from partway_server.doctor.capability_check import ObservedCapabilities
    from partway_server.doctor.finding import Finding
    from partway_server.doctor.runner import CheckSelection

    Observed = dict[str, tuple[Backend, list[ObservedCapabilities]]]

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
@click.option(
    "--write-record",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write what storage was found to do, for PARTWAY_BACKEND_RECORD.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def doctor(
    only: str | None,
    fix: bool,
    cors_origin: str,
    write_record: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Test storage and Redis for real, and report what is wrong and how to fix it.

    Takes the settings of serve. Everything it makes in the bucket, under partway-probe/, it
    removes. Exit code 0 if nothing is bad, 1 if something is, 2 if the settings are invalid.

    \b
    Before the first start, with pages at app.example that upload:
      partway-server doctor --fix --cors-origin https://app.example

    \b
    In a script, the names of what is bad:
      partway-server doctor --json | jq -r '.findings[] | select(.status == "bad").name'

    \b
    For a store that PARTWAY_BACKEND has no name for, or that can do more than its record says:
      partway-server doctor --write-record store.toml
      export PARTWAY_BACKEND_RECORD=store.toml
    """
    try:
        settings = Settings.load(os.environ, given, backends=KINDS, allow_unknown=True)
    except SettingsError as error:
        fail(2, *error.problems)
    # Imported here because the AWS SDK is slow to load.
    from partway_server.doctor.runner import CheckSelection

    selection = CheckSelection(only or "", fix, cors_origin)
    sys.exit(_run(settings, selection, json_output=as_json, record=write_record))


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


def _run(
    settings: Settings, selection: "CheckSelection", *, json_output: bool, record: Path | None
) -> int:
    """Print the findings, write the record if one is wanted, and return the exit code."""
    from partway_server.doctor.access_checks import CLEAN
    from partway_server.doctor.finding import Status, exit_code
    from partway_server.doctor.report import as_json, as_text

    progress = ProgressLine(sys.stderr)
    found: list[Finding] = []
    observed: Observed = {}
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            work = _until_signal(settings, selection, progress, found.append, observed)
            finished = runner.run(work)
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
    if record is not None:
        _write_record(record, observed)
    return exit_code(found)


def _write_record(path: Path, observed: "Observed") -> None:
    """Write what was observed of the default backend, or of the only one that policies use."""
    from partway_server.doctor.capability_check import measured, source_of

    if not observed:
        fail(1, f"{path} is not written: nothing was found out about storage")
    names = [DEFAULT] if DEFAULT in observed else list(observed)
    if len(names) > 1:
        words = f"the policies use several backends ({', '.join(names)})"
        fail(2, f"{path} is not written: {words}; name a policy file that uses one")
    backend, found = observed[names[0]]
    source = source_of(found, datetime.now(UTC))
    try:
        path.write_text(record_text(backend.begins_as, source, measured(found)), "utf-8")
    except OSError as error:
        fail(1, f"{path} is not written: {error.strerror}")
    click.echo(f"partway-server: {path} says what was found", err=True)


async def _until_signal(
    settings: Settings,
    selection: "CheckSelection",
    progress: ProgressLine,
    report: "Callable[[Finding], None]",
    observed: "Observed",
) -> bool:
    """Run the checks and return whether they finished; add what is `observed`.

    Only the first signal counts: a second one would interrupt the removal of what was made.
    """
    from partway_server.doctor.runner import run_checks
    from partway_server.domain.clock import SystemClock

    def observe(backend: "Backend", found: "ObservedCapabilities") -> None:
        observed.setdefault(backend.name, (backend, []))[1].append(found)

    work = asyncio.ensure_future(
        run_checks(
            settings,
            selection,
            clock=SystemClock(),
            random_hex=secrets.token_hex,
            progress=progress,
            report=report,
            observe=observe,
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
