"""`partway-server sweep`: one pass over what was left behind, told line by line."""

import asyncio
import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

import uvloop

from partway_server.cleanup.report import Action, CleanupKind, CleanupRecord
from partway_server.cli.interrupt import raise_again
from partway_server.config.settings import Settings
from partway_server.domain.errors import UploadError
from partway_server.runtime import app
from partway_server.runtime.startup import StartupError

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


class SweepReport:
    """Tells each CleanupRecord on `out`, or all at the end as JSON. On a terminal, `err` counts along."""

    def __init__(
        self, *, dry_run: bool, as_json: bool, out: TextIO, err: TextIO, now: datetime
    ) -> None:
        self._dry_run = dry_run
        self._as_json = as_json
        self._out = out
        self._err = err
        self._now = now
        self._seen = 0
        self._findings: list[dict[str, Any]] = []
        self._outcomes: Counter[str] = Counter()

    @property
    def failed(self) -> bool:
        return self._outcomes["failed"] > 0

    def report(self, finding: CleanupRecord) -> None:
        """Tell of one thing."""
        self._seen += 1
        outcome = self._outcome(finding)
        self._outcomes[outcome] += 1
        if self._as_json:
            self._findings.append(self._as_dict(finding, outcome))
        else:
            self._clear()
            print(self._line(finding, outcome), file=self._out)
        if self._err.isatty() and self._seen % _PROGRESS_EACH == 0:
            print(f"\r{self._seen:,} looked at", end="", file=self._err, flush=True)

    def summary(self) -> None:
        """The last thing said."""
        self._clear()
        counts = dict(sorted(self._outcomes.items()))
        if self._as_json:
            found = {"dry_run": self._dry_run, "counts": counts, "findings": self._findings}
            print(json.dumps(found, indent=2, ensure_ascii=False), file=self._out)
            return
        words = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
        changed = "; nothing was changed" if self._dry_run else ""
        print(f"{self._seen:,} looked at{': ' if words else ''}{words}{changed}", file=self._out)

    def _outcome(self, finding: CleanupRecord) -> str:
        if finding.error:
            return "failed"
        if finding.action is Action.LEAVE:
            return DONE[Action.LEAVE]
        return DONE[finding.action] if finding.done else f"would be {DONE[finding.action]}"

    def _line(self, finding: CleanupRecord, outcome: str) -> str:
        age = _age(self._now - finding.since) if finding.since else "-"
        place = f"{finding.bucket}/{finding.key}"
        error = f": {finding.error}" if finding.error else ""
        return f"{finding.kind:9}  {age:>4}  {place}  {outcome}: {finding.reason}{error}"

    def _as_dict(self, finding: CleanupRecord, outcome: str) -> dict[str, Any]:
        since = finding.since
        return {
            "kind": finding.kind.value,
            "bucket": finding.bucket,
            "prefix" if finding.kind is CleanupKind.LISTING else "key": finding.key,
            "since": since.astimezone(UTC).isoformat(timespec="seconds") if since else None,
            "age_seconds": max(int((self._now - since).total_seconds()), 0) if since else None,
            "action": finding.action.value,
            "outcome": outcome,
            "reason": finding.reason,
            "error": finding.error,
        }

    def _clear(self) -> None:
        if self._err.isatty():
            print("\r\033[K", end="", file=self._err, flush=True)


def run(settings: Settings, *, dry_run: bool, as_json: bool) -> bool:
    """Sweep once; whether all of it was done. Raises StartupError, UploadError."""
    report = SweepReport(
        dry_run=dry_run, as_json=as_json, out=sys.stdout, err=sys.stderr, now=datetime.now(UTC)
    )
    raise_again()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(app.sweep(settings, report=report.report, dry_run=dry_run))
        except UploadError as error:
            raise StartupError(f"the sweep was not finished: {error}") from error
        finally:
            # What was done before it broke off was done.
            report.summary()
    return not report.failed


def _age(span: timedelta) -> str:
    seconds = max(int(span.total_seconds()), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
