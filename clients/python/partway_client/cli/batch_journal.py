"""Remembers which of several files are uploaded, until all are.

So a command that was stopped in the third of three files does not upload the first two again. There
is one small JSON file for each, with what its upload returned. Its name identifies the file: a hash
of server, path, size, modification time and the options. A command that ends well removes them.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from partway_client._source.file_source import FileIdentity
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
        self._used: set[Path] = set()

    def find(self, file: str, now: FileIdentity | None) -> Uploaded | None:
        """Return what the upload of this very file returned, if it is remembered.

        `now` is the identity of the file. The figures are those of this run, in which nothing was
        sent. A file that this command deleted after its upload is remembered as well.
        """
        if now is not None:
            path = self._path(file, now)
        elif self._deletes and not os.path.lexists(file):
            path = self._deleted_path(file)
        else:
            return None
        self._used.add(path)
        if not self._resume:
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

    def add(self, file: str, before: FileIdentity | None, uploaded: Uploaded) -> None:
        """Remember that a file is uploaded, as it was before: it may have changed since."""
        if before is not None:
            self._write(self._path(file, before), uploaded)

    def delete_source(self, file: str, before: FileIdentity, uploaded: Uploaded) -> None:
        """Delete a file that is uploaded, and remember it under its name alone. Raises OSError."""
        self._write(self._deleted_path(file), uploaded)
        os.unlink(file)
        self._forget(self._path(file, before))

    def remove(self) -> None:
        """Forget the files of this command."""
        for path in self._used:
            self._forget(path)

    def _write(self, path: Path, uploaded: Uploaded) -> None:
        if not self._writable:
            return
        self._used.add(path)
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

    def _forget(self, path: Path) -> None:
        with suppress(OSError):  # It ages out with the entries of unfinished uploads.
            path.unlink(missing_ok=True)

    def _path(self, file: str, identity: FileIdentity) -> Path:
        """Return where a file is remembered as it is or was at some time."""
        facts = (os.path.abspath(file), identity.size_bytes, identity.mtime_ns, *self._facts)
        # What is to be deleted must be the very file.
        place = (identity.device, identity.inode) if self._deletes else ()
        return self._directory / f"{entry_key('done', *facts, *place)}.done"

    def _deleted_path(self, file: str) -> Path:
        key = entry_key("deleted", os.path.abspath(file), *self._facts)
        return self._directory / f"{key}.done"
