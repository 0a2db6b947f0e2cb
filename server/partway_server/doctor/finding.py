"""What the doctor says: a Finding for each thing that was looked at."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How it is. `skipped`: what it needs was not there to look with."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    `name` is stable, dots between its words. `found` and `mend` are sentences for an operator, and
    hold no secret and no URL; `mend` has a command on a line of its own, and is "" where there is
    nothing to do. `bucket` is "" for what is no bucket's affair.
    """

    name: str
    status: Status
    found: str
    mend: str = ""
    bucket: str = ""


def ok(name: str, found: str) -> Finding:
    return Finding(name, Status.OK, found)


def warn(name: str, found: str, mend: str) -> Finding:
    return Finding(name, Status.WARN, found, mend)


def bad(name: str, found: str, mend: str) -> Finding:
    return Finding(name, Status.BAD, found, mend)


def skipped(names: Iterable[str], needs: str) -> Iterator[Finding]:
    """A Finding for each of `names`: it could not be looked at without `needs`."""
    for name in names:
        yield Finding(name, Status.SKIPPED, f"skipped: needs {needs}")


def unclear(name: str, answer: object) -> Finding:
    """Storage answered with what may pass, so that nothing can be said."""
    return warn(name, f"could not be told: {answer}", "Run the doctor again.")


def count(findings: Sequence[Finding], status: Status) -> int:
    return sum(finding.status is status for finding in findings)


def exit_code(findings: Sequence[Finding]) -> int:
    """1 if anything is bad, else 0."""
    return 1 if count(findings, Status.BAD) else 0
