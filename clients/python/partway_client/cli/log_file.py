"""Appends the messages of a command to a file, a line for each, with time and zone."""

import fcntl
import logging
import os
from datetime import datetime
from pathlib import Path
from typing import Self

_FIRST_FREE = 3
"""Lower descriptors are standard input and output: where one is closed, libraries still use it."""


class LogFile:
    """A file that is open for appending. Several processes may write to the same one."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, and create it if it does not exist. Raises OSError."""
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            return cls(path, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE))
        finally:
            os.close(fd)

    def write(self, level: int, text: str) -> None:
        """Write one line, in one piece. Raises OSError."""
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = f"{now} {logging.getLevelName(level).lower()}: {text}\n"
        os.write(self._fd, line.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
