"""Remembers which of several files are uploaded, until all are.

So a command that was stopped in the third of three files does not upload the first two again. There
is one small JSON file for each, with what its upload returned. Its name identifies the file: a hash
of server, path, size, modification time and the options. A command that ends well removes them.
"""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from partway_client._upload.resume_journal import (
    CALLER_KEYS,
    entry_key,
    journal_directory,
    write_atomically,
)
from partway_client.cli.options import ServiceOptions
from partway_client.cli.output import print_note
from partway_client.models import Uploaded

_SAME = ("policy", "content_type", "metadata", "part_size", "checksum")
"""The options that make another object of the same file."""


class BatchJournal:
    """The files that were uploaded to this service with these options."""

    def __init__(
        self,
        service: ServiceOptions,
        options: Mapping[str, Any],
        *,
        name_template: str | None,
        deletes: bool,
    ) -> None:
        self._directory = journal_directory(None)
        self._resume = bool(options["resume"])
        self._deletes = deletes
        caller = [service.call_metadata.get(key, "") for key in CALLER_KEYS]
        # Without a template the facts, and so the file's name, are those of earlier versions.
        template = [name_template] if name_template else []
        self._facts = (service.server, caller, [options[name] for name in _SAME], *template)
        self._writable = True

    def find(self, file: str) -> Uploaded | None:
        """Return what the upload of this very file returned, if it is remembered.

        Its figures are those of this run, in which nothing was sent. A file that this command
        deleted after its upload is remembered as well.
        """
        path = self._path(file)
        if path is None and self._deletes and not os.path.lexists(file):
            path = self._deleted_path(file)
        if path is None or not self._resume:
            return None
        try:
            kept = Uploaded(**json.loads(path.read_text("ascii")))
        except (OSError, ValueError, TypeError):
            # Mostly it does not exist. One that cannot be read costs an upload.
            return None
        return dataclasses.replace(
            kept,
            parts_sent=0,
            parts_resumed=kept.parts,
            parts_retried=0,
            rpcs=0,
            seconds=0.0,
            bytes_sent=0,
            bytes_via_service=0,
        )

    def add(self, file: str, uploaded: Uploaded) -> None:
        """Remember that a file is uploaded."""
        self._write(self._path(file), uploaded)

    def delete_source(self, file: str, uploaded: Uploaded) -> None:
        """Delete a file that is uploaded, and remember it under its name alone. Raises OSError."""
        done = self._path(file)
        self._write(self._deleted_path(file), uploaded)
        os.unlink(file)
        if done is not None:
            with suppress(OSError):  # It ages out with the entries of unfinished uploads.
                done.unlink(missing_ok=True)

    def _write(self, path: Path | None, uploaded: Uploaded) -> None:
        if path is None or not self._writable:
            return
        kept = dataclasses.asdict(uploaded)
        # A figure of this run, which the version before could not read.
        del kept["bytes_resent"]
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, json.dumps(kept))
        except OSError as exc:
            self._writable = False
            print_note(
                f"partway: files that are done cannot be remembered ({exc.strerror}): the same"
                " command would upload them again; set PARTWAY_STATE_DIR to a writable directory"
            )

    def remove(self, files: Iterable[str]) -> None:
        """Forget these files."""
        for file in files:
            for path in (self._path(file), self._deleted_path(file) if self._deletes else None):
                if path is not None:
                    with suppress(OSError):  # It ages out with the entries of unfinished uploads.
                        path.unlink(missing_ok=True)

    def _path(self, file: str) -> Path | None:
        """Return where the file, as it is now, is remembered; None if it is none."""
        try:
            found = os.stat(file)
        except (OSError, ValueError):
            return None
        facts = (os.path.abspath(file), found.st_size, found.st_mtime_ns, *self._facts)
        # What is to be deleted must be the very file.
        place = (found.st_dev, found.st_ino) if self._deletes else ()
        return self._directory / f"{entry_key('done', *facts, *place)}.done"

    def _deleted_path(self, file: str) -> Path:
        key = entry_key("deleted", os.path.abspath(file), *self._facts)
        return self._directory / f"{key}.done"
