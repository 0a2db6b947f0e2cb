"""Reports to operators why credentials are rejected, which their callers do not learn."""

import logging
from datetime import datetime, timedelta

from partway_server.domain.clock import Clock
from partway_server.domain.errors import CredentialsRejected

logger = logging.getLogger(__name__)

_QUIET = timedelta(minutes=1)


class Rejections:
    """Counts rejected credentials by cause, and logs at most a line a minute for each cause."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._logged: dict[str, datetime] = {}

    def reject(self, cause: str) -> CredentialsRejected:
        """Count a rejection, and return the error for the caller.

        A `cause` is one of a few fixed texts, and so contains nothing that a caller sent.
        """
        now = self._clock.now()
        self._counts[cause] = count = self._counts.get(cause, 0) + 1
        if cause not in self._logged or now - self._logged[cause] >= _QUIET:
            self._logged[cause] = now
            logger.warning("credentials rejected: %s (%d so far)", cause, count)
        return CredentialsRejected()
