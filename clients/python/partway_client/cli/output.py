"""Prints everything: results to standard output, messages to standard error and a log file.

A message has a level of `logging`: errors; notes (INFO), such as a summary; and details (DEBUG),
such as each retry. Those of the library are its warnings, and its details below that.
"""

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from partway_client.cli.log_file import LogFile
from partway_client.models import Capabilities, PartInfo, Uploaded, UploadInfo, Usage

_PREFIX = "partway: "
_SHORT_CHARS = 8
_LIBRARY = logging.getLogger("partway_client")

_file: ContextVar[str] = ContextVar("file", default="")
"""The file that messages of the library are about."""


class CommandFailed(click.ClickException):
    """A failure of the command itself, which ends it with exit code 1."""

    def show(self, file: Any = None) -> None:
        """Print what is wrong."""
        print_error(f"Error: {self.format_message()}")


@dataclasses.dataclass
class _Messages:
    """Which messages go to standard error, and the file that gets all of them."""

    least: int = logging.INFO
    log: LogFile | None = None


_messages = _Messages()


def direct_messages(
    *, quiet: bool = False, verbose: bool = False, log_file: Path | None = None
) -> None:
    """Print only errors, or details too, and append all messages to `log_file`.

    Raises UsageError if that cannot be opened.
    """
    if _messages.log is not None:
        _messages.log.close()
        _messages.log = None
    _messages.least = logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO
    if not any(isinstance(handler, _LibraryHandler) for handler in _LIBRARY.handlers):
        _LIBRARY.addHandler(_LibraryHandler())
    detailed = verbose or log_file is not None
    _LIBRARY.setLevel(logging.DEBUG if detailed else logging.NOTSET)
    if log_file is not None:
        try:
            _messages.log = LogFile.open(log_file)
        except OSError as exc:
            raise click.UsageError(
                f"cannot write to --log-file {log_file}: {exc.strerror}"
            ) from None


def is_quiet() -> bool:
    """Return whether only results and errors are printed."""
    return _messages.least >= logging.ERROR


@contextmanager
def about_file(name: str) -> Iterator[None]:
    """Name this file in what the library says meanwhile."""
    token = _file.set(name)
    try:
        yield
    finally:
        _file.reset(token)


def print_line(line: str) -> None:
    """Print one line of the result. Raises CommandFailed if standard output is not writable."""
    try:
        click.echo(line)
    except BrokenPipeError:
        # The reader closed the pipe; click ends the process silently.
        raise
    except OSError as exc:
        # Flushing the rest of the buffer would fail again when the interpreter exits, and change
        # the exit code: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CommandFailed(f"cannot write to standard output: {exc.strerror}") from None


def print_error(line: str) -> None:
    """Print one line about a failure, if standard error can be written to."""
    _print_message(logging.ERROR, line)


def print_note(line: str) -> None:
    """Print one line for a person, unless only errors are wanted."""
    _print_message(logging.INFO, line)


def print_detail(line: str) -> None:
    """Print one line for a person who wants details."""
    _print_message(logging.DEBUG, line)


def _print_message(level: int, line: str) -> None:
    text = printable(line)
    if _messages.log is not None:
        try:
            _messages.log.write(level, text.removeprefix(_PREFIX))
        except OSError as exc:
            broken, _messages.log = _messages.log, None
            print_error(f"{_PREFIX}cannot write to {broken.path} any more: {exc.strerror}")
    if level < _messages.least:
        return
    try:
        click.echo(text, err=True)
    except OSError:
        # What a command did counts, not whether someone could read about it: see `print_line`; a
        # closed terminal or a full disk must not change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class _LibraryHandler(logging.Handler):
    """Prints what the library logs, which contains no URL and no upload_id."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelno if record.levelno >= logging.WARNING else logging.DEBUG
        about = f"{name}: " if (name := _file.get()) else ""
        for line in self.format(record).splitlines():
            _print_message(level, f"{_PREFIX}{about}{line}")


def printable(text: str) -> str:
    """Return `text` with its control characters escaped: a terminal would obey them.

    So is what is no Unicode: Python decodes such bytes of file names to surrogates.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def summary(upload: UploadInfo) -> str:
    """Return one line about an Upload, without its id."""
    because = f" ({upload.abort_reason})" if upload.abort_reason else ""
    size, uri = decimal(upload.size_bytes), printable(upload.uri)
    return f"{upload.state.value}{because}  {shown_time(upload.create_time)}  {size}  {uri}"


def short_ids(uploads: Sequence[UploadInfo]) -> list[str]:
    """Return the beginning of each sid, long enough to differ from the others; "-" for none."""
    ordered = sorted({upload.sid for upload in uploads})
    common = (len(os.path.commonprefix(pair)) for pair in pairwise(ordered))
    length = max(_SHORT_CHARS, 1 + max(common, default=0))
    return [upload.sid[:length] or "-" for upload in uploads]


def shown_time(moment: datetime) -> str:
    """Return a time for a person, with its zone."""
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def print_json(value: UploadInfo | PartInfo | Uploaded | Usage | Capabilities, **more: str) -> None:
    """Print all fields of `value`, and `more`, as one JSON object on one line."""
    if isinstance(value, UploadInfo):
        more["sid"] = value.sid
    print_line(json.dumps({**more, **dataclasses.asdict(value)}, default=_plain))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form")
