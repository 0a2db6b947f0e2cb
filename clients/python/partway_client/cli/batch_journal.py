"""Remembers which of several files are uploaded, until all are.

So a command that was stopped in the third of three files does not upload the first two again. There
is one file of JSON lines for the commands in one folder to the same service with the same options;
each line is a file, by its path, size and modification time, and what its upload returned. A
command that has nothing left to do removes it.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from partway_client._upload.resume_journal import entry_key, journal_directory
from partway_client.cli.options import ServiceOptions
from partway_client.cli.output import print_note
from partway_client.models import Uploaded

_SAME = ("policy", "content_type", "metadata", "part_size", "checksum")
"""The options that make another object of the same file."""


class BatchJournal:
    """The files of earlier runs that were uploaded, and those of this one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._uploaded: dict[str, Uploaded] = {}
        self._writable = True

    @classmethod
    def of(cls, service: ServiceOptions, options: Mapping[str, Any]) -> Self:
        """Return the journal of the commands in this folder with these options."""
        same = [options[name] for name in _SAME]
        facts = ("batch", service.server, dict(service.call_metadata), os.getcwd(), same)
        return cls(journal_directory(None) / f"{entry_key(*facts)}.batch")

    def load(self) -> None:
        """Read what earlier runs wrote. A line that was cut off counts as not written."""
        with suppress(OSError, UnicodeDecodeError):
            for line in self._path.read_text("utf-8").splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    kept = json.loads(line)
                    self._uploaded[kept["file"]] = Uploaded(**kept["uploaded"])

    def find(self, file: str) -> Uploaded | None:
        """Return what the upload of this very file returned, if it is remembered."""
        return self._uploaded.get(_identity(file)) if self._uploaded else None

    def add(self, file: str, uploaded: Uploaded) -> None:
        """Remember that a file is uploaded."""
        if not self._writable or not (identity := _identity(file)):
            return
        line = json.dumps({"file": identity, "uploaded": dataclasses.asdict(uploaded)})
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # In one write, so that lines of two commands do not mix.
                os.write(fd, f"{line}\n".encode())
            finally:
                os.close(fd)
        except OSError as exc:
            self._writable = False
            print_note(
                f"partway: files that are done cannot be remembered ({exc.strerror}): the same"
                " command would upload them again; set PARTWAY_STATE_DIR to a writable directory"
            )

    def remove(self) -> None:
        """Forget all: nothing is left to do."""
        with suppress(OSError):  # It ages out with the entries of unfinished uploads.
            self._path.unlink(missing_ok=True)


def _identity(file: str) -> str:
    """Return a name for the file as it is now, "" if it has none."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return ""
    return entry_key(os.path.abspath(file), found.st_size, found.st_mtime_ns)
