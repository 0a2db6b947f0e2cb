"""Configure logging: lines for people, or JSON for machines."""

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from partway_server.observability.call_context import FIELDS, MOST_CHARS, current_call, shown
from partway_server.observability.lost_callers import GRPC_LOGGER, LOST_CALLERS
from partway_server.observability.lost_traces import LostTraceFilter

_OUTCOME = (
    *("outcome", "code", "reason", "ms", "failed_items"),
    *("operation", "storage_code", "backend", "bucket"),
)
"""The fields of the line about how a call ended, beside those of every line of a call."""

_OUTAGE = ("dependency", "seconds", "failed_calls", "good_calls", "waiting_calls")
"""The fields of a line about an outage."""

_FIELDS = (*FIELDS, *_OUTCOME, *_OUTAGE)

# Below WARNING these log whole requests, including URLs and signatures.
_VERBOSE_LOGGERS = (
    *("aiobotocore", "aiohttp", "boto3", "botocore", "s3transfer", "urllib3"),
    "opentelemetry",
)

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What ends a line, or what a terminal takes for a command or for another direction of writing."""


class CallFilter(logging.Filter):
    """Adds to each record what is known of the call that logs it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return that the record is logged."""
        if (call := current_call()) is not None:
            for name in FIELDS:
                if (value := getattr(call, name)) and not hasattr(record, name):
                    setattr(record, name, value)
        return True


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found = {name: getattr(record, name, "") for name in _FIELDS}
    return {
        name: value[:MOST_CHARS] if isinstance(value, str) else value
        for name, value in found.items()
        if value != ""
    }


class JsonFormatter(logging.Formatter):
    """Formats each record as one JSON object on a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # Control characters are in strings only, where JSON allows the escape.
        return _CONTROL.sub(_escaped, json.dumps(line, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """Formats each record for people: one line, with the fields that its message lacks behind it.

    Only a traceback has lines of its own.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        line = _CONTROL.sub(_escaped, super().formatMessage(record))
        more = [f"{name}={shown(value)}" for name, value in _fields(record).items()]
        return f"{line} [{' '.join(more)}]" if more else line


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


_NOT_TEXT_SECONDS = 60.0

logger = logging.getLogger(__name__)


class NotTextFilter(logging.Filter):
    """Replaces what gRPC logs of headers and paths that are not UTF-8 by one line a minute.

    gRPC logs a traceback and the bytes, twice for each of them: any stranger could fill the log,
    and choose with what (`_decode` in src/python/grpcio/grpc/_cython/_cygrpc/grpc_string.pyx.pxi).
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._count = 0
        self._logged: float | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is about anything else."""
        kind = record.exc_info[0] if record.exc_info else None
        if kind is None or not issubclass(kind, UnicodeDecodeError):
            return True
        self._count += 1
        now = self._now()
        if self._logged is None or now >= self._logged + _NOT_TEXT_SECONDS:
            logger.warning(
                "headers or paths of calls are not UTF-8: %d since the last such line", self._count
            )
            self._count, self._logged = 0, now
        return False


_NOT_TEXT = NotTextFilter()


def configure_logging(*, level: str, as_json: bool) -> None:
    """Log to standard error at this level from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    handler.addFilter(CallFilter())
    handler.addFilter(LostTraceFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noise in (_NOT_TEXT, LOST_CALLERS):
        logging.getLogger(GRPC_LOGGER).addFilter(noise)
    for name in _VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
