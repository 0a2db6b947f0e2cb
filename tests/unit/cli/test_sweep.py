"""Tests the output of `partway-server sweep`."""

import io
import json
from datetime import timedelta

from partway_server.cleanup.report import Action, CleanupKind, CleanupRecord
from partway_server.cli.sweep import DONE, SweepReport

from tests.support.clock import START

BEGAN = START - timedelta(days=8)


class Terminal(io.StringIO):
    """An output that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def a_report(
    *, dry_run: bool = False, as_json: bool = False, err: io.StringIO | None = None
) -> tuple[SweepReport, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), err or io.StringIO()
    return SweepReport(dry_run=dry_run, as_json=as_json, out=out, err=err, now=START), out, err


def found(action: Action = Action.ABORT, *, done: bool = True, error: str = "") -> CleanupRecord:
    return CleanupRecord(
        CleanupKind.MULTIPART, "uploads", "a/b.mp4", BEGAN, action, "so it is", done, error
    )


def test_every_action_has_a_word() -> None:
    assert set(DONE) == set(Action)


def test_each_thing_has_a_line_and_the_end_a_count() -> None:
    report, out, err = a_report()
    report.add(found())
    report.add(found(Action.LEAVE, done=False))
    report.add(
        CleanupRecord(CleanupKind.UPLOAD, "uploads", "c", START, Action.BURY, "it is over", True)
    )
    report.add(
        CleanupRecord(CleanupKind.LISTING, "uploads", "", None, Action.LEAVE, "it cannot be")
    )
    report.summary()
    assert out.getvalue().splitlines() == [
        "multipart    8d  uploads/a/b.mp4  aborted: so it is",
        "multipart    8d  uploads/a/b.mp4  left: so it is",
        "upload       0s  uploads/c  buried: it is over",
        "listing       -  uploads/  left: it cannot be",
        "4 looked at: 1 aborted, 1 buried, 2 left",
    ]
    assert err.getvalue() == ""
    assert not report.failed


def test_a_dry_run_says_what_would_be() -> None:
    report, out, _ = a_report(dry_run=True)
    report.add(found(done=False))
    report.summary()
    assert out.getvalue().splitlines() == [
        "multipart    8d  uploads/a/b.mp4  would be aborted: so it is",
        "1 looked at: 1 would be aborted; nothing was changed",
    ]


def test_what_failed_says_why() -> None:
    report, out, _ = a_report()
    report.add(found(done=False, error="storage does not answer"))
    assert "failed: so it is: storage does not answer" in out.getvalue()
    assert report.failed


def test_nothing_found_is_said_too() -> None:
    report, out, _ = a_report()
    report.summary()
    assert out.getvalue() == "0 looked at\n"


def test_as_json_it_is_one_object() -> None:
    report, out, _ = a_report(dry_run=True, as_json=True)
    report.add(found(done=False))
    report.summary()
    assert json.loads(out.getvalue()) == {
        "dry_run": True,
        "counts": {"would be aborted": 1},
        "findings": [
            {
                "kind": "multipart",
                "bucket": "uploads",
                "key": "a/b.mp4",
                "since": "2026-02-21T12:00:00+00:00",
                "age_seconds": 8 * 24 * 3600,
                "action": "abort",
                "outcome": "would be aborted",
                "reason": "so it is",
                "error": "",
            }
        ],
    }


def test_a_terminal_is_told_how_far_it_is() -> None:
    report, out, err = a_report(as_json=True, err=Terminal())
    for _ in range(250):
        report.add(found())
    report.summary()
    assert "100 looked at" in err.getvalue() and "200 looked at" in err.getvalue()
    assert json.loads(out.getvalue())["counts"] == {"aborted": 250}
