"""What the doctor reports: a Finding for each check."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The result of a check. `skipped`: what the check needs was missing."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `name` is stable, with dots between its words. `found` and `remedy` are sentences for an
    operator, and contain no secret and no URL; `remedy` has a command on a line of its own, and is
    "" where there is nothing to do. `bucket` is "" for what does not concern one bucket.
    """

    name: str
    status: Status
    found: str
    remedy: str = ""
    bucket: str = ""


def ok(name: str, found: str) -> Finding:
    return Finding(name, Status.OK, found)


def warn(name: str, found: str, remedy: str) -> Finding:
    return Finding(name, Status.WARN, found, remedy)


def bad(name: str, found: str, remedy: str) -> Finding:
    return Finding(name, Status.BAD, found, remedy)


def skipped(names: Iterable[str], needs: str) -> Iterator[Finding]:
    """Yield a Finding for each of `names`: it could not be checked without `needs`."""
    for name in names:
        yield Finding(name, Status.SKIPPED, f"skipped: needs {needs}")


def unclear(name: str, answer: object) -> Finding:
    """Report a response that may be transient, so that nothing can be concluded."""
    return warn(name, f"inconclusive: {answer}", "Run the doctor again.")


def count(findings: Sequence[Finding], status: Status) -> int:
    return sum(finding.status is status for finding in findings)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 1 if anything is bad, else 0."""
    return 1 if count(findings, Status.BAD) else 0
