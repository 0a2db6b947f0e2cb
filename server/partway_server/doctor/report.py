"""Findings as a person reads them, and as a script does."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

import click

from partway_server.doctor.finding import Finding, Status, count, exit_code

_INDENT = " " * 10
_MARKS = {
    Status.OK: ("ok", "green"),
    Status.WARN: ("warn", "yellow"),
    Status.BAD: ("BAD", "red"),
    Status.SKIPPED: ("skip", "bright_black"),
}


def as_json(findings: Sequence[Finding]) -> str:
    """One object: the findings, how many there are of each status, and the exit code."""
    counts = {str(status): count(findings, status) for status in Status}
    listed = [asdict(finding) for finding in findings]
    return json.dumps(
        {"findings": listed, "counts": counts, "exit_code": exit_code(findings)}, indent=2
    )


def as_text(findings: Sequence[Finding], *, colour: bool) -> str:
    """Grouped and aligned, what to do below each, and the sum in the last line."""
    lines = []
    for title, group in groupby(findings, _title):
        members = list(group)
        width = max(len(_short(finding)) for finding in members)
        lines += [click.style(title, bold=True) if colour else title]
        for _, run in groupby(members, _alike):
            lines += _lines(list(run), width, colour=colour)
        lines.append("")
    return "\n".join([*lines, _sum(findings)])


def _title(finding: Finding) -> str:
    first = finding.name.partition(".")[0]
    return f"{first}, bucket {finding.bucket!r}" if finding.bucket else first


def _short(finding: Finding) -> str:
    return finding.name.partition(".")[2]


def _alike(finding: Finding) -> str:
    """What skipped findings in a row are one line for: the same need. Others are each alone."""
    return finding.found if finding.status is Status.SKIPPED else finding.name


def _lines(alike: Sequence[Finding], width: int, *, colour: bool) -> Iterator[str]:
    finding = alike[0]
    mark, hue = _MARKS[finding.status]
    padded = click.style(f"{mark:<4}", fg=hue) if colour else f"{mark:<4}"
    more = f", and {len(alike) - 1} more like this" if len(alike) > 1 else ""
    yield f"  {padded}  {_short(finding):<{width}}  {finding.found}{more}"
    # Not wrapped: a command is to be pasted.
    for line in finding.mend.splitlines():
        yield f"{_INDENT}{line}"


def _sum(findings: Sequence[Finding]) -> str:
    good, warnings, bad, skipped = (
        count(findings, each) for each in (Status.OK, Status.WARN, Status.BAD, Status.SKIPPED)
    )
    words = f"{good} good, {warnings} {'warning' if warnings == 1 else 'warnings'}, {bad} bad"
    return f"{words}, {skipped} skipped" if skipped else words
