"""The records that a clean-up reports, one for each thing it found."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from partway_server.observability.cleanup_metrics import CleanupMetrics


class CleanupKind(StrEnum):
    """What was found."""

    UPLOAD = "upload"
    MULTIPART = "multipart"
    LISTING = "listing"


class Action(StrEnum):
    """What is to be done about it."""

    LEAVE = "leave"
    ABORT = "abort"
    COMPOSE = "compose"
    COMPLETE = "complete"
    OPEN = "open"
    BURY = "bury"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class CleanupRecord:
    """A due upload, an unfinished multipart upload, or a listing that storage cannot give.

    `since` is when it began, if known. `done` means that `action` was carried out, and `error` says
    why it could not be.
    """

    kind: CleanupKind
    bucket: str
    key: str
    since: datetime | None
    action: Action
    reason: str
    done: bool = False
    error: str = ""


Report = Callable[[CleanupRecord], None]


def counted_by(metrics: CleanupMetrics) -> Report:
    """Return a Report that counts what was found."""

    def count(finding: CleanupRecord) -> None:
        outcome = "failed" if finding.error else "done" if finding.done else "none"
        metrics.found(finding.kind, finding.action, outcome)

    return count


def ignore_record(finding: CleanupRecord) -> None:
    """Discard the record: a Report for callers who want none."""
