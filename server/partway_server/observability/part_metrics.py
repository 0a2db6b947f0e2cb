"""The metrics of parts that pass through the service."""

import contextlib
from collections.abc import Iterator

from partway_server.observability.definitions import Definitions

OK = "OK"


class PartMetrics:
    """Counts the parts, and their bytes."""

    def __init__(self, define: Definitions) -> None:
        define.begin("Parts through the service")
        self._bytes = define.counter(
            "partway_via_service_bytes",
            "Bytes of parts sent through the service to storage, including failed attempts.",
            ["policy"],
        )
        self._ended = define.counter(
            "partway_via_service_parts",
            "Parts sent through the service that ended, by outcome: OK, or the name of the error.",
            ["policy", "outcome"],
        )
        self._in_progress = define.gauge(
            "partway_via_service_in_progress",
            "Parts that are being sent through the service.",
        )

    @contextlib.contextmanager
    def passing(self, policy: str) -> Iterator[None]:
        """Count the part that the block sends, and its outcome."""
        outcome = OK
        with self._in_progress.track_inprogress():
            try:
                yield
            except BaseException as error:
                outcome = type(error).__name__
                raise
            finally:
                self._ended.labels(policy, outcome).inc()

    def passed(self, policy: str, size_bytes: int) -> None:
        """Count bytes that storage has accepted."""
        self._bytes.labels(policy).inc(size_bytes)
