"""Remembers how fast the line to a service's storage was, for the part size of the next upload."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from partway_client._upload.resume_journal import entry_key, write_atomically

_GOOD_FOR = timedelta(hours=1)
"""A laptop may be on another line by then."""

_LEAST_SECONDS = 3.0
_EVERY_SECONDS = 10.0


@dataclass(slots=True)
class LineRecord:
    """What was measured last on the line to one server, in a small file of the state directory."""

    path: Path
    now: Callable[[], datetime]
    _saved_busy: float = 0.0

    @classmethod
    def of(cls, directory: Path, server: str, now: Callable[[], datetime]) -> "LineRecord":
        """Return the record of the line to this server."""
        return cls(directory / f"{entry_key('line', server)}.line", now)

    def rate(self) -> float:
        """Return the bytes per second of one connection within the last hour; 0: not known."""
        try:
            kept = json.loads(self.path.read_text("ascii"))
            rate, saved = float(kept["bytes_per_second"]), datetime.fromisoformat(kept["time"])
            recent = timedelta() <= self.now() - saved <= _GOOD_FOR
        except (OSError, ValueError, KeyError, TypeError):
            # Mostly it does not exist. One that cannot be read costs a measurement.
            return 0.0
        return rate if recent and rate > 0 and math.isfinite(rate) else 0.0

    def keep(self, rate: float, busy_seconds: float, *, last: bool) -> None:
        """Save what was measured in that time, now and then; `last`: and at the end."""
        since = busy_seconds - self._saved_busy
        if since < (_LEAST_SECONDS if last else _EVERY_SECONDS) or not rate:
            return
        self._saved_busy = busy_seconds
        kept = {"bytes_per_second": round(rate), "time": self.now().isoformat()}
        try:
            write_atomically(self.path, json.dumps(kept))
        except OSError:
            # The journal has said that nothing can be remembered; a next upload measures again.
            return
