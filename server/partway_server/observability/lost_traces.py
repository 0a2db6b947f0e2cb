"""Sum what OpenTelemetry logs while its collector is away: a line for each attempt to send."""

import logging
import re
import time
from collections.abc import Callable

_EVERY_SECONDS = 60.0

_CAUSE = re.compile(r"StatusCode\.[A-Z_]+|\b[A-Za-z]+(?:Error|Exception|Timeout)\b")
"""What is repeated of a text of OpenTelemetry. The rest may hold credentials of the collector."""

logger = logging.getLogger(__name__)


class LostTraceFilter(logging.Filter):
    """Replaces what OpenTelemetry logs by one line a minute. `now` is a monotonic clock."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._count = 0
        self._logged: float | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is about anything else."""
        if not record.name.startswith("opentelemetry."):
            return True
        self._count += 1
        now = self._now()
        if self._logged is None or now >= self._logged + _EVERY_SECONDS:
            self._logged, count, self._count = now, self._count, 0
            found = _CAUSE.search(record.getMessage())
            cause = f" ({found[0]})" if found else ""
            text = "OpenTelemetry cannot send traces%s: %d reports since the last such line"
            logger.warning(text, cause, count)
        return False
