"""What a tenant or a subject uses of its limits, and as what an upload is counted."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from partway_server.domain.upload import State, Upload

_DAY_SECONDS = 24 * 3600


class Standing(StrEnum):
    """As what an upload is counted.

    OPEN: among the open uploads, and in the bytes of the day on which it began. DONE: in the bytes
    of that day only.
    """

    OPEN = "open"
    DONE = "done"
    NONE = ""


def standing_of(upload: Upload) -> Standing:
    """Return as what the upload is counted; scripts have the same rule.

    An upload with an abort reason was reported as aborted, and whatever is done about it since does
    not open it again.
    """
    if upload.state is State.COMPLETED:
        return Standing.DONE
    if upload.state is State.ABORTED or upload.abort_reason is not None:
        return Standing.NONE
    return Standing.OPEN


def day_of(moment: datetime) -> int:
    """Return the number of the day in UTC."""
    return int(moment.timestamp()) // _DAY_SECONDS


def seconds_to_midnight(now: datetime) -> float:
    """Return how long the day in UTC still lasts."""
    return _DAY_SECONDS - now.timestamp() % _DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Usage:
    """The uploads of a tenant or a subject: open ones, and bytes of those begun today.

    Sizes are those that were declared. What was aborted does not count.
    """

    open_uploads: int = 0
    open_bytes: int = 0
    daily_bytes: int = 0

    def plus(self, uploads: int, size_bytes: int) -> "Usage":
        """Return the usage with so many uploads more, of this size altogether."""
        return Usage(
            self.open_uploads + uploads,
            self.open_bytes + size_bytes,
            self.daily_bytes + size_bytes,
        )


@dataclass(frozen=True, slots=True)
class CallerUsage:
    """The usage of a caller's tenant, and of its subject."""

    tenant: Usage = Usage()
    subject: Usage = Usage()

    def plus(self, uploads: int, size_bytes: int) -> "CallerUsage":
        """Return the usage with so many uploads of the caller more."""
        return CallerUsage(
            self.tenant.plus(uploads, size_bytes), self.subject.plus(uploads, size_bytes)
        )
