"""What a sweep says of each thing it met."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CleanupKind(StrEnum):
    """What was met."""

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
    """One thing: a due Upload, an unfinished multipart upload, or a listing that is not to be had.

    `since` is when it began, where that is told. `done` says that `action` was carried out, and
    `error`, in words, why it could not be.
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


def ignore_record(finding: CleanupRecord) -> None:
    """A Report for when nobody asked."""
