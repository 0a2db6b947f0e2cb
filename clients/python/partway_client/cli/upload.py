"""The `partway upload` command, file by file."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from rich.filesize import decimal

from partway_client.cli.output import print_json, print_line, print_note, printable
from partway_client.cli.progress_bar import showing
from partway_client.client import UploadClient
from partway_client.errors import FileUnreadable, PartwayError, ServiceError
from partway_client.models import Uploaded

STDIN = "-"


@dataclass(frozen=True, slots=True)
class UploadCommand:
    """Uploads each file with the same `arguments` of `upload_file`, and prints the result."""

    as_json: bool
    arguments: dict[str, Any]

    async def upload_all(self, client: UploadClient, files: Sequence[str]) -> bool:
        """Upload the files one after the other. Return whether all succeeded."""
        # Not concurrently: each already uses as many connections as it may.
        return all([await self.upload(client, file) for file in files])

    async def upload(self, client: UploadClient, file: str) -> bool:
        """Upload a file and print the result or the error. Return whether it succeeded."""
        shown = (self.arguments["name"] or "stdin") if file == STDIN else file
        arguments = dict(self.arguments, name=shown) if file == STDIN else self.arguments
        try:
            source = _stdin() if file == STDIN else file
            with contextlib.ExitStack() as shows:
                show = shows.enter_context(showing(os.path.basename(shown)))

                def on_done(uploaded: Uploaded) -> None:
                    shows.close()
                    self._print_result(shown, uploaded)

                # Printed before the journal entry is removed: if the run is killed in between, the
                # next one prints it again.
                await client.upload_file(source, on_progress=show, on_done=on_done, **arguments)
        except PartwayError as error:
            self._print_error(shown, error)
            return False
        return True

    def _print_result(self, shown: str, uploaded: Uploaded) -> None:
        rate = uploaded.bytes_sent / uploaded.seconds if uploaded.seconds else 0
        words = f"{decimal(uploaded.size_bytes)} in {uploaded.seconds:.1f} s"
        if uploaded.parts_sent:
            words += f", {decimal(int(rate))}/s"
        if uploaded.parts_resumed:
            words += f"; {uploaded.parts_resumed} of {uploaded.parts} parts were already in storage"
        if uploaded.bytes_via_service:
            words += f"; {decimal(uploaded.bytes_via_service)} went through the service"
        if not uploaded.completed:
            words += "; all parts are sent, and the token does not allow completing the upload"
        # First what scripts read.
        if self.as_json:
            print_json(uploaded, file=_unicode(shown))
        elif uploaded.completed:
            print_line(printable(uploaded.uri))
        print_note(f"{os.path.basename(shown)}: {words}")

    def _print_error(self, shown: str, error: PartwayError) -> None:
        print_note(f"partway: {os.path.basename(shown)}: {error}")
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
