"""The time that requests to a store are signed at.

Storage refuses a signature that is 15 minutes from its own time. So where this machine's clock is
minutes away from storage's, requests and URLs are signed by storage's, which each of its answers
shows; but no further away than MOST_SKEW, so that whoever forges an answer gets no URL of a day
that is yet to come.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from partway_server.domain.clock import Clock, SystemClock
from partway_server.storage.s3_codes import CLOCK_CODES
from partway_server.storage.s3_evidence import has_s3_header

MOST_SKEW = timedelta(hours=1)
"""Beyond it the service does not start, and signs by this machine's clock."""

TOLERATED_SKEW = timedelta(minutes=5)
"""Below it this machine's clock is good enough: URLs end at most that much early or late."""

_CHANGE = timedelta(seconds=30)

logger = logging.getLogger(__name__)


class StoreClock:
    """A clock that follows a store's where the two are minutes apart. `name` is the backend's."""

    def __init__(self, name: str, clock: Clock | None = None) -> None:
        self._name = name
        self._clock = clock or SystemClock()
        self.ahead = timedelta(0)
        """How much later than by this machine's clock signatures are dated."""

    def now(self) -> datetime:
        """Return the time to sign at."""
        return self._clock.now() + self.ahead

    def follow(self, theirs: datetime | None) -> bool:
        """Take note of the store's time, and return whether that changed the time to sign at."""
        if theirs is None:
            return False
        found = theirs - self._clock.now()
        if abs(found) > MOST_SKEW:
            logger.error(
                "storage (%s): its clock is %.0f s from this machine's, too far to sign by;"
                " synchronize both by NTP",
                self._name,
                found.total_seconds(),
            )
            return False
        ahead = found if abs(found) > TOLERATED_SKEW else timedelta(0)
        if abs(ahead - self.ahead) < _CHANGE:
            return False
        self.ahead = ahead
        self._log()
        return True

    def _log(self) -> None:
        if not self.ahead:
            logger.info("storage (%s): requests are signed by this machine's clock", self._name)
            return
        seconds = self.ahead.total_seconds()
        logger.error(
            "storage (%s): its clock is %.0f s %s this machine's; requests and URLs are signed by"
            " storage's time; synchronize both by NTP",
            self._name,
            abs(seconds),
            "ahead of" if seconds > 0 else "behind",
        )


def time_in(headers: Mapping[str, str]) -> datetime | None:
    """Return the time of a response by the server's clock, None if it has none."""
    try:
        time = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    # Date has whole seconds, cut off: on average it is half a second behind.
    return None if time.tzinfo is None else time + timedelta(seconds=0.5)


def refusal_time(
    status: int, code: str, headers: Mapping[str, str], server_time: str
) -> datetime | None:
    """Return storage's time if it may have refused a request for the time of its signature.

    The answer to a HEAD has no code that could say so. `server_time` is in S3's error document.
    """
    of_a_head = status in (400, 403) and code in ("", str(status)) and has_s3_header(headers)
    if code not in CLOCK_CODES and not of_a_head:
        return None
    try:
        time = datetime.fromisoformat(server_time)
    except ValueError:
        return time_in(headers)
    return time if time.tzinfo else time_in(headers)
