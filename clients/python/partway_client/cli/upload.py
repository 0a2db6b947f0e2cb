"""The `partway upload` command: one file with a display of its own, several files together."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from rich.filesize import decimal

from partway_client._progress_meter import OnProgress
from partway_client.cli.batch_journal import BatchJournal
from partway_client.cli.output import (
    about_file,
    print_detail,
    print_error,
    print_json,
    print_line,
    print_note,
    printable,
    transferred,
)
from partway_client.cli.progress_bar import showing
from partway_client.cli.token_option import STDIN
from partway_client.cli.upload_many import UploadMany, size_of
from partway_client.client import OnDone, UploadClient
from partway_client.errors import FileUnreadable, PartwayError, ServiceError
from partway_client.models import Uploaded


@dataclass(frozen=True, slots=True)
class UploadCommand:
    """Uploads each file with the same `arguments` of `upload_file`, and prints the result."""

    as_json: bool
    arguments: dict[str, Any]
    journal: BatchJournal

    async def upload_all(self, client: UploadClient, files: Sequence[str]) -> bool:
        """Upload the files. Return whether all succeeded."""
        different = list(dict.fromkeys(files))
        if len(different) > 1:
            return await self._many(client).run(different)
        return await self._upload_alone(client, different[0])

    def print_selected(self, files: Sequence[str]) -> None:
        """Print the files that `upload_all` would upload."""
        left = [file for file in files if file == STDIN or self.journal.find(file) is None]
        for file in left:
            shown = self._shown(file)
            if self.as_json:
                print_line(json.dumps({"file": _unicode(shown), "size_bytes": size_of(file)}))
            else:
                print_line(printable(shown))
        words = "1 file" if len(left) == 1 else f"{len(left)} files"
        words += f", {decimal(sum(map(size_of, left)))}, would be uploaded"
        if known := len(files) - len(left):
            words += f"; {known} uploaded by an earlier run"
        print_note(f"partway: {words}")

    def _many(self, client: UploadClient) -> UploadMany:
        return UploadMany(
            upload=partial(self._upload, client),
            print_result=self._print_result,
            print_error=self._print_error,
            journal=self.journal,
            concurrency=self.arguments["concurrency"],
            part_bytes=self.arguments["part_size"],
        )

    async def _upload_alone(self, client: UploadClient, file: str) -> bool:
        try:
            with contextlib.ExitStack() as shows:
                show = shows.enter_context(showing(os.path.basename(self._shown(file))))

                def on_done(uploaded: Uploaded) -> None:
                    # Printed before the journal entry is removed: if the run is killed in between,
                    # the next one prints it again.
                    shows.close()
                    self._print_result(file, uploaded)
                    self._print_figures(file, uploaded)

                await self._upload(client, file, show, on_done)
        except PartwayError as error:
            self._print_error(file, error)
            return False
        return True

    async def _upload(
        self, client: UploadClient, file: str, show: OnProgress, on_done: OnDone
    ) -> None:
        """Upload a file. Raises PartwayError."""
        arguments = dict(self.arguments)
        if file == STDIN:
            arguments["name"] = self._shown(file)
        source = _stdin() if file == STDIN else file
        with about_file(os.path.basename(self._shown(file))):
            await client.upload_file(source, on_progress=show, on_done=on_done, **arguments)

    def _shown(self, file: str) -> str:
        return (self.arguments["name"] or "stdin") if file == STDIN else file

    def _print_result(self, file: str, uploaded: Uploaded) -> None:
        shown = os.path.basename(self._shown(file))
        print_detail(f"partway: {shown}: stored as {uploaded.uri}")
        if self.as_json:
            print_json(uploaded, file=_unicode(self._shown(file)))
        elif uploaded.completed:
            print_line(printable(uploaded.uri))

    def _print_figures(self, file: str, uploaded: Uploaded) -> None:
        sent, via_service = uploaded.bytes_sent, uploaded.bytes_via_service
        words = transferred(uploaded.size_bytes, uploaded.seconds, sent, via_service)
        if uploaded.parts_resumed:
            words += f"; {uploaded.parts_resumed} of {uploaded.parts} parts were already in storage"
        if not uploaded.completed:
            words += "; all parts are sent, and the token does not allow completing the upload"
        print_note(f"{os.path.basename(self._shown(file))}: {words}")

    def _print_error(self, file: str, error: PartwayError) -> None:
        shown = self._shown(file)
        print_error(f"partway: {os.path.basename(shown)}: {error}")
        if self.as_json:
            reason = error.reason if isinstance(error, ServiceError) else ""
            facts = {"error": type(error).__name__, "reason": reason, "message": str(error)}
            print_line(json.dumps({"file": _unicode(shown), **facts}))


def stopped_message(files: Sequence[str]) -> str:
    """Return what to print if Ctrl-C stops the upload of `files`."""
    if STDIN in files:
        return "a stream cannot be resumed"
    return "the same command resumes the upload"


def _unicode(name: str) -> str:
    """Return a file name in Unicode, with a replacement character for what is none."""
    return os.fsencode(name).decode("utf-8", "replace")


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        # Its descriptor may have been reused by now.
        raise FileUnreadable("cannot read standard input: it is closed")
    try:
        # Some programs set their end of a pipe to non-blocking mode, which affects ours too.
        os.set_blocking(0, True)
        # Unbuffered: a thread blocked in a buffered read would delay Ctrl-C.
        return io.FileIO(0, closefd=False)
    except OSError as exc:
        raise FileUnreadable(f"cannot read standard input: {exc.strerror}") from None
