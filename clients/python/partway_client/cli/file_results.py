"""What follows the upload of each file: its result, its entry in the manifest, its deletion."""

import json
import os
from dataclasses import dataclass

from partway_client._source.file_source import FileIdentity
from partway_client.cli.batch_journal import BatchJournal
from partway_client.cli.manifest import Manifest
from partway_client.cli.output import (
    print_detail,
    print_error,
    print_json,
    print_line,
    print_note,
    printable,
)
from partway_client.cli.source_removal import reason_to_keep
from partway_client.cli.summary import Summary
from partway_client.cli.token_option import STDIN
from partway_client.errors import PartwayError, ServiceError
from partway_client.models import Uploaded


@dataclass(frozen=True, slots=True)
class FileResults:
    """Prints the outcome of each file, and counts it in `summary`.

    A stream is called `stdin_name`. Without a `journal`, deleted files are not remembered.
    """

    as_json: bool
    stdin_name: str
    summary: Summary
    manifest: Manifest | None
    delete_after: bool
    journal: BatchJournal | None

    def shown(self, file: str) -> str:
        """Return the path of a file, or the name of a stream."""
        return self.stdin_name if file == STDIN else file

    def record(self, file: str, before: FileIdentity | None, uploaded: Uploaded) -> None:
        """Add a file that is uploaded to the manifest, with its identity from before."""
        if self.manifest is not None and before is not None and uploaded.completed:
            self.manifest.add(file, before.size_bytes, before.mtime_ns, uploaded)

    def report(self, file: str, uploaded: Uploaded) -> None:
        """Print the result of a file."""
        shown = self.shown(file)
        if self.as_json:
            print_json(uploaded, file=unicode_of(shown))
        elif uploaded.completed:
            print_line(printable(uploaded.uri))
        if uploaded.completed:
            print_detail(f"partway: {os.path.basename(shown)}: stored as {uploaded.uri}")

    def skip(self, file: str, uri: str) -> None:
        """Say that a file stands in the manifest."""
        print_note(f"partway: {os.path.basename(file)}: skipped, since the manifest has it")
        if self.as_json:
            print_line(json.dumps({"file": unicode_of(file), "skipped": True, "uri": uri}))

    def fail(self, file: str, error: PartwayError) -> None:
        """Print why a file is not uploaded."""
        shown = self.shown(file)
        print_error(f"partway: {os.path.basename(shown)}: {error}")
        if self.as_json:
            reason = error.reason if isinstance(error, ServiceError) else ""
            facts = {"error": type(error).__name__, "reason": reason, "message": str(error)}
            print_line(json.dumps({"file": unicode_of(shown), **facts}))

    def delete(self, file: str, before: FileIdentity | None, uploaded: Uploaded) -> None:
        """Delete a file whose result is printed, if that is wanted and safe."""
        if not self.delete_after or before is None:
            return
        reason = reason_to_keep(file, before, uploaded)
        if not reason:
            try:
                if self.journal is None:
                    os.unlink(file)
                else:
                    self.journal.delete_source(file, before, uploaded)
            except OSError as exc:
                reason = exc.strerror or type(exc).__name__
        if reason:
            self.summary.kept += 1
            print_error(f"partway: {os.path.basename(file)}: uploaded, but not deleted: {reason}")
        else:
            self.summary.deleted += 1
            print_detail(f"partway: {os.path.basename(file)}: deleted here")


def unicode_of(name: str) -> str:
    """Return a file name in Unicode, with a replacement character for what is none."""
    return os.fsencode(name).decode("utf-8", "replace")
