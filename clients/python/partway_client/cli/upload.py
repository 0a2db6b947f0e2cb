"""`partway upload`, file by file."""

import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

import click
from rich.filesize import decimal

from partway_client.cli.output import say, say_json
from partway_client.cli.progress_bar import showing
from partway_client.client import UploadClient
from partway_client.errors import FileUnreadable, PartwayError, ServiceError
from partway_client.models import Uploaded

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Job:
    """How to upload each file, and how to say what came of it. `wish` is for `upload_file`."""

    as_json: bool
    wish: dict[str, Any]

    async def upload(self, client: UploadClient, file: str) -> bool:
        """Whether the file is in storage now; says so, or why not."""
        shown = (self.wish["name"] or "stdin") if file == STDIN else file
        wish = dict(self.wish, name=shown) if file == STDIN else self.wish
        try:
            source = _stdin() if file == STDIN else file
            with contextlib.ExitStack() as shows:
                show = shows.enter_context(showing(os.path.basename(shown)))

                def tell(uploaded: Uploaded) -> None:
                    shows.close()
                    self._say(shown, uploaded)

                # Said before it is forgotten: a run that is killed in between is told it again.
                await client.upload_file(source, on_progress=show, on_done=tell, **wish)
        except PartwayError as error:
            self._say_failure(shown, error)
            return False
        return True

    def _say(self, shown: str, uploaded: Uploaded) -> None:
        rate = uploaded.bytes_sent / uploaded.seconds if uploaded.seconds else 0
        words = f"{decimal(uploaded.size_bytes)} in {uploaded.seconds:.1f} s"
        if uploaded.parts_sent:
            words += f", {decimal(int(rate))}/s"
        if uploaded.parts_resumed:
            words += f"; {uploaded.parts_resumed} of {uploaded.parts} parts were there already"
        if uploaded.bytes_via_service:
            words += f"; {decimal(uploaded.bytes_via_service)} went through the service"
        click.echo(f"{os.path.basename(shown)}: {words}", err=True)
        if self.as_json:
            say_json(uploaded, file=shown)
        else:
            say(uploaded.uri)

    def _say_failure(self, shown: str, error: PartwayError) -> None:
        click.echo(f"partway: {os.path.basename(shown)}: {error}", err=True)
        if self.as_json:
            reason = error.reason if isinstance(error, ServiceError) else ""
            told = {"error": type(error).__name__, "reason": reason, "message": str(error)}
            say(json.dumps({"file": shown, **told}))


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        # Its descriptor may be that of something else by now.
        raise FileUnreadable("cannot read standard input: it is closed")
    try:
        # Some programs leave their end of a pipe in non-blocking mode, which is ours too.
        os.set_blocking(0, True)
        # Unbuffered: a thread that waits in a buffered read would hold up Ctrl-C.
        return io.FileIO(0, closefd=False)
    except OSError as exc:
        raise FileUnreadable(f"cannot read standard input: {exc.strerror}") from None
