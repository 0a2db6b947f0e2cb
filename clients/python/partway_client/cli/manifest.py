"""The manifest of --skip-existing: which files are uploaded, a line of JSON for each.

It is the user's own record, which a later command reads, also on another day: so a line is written
whole and synced to the disk once the object of its file is complete. Commands that run at the same
time may share one.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import click

from partway_client.cli.output import CommandFailed
from partway_client.models import Uploaded

_FIELDS = frozenset({"path", "size_bytes", "mtime", "uri"})
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Manifest:
    """The entries of one file, by path; of several for one path the last counts."""

    path: Path
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what the file says; nothing if it does not exist.

        Raises UsageError if it is another file: that must not be appended to.
        """
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return cls(path)
        except OSError as exc:
            raise click.UsageError(f"cannot read --skip-existing {path}: {exc.strerror}") from None
        found = {}
        for number, line in enumerate(lines, 1):
            if (entry := _entry(line)) is not None:
                found[entry["path"]] = entry
            elif line and not (number == len(lines) and line.startswith(b"{")):
                # Of the last line, a crash may have left the beginning.
                raise click.UsageError(
                    f"{path}:{number}: not an entry of a manifest; name a file that"
                    " --skip-existing has written, or a new one"
                )
        return cls(path, found)

    def check_writable(self) -> None:
        """Create the file if it does not exist. Raises UsageError if it cannot be written to."""
        try:
            with _locked(self.path):
                _sync_folder(self.path.parent)
        except OSError as exc:
            raise click.UsageError(
                f"cannot write to --skip-existing {self.path}: {exc.strerror}"
            ) from None

    def find(self, file: str) -> dict[str, Any] | None:
        """Return the entry of a file that has the same size and modification time."""
        entry = self.entries.get(os.path.abspath(file))
        if entry is None:
            return None
        try:
            found = os.stat(file)
        except OSError:
            # What is wrong is said when it is uploaded.
            return None
        same = (entry["size_bytes"], entry["mtime"]) == (found.st_size, mtime_of(found.st_mtime_ns))
        return entry if same else None

    def add(self, file: str, size_bytes: int, mtime_ns: int, uploaded: Uploaded) -> None:
        """Append a file that is uploaded. Raises CommandFailed."""
        path = os.path.abspath(file)
        entry = {
            "path": path,
            "size_bytes": size_bytes,
            "mtime": mtime_of(mtime_ns),
            "checksum_algorithm": uploaded.checksum_algorithm,
            "checksum": uploaded.checksum,
            "uri": uploaded.uri,
        }
        try:
            with _locked(self.path) as fd:
                _append(fd, json.dumps(entry).encode("ascii") + b"\n")
        except OSError as exc:
            raise CommandFailed(f"cannot write to {self.path}: {exc.strerror}") from None
        self.entries[path] = entry


def mtime_of(mtime_ns: int) -> str:
    """Return a modification time with its zone, exact to the nanosecond."""
    seconds, rest = divmod(mtime_ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _entry(line: bytes) -> dict[str, Any] | None:
    """Return the entry on a line, None if it is something else."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and entry.keys() >= _FIELDS else None


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the file for this process alone, and sync it at the end."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
        os.fsync(fd)
    finally:
        os.close(fd)


def _append(fd: int, line: bytes) -> None:
    """Append a whole line or nothing, in the place of one that a crash has cut off."""
    size = end = os.fstat(fd).st_size
    while end and os.pread(fd, 1, end - 1) != b"\n":
        end -= 1
    if end < size and _entry(os.pread(fd, size - end, end)) is not None:
        # An editor left out the newline at its end.
        line, end = b"\n" + line, size
    os.ftruncate(fd, end)
    try:
        while line:
            line = line[os.write(fd, line) :]
    except OSError:
        os.ftruncate(fd, end)
        raise


def _sync_folder(folder: Path) -> None:
    """Sync the names in a folder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
