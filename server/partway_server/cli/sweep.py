"""`partway-server sweep`: one pass over what was left behind, reported line by line."""

import asyncio
import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

import click
import uvloop

from partway_server.cleanup.report import Action, CleanupKind, CleanupRecord
from partway_server.cli.interrupt import raise_again
from partway_server.cli.options import fail, setting_flags
from partway_server.config.backends import KINDS
from partway_server.config.settings import Settings, SettingsError
from partway_server.domain.errors import UploadError
from partway_server.observability.logging import configure_logging

DONE = {
    Action.LEAVE: "left",
    Action.ABORT: "aborted",
    Action.COMPOSE: "composed",
    Action.COMPLETE: "completed",
    Action.OPEN: "kept",
    Action.BURY: "buried",
    Action.FORGET: "forgotten",
}
"""The outcome of each action in a word."""

_PROGRESS_EACH = 100


@click.command()
@setting_flags
@click.option("--dry-run", is_flag=True, help="Report what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def sweep(dry_run: bool, as_json: bool, **given: Any) -> None:
    """Look once through Redis and storage for what was left behind, and clean it up.

    A running service does this by itself, and this may run beside it. It takes the settings of
    serve, and needs the same sealing keys: they identify what an upload left in storage, and
    nothing else is touched. One line is printed for each thing found, uploads that are due and
    unfinished multipart uploads in storage with their age, and then a count. The exit code is 0 if
    everything was done, and 1 if not, such as when storage or Redis does not answer.

    \b
    First see what is there, and why it would stay or go:
      partway-server sweep --dry-run
      multipart    8d  uploads/default/2026/03/01/9f...  would be aborted: no session record, ...
      1 looked at: 1 would be aborted; nothing was changed

    \b
    Count what is left, for monitoring:
      partway-server sweep --dry-run --json | jq .counts
    """
    try:
        settings = Settings.load(os.environ, given, backends=KINDS)
    except SettingsError as error:
        fail(2, *error.problems)
    # Each thing has its own line already, and a failure is in it and in a warning.
    level = "warning" if settings.log_level == "info" else settings.log_level
    configure_logging(level=level, as_json=settings.json_logs)
    # Slow to load.
    from partway_server.runtime.waiting import StartupError

    try:
        done = _run(settings, dry_run=dry_run, as_json=as_json)
    except StartupError as error:
        fail(1, *str(error).splitlines())
    if not done:
        fail(1, "not everything could be done: see the lines that say failed")


class SweepReport:
    """What a sweep prints: a line for each record on `out`, or all of them as JSON at the end.

    On a terminal, a running count is shown on `err`.
    """

    def __init__(
        self, *, dry_run: bool, as_json: bool, out: TextIO, err: TextIO, now: datetime
    ) -> None:
        self._dry_run = dry_run
        self._as_json = as_json
        self._out = out
        self._err = err
        self._now = now
        self._seen = 0
        self._records: list[dict[str, Any]] = []
        self._outcomes: Counter[str] = Counter()

    @property
    def failed(self) -> bool:
        return self._outcomes["failed"] > 0

    def add(self, record: CleanupRecord) -> None:
        """Report one record."""
        self._seen += 1
        outcome = self._outcome(record)
        self._outcomes[outcome] += 1
        if self._as_json:
            self._records.append(self._as_dict(record, outcome))
        else:
            self._clear()
            print(self._line(record, outcome), file=self._out)
        if self._err.isatty() and self._seen % _PROGRESS_EACH == 0:
            print(f"\r{self._seen:,} looked at", end="", file=self._err, flush=True)

    def summary(self) -> None:
        """Print the counts, or everything as JSON."""
        self._clear()
        counts = dict(sorted(self._outcomes.items()))
        if self._as_json:
            found = {"dry_run": self._dry_run, "counts": counts, "findings": self._records}
            print(json.dumps(found, indent=2, ensure_ascii=False), file=self._out)
            return
        words = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
        changed = "; nothing was changed" if self._dry_run else ""
        print(f"{self._seen:,} looked at{': ' if words else ''}{words}{changed}", file=self._out)

    def _outcome(self, record: CleanupRecord) -> str:
        if record.error:
            return "failed"
        if record.action is Action.LEAVE:
            return DONE[Action.LEAVE]
        return DONE[record.action] if record.done else f"would be {DONE[record.action]}"

    def _line(self, record: CleanupRecord, outcome: str) -> str:
        age = _age(self._now - record.since) if record.since else "-"
        place = f"{record.bucket}/{record.key}"
        error = f": {record.error}" if record.error else ""
        return f"{record.kind:9}  {age:>4}  {place}  {outcome}: {record.reason}{error}"

    def _as_dict(self, record: CleanupRecord, outcome: str) -> dict[str, Any]:
        since = record.since
        return {
            "kind": record.kind.value,
            "bucket": record.bucket,
            "prefix" if record.kind is CleanupKind.LISTING else "key": record.key,
            "since": since.astimezone(UTC).isoformat(timespec="seconds") if since else None,
            "age_seconds": max(int((self._now - since).total_seconds()), 0) if since else None,
            "action": record.action.value,
            "outcome": outcome,
            "reason": record.reason,
            "error": record.error,
        }

    def _clear(self) -> None:
        if self._err.isatty():
            print("\r\033[K", end="", file=self._err, flush=True)


def _run(settings: Settings, *, dry_run: bool, as_json: bool) -> bool:
    """Sweep once and return whether everything was done. Raises StartupError."""
    from partway_server.runtime import one_pass
    from partway_server.runtime.waiting import StartupError

    report = SweepReport(
        dry_run=dry_run, as_json=as_json, out=sys.stdout, err=sys.stderr, now=datetime.now(UTC)
    )
    raise_again()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(one_pass.sweep(settings, report=report.add, dry_run=dry_run))
        except UploadError as error:
            raise StartupError(f"the sweep was not finished: {error}") from error
        finally:
            # Also when it failed half way: what was done by then is done.
            report.summary()
    return not report.failed


def _age(span: timedelta) -> str:
    seconds = max(int(span.total_seconds()), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
