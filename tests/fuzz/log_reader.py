"""Reads the log of a service while it grows."""

from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.oracle import Oracle

_READ_BYTES = 16 * 1024 * 1024


class LogReader:
    """One log, judged line by line as it grows."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self._path, self._at = name, path, 0

    def wrong(self, oracle: Oracle) -> Iterator[str]:
        """Yield what is wrong with the lines since the last call."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            data = log.read(_READ_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.decode("utf-8", "replace").split("\n"):
            if wrong := oracle.of_line(line):
                yield wrong
