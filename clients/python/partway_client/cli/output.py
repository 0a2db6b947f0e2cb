"""What the command line says of an upload: in words, and as JSON."""

import dataclasses
import json
import os
import sys
from datetime import datetime

import click
from rich.filesize import decimal

from partway_client.models import PartInfo, Uploaded, UploadInfo


def say(line: str) -> None:
    """Print a line of what was asked for."""
    try:
        click.echo(line)
    except BrokenPipeError:
        # Whoever reads has enough, and click ends the process without a word.
        raise
    except OSError as exc:
        # What waits in the buffer would fail once more when the interpreter ends, and change the
        # exit code: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.ClickException(f"cannot write to standard output: {exc.strerror}") from None


def in_line(upload: UploadInfo) -> str:
    """An Upload without its id, in one line."""
    because = f" ({upload.abort_reason})" if upload.abort_reason else ""
    created = f"{upload.create_time:%Y-%m-%d %H:%M:%S}"
    return f"{upload.state.value}{because}  {created}  {decimal(upload.size_bytes)}  {upload.uri}"


def say_json(value: UploadInfo | PartInfo | Uploaded, **more: str) -> None:
    """Print all that is known, with `more`, as one JSON object on one line."""
    say(json.dumps({**more, **dataclasses.asdict(value)}, default=_plain))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form")
