"""Reads the upload token that a command is to call with."""

import sys
from pathlib import Path

import click

STDIN = "-"


def read_token(token: str | None, file: Path | None, *, stdin_taken: bool = False) -> str:
    """Return the token: `token` itself, standard input if it is "-", or what `file` holds."""
    if token and file:
        raise click.UsageError("--token and --token-file exclude each other")
    if file is not None:
        # With a limit: the file may be the wrong one.
        with file.open("r", encoding="utf-8", errors="replace") as opened:
            return _only(opened.read(_MOST_CHARS))
    if token != STDIN:
        return token or ""
    if stdin_taken:
        raise click.UsageError("standard input can be the token or the file, not both")
    return _only(sys.stdin.read(_MOST_CHARS))


_MOST_CHARS = 4096


def _only(text: str) -> str:
    if token := text.strip():
        return token
    raise click.UsageError("there is no upload token in what --token or --token-file names")
