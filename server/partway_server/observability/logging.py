"""Configure logging: lines for people, or JSON for machines."""

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from partway_server.observability.lost_callers import GRPC_LOGGER, LOST_CALLERS

_FIELDS = ("rpc", "outcome", "ms")

# Below WARNING these log whole requests, including URLs and signatures.
_VERBOSE_LOGGERS = ("aiobotocore", "aiohttp", "boto3", "botocore", "s3transfer", "urllib3")


class JsonFormatter(logging.Formatter):
    """Formats each record as one JSON object on a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: getattr(record, name) for name in _FIELDS if hasattr(record, name)})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


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
    if as_json:
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noise in (_NOT_TEXT, LOST_CALLERS):
        logging.getLogger(GRPC_LOGGER).addFilter(noise)
    for name in _VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
