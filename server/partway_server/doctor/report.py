"""Findings formatted for a person and for a script."""

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
    """Return one JSON object: the findings, the count of each status, and the exit code."""
    counts = {str(status): count(findings, status) for status in Status}
    listed = [_as_dict(finding) for finding in findings]
    return json.dumps(
        {"findings": listed, "counts": counts, "exit_code": exit_code(findings)}, indent=2
    )


def _as_dict(finding: Finding) -> dict[str, str]:
    fields = asdict(finding)
    # The key under which scripts know the remedy.
    return {"mend" if name == "remedy" else name: value for name, value in fields.items()}


def as_text(findings: Sequence[Finding], *, colour: bool) -> str:
    """Return the findings grouped and aligned, each remedy below its finding, counts at the end."""
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
    """Return a key that consecutive skipped findings with the same need share.

    They are printed as one line; every other finding has a line of its own.
    """
    return finding.found if finding.status is Status.SKIPPED else finding.name


def _lines(alike: Sequence[Finding], width: int, *, colour: bool) -> Iterator[str]:
    finding = alike[0]
    mark, hue = _MARKS[finding.status]
    padded = click.style(f"{mark:<4}", fg=hue) if colour else f"{mark:<4}"
    more = f", and {len(alike) - 1} more like it" if len(alike) > 1 else ""
    yield f"  {padded}  {_short(finding):<{width}}  {finding.found}{more}"
    # Not wrapped, so that a command can be pasted.
    for line in finding.remedy.splitlines():
        yield f"{_INDENT}{line}"


def _sum(findings: Sequence[Finding]) -> str:
    good, warnings, bad, skipped = (
        count(findings, each) for each in (Status.OK, Status.WARN, Status.BAD, Status.SKIPPED)
    )
    words = f"{good} good, {warnings} {'warning' if warnings == 1 else 'warnings'}, {bad} bad"
    return f"{words}, {skipped} skipped" if skipped else words
