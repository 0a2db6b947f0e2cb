"""Configure logging: lines for people, or JSON for machines."""

import json
import logging
import sys
from datetime import UTC, datetime

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


def configure_logging(*, level: str, as_json: bool) -> None:
    """Log to standard error at this level from now on."""
    handler = logging.StreamHandler(sys.stderr)
    if as_json:
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
