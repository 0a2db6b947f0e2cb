"""Prints results to standard output, as text or JSON."""

import dataclasses
import json
import os
import sys
from datetime import datetime

import click
from rich.filesize import decimal

from partway_client.models import Capabilities, PartInfo, Uploaded, UploadInfo, Usage


def print_line(line: str) -> None:
    """Print one line of the result. Raises ClickException if standard output is not writable."""
    try:
        click.echo(line)
    except BrokenPipeError:
        # The reader closed the pipe; click ends the process silently.
        raise
    except OSError as exc:
        # Flushing the rest of the buffer would fail again when the interpreter exits, and change
        # the exit code: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.ClickException(f"cannot write to standard output: {exc.strerror}") from None


def print_note(line: str) -> None:
    """Print one line for a person to standard error, if it can be written to.

    What a command did counts, not whether someone could read about it.
    """
    try:
        click.echo(printable(line), err=True)
    except OSError:
        # See `print_line`; a closed terminal or a full disk must not change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def printable(text: str) -> str:
    """Return `text` with its control characters escaped: a terminal would obey them.

    So is what is no Unicode: Python decodes such bytes of file names to surrogates.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def transferred(size_bytes: int, seconds: float, sent_bytes: int, via_service_bytes: int) -> str:
    """Return how much is in storage, after how long, how fast it was sent, and by which way."""
    words = f"{decimal(size_bytes)} in {seconds:.1f} s"
    if sent_bytes and seconds:
        words += f", {decimal(int(sent_bytes / seconds))}/s"
    if via_service_bytes:
        words += f"; {decimal(via_service_bytes)} went through the service"
    return words


def summary(upload: UploadInfo) -> str:
    """Return one line about an Upload, without its id."""
    because = f" ({upload.abort_reason})" if upload.abort_reason else ""
    created = f"{upload.create_time:%Y-%m-%d %H:%M:%S}"
    size, uri = decimal(upload.size_bytes), printable(upload.uri)
    return f"{upload.state.value}{because}  {created}  {size}  {uri}"


def print_json(value: UploadInfo | PartInfo | Uploaded | Usage | Capabilities, **more: str) -> None:
    """Print all fields of `value`, and `more`, as one JSON object on one line."""
    print_line(json.dumps({**more, **dataclasses.asdict(value)}, default=_plain))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form")
