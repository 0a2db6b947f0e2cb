"""Finds the token that a command is to call with, or where it comes from."""

import contextlib
import os
import shlex
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

STDIN = "-"

_MOST_CHARS = 16 * 1024
_COMMAND_SECONDS = 60.0

CliToken = str | Path | Callable[[], Awaitable[str]]
"""A token, a file that is read again when it changes, or a function that runs a command."""


def token_from(
    token: str | None, file: Path | None, command: str | None, *, stdin_taken: bool = False
) -> CliToken:
    """Return what the options name; "" if they name nothing. Raises UsageError."""
    if sum(map(bool, (token, file, command))) > 1:
        raise click.UsageError("--token, --token-file and --token-command exclude each other")
    if command:
        return _running(command)
    if file is not None:
        # With a limit: the file may be the wrong one.
        with file.open("r", encoding="utf-8", errors="replace") as opened:
            _only(opened.read(_MOST_CHARS))
        return file
    if token != STDIN:
        return token or ""
    if stdin_taken:
        raise click.UsageError("standard input can be the token or the file, not both")
    return _only(sys.stdin.read(_MOST_CHARS))


def _running(command: str) -> Callable[[], Awaitable[str]]:
    """Return a function that runs `command`, without a shell, and returns what it prints."""
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise click.UsageError(f"--token-command: {error}") from None
    if not arguments:
        raise click.UsageError("--token-command names no command")

    async def run() -> str:
        # Imported late: asyncio is slow to import, and help should be quick.
        import asyncio

        from partway_client.errors import TokenUnavailable

        name = os.path.basename(arguments[0])
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
            )
        except OSError as error:
            words = error.strerror or type(error).__name__
            raise TokenUnavailable(f"the token command {name} cannot be run: {words}") from None
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                printed, _ = await process.communicate()
        except TimeoutError:
            raise TokenUnavailable(
                f"the token command {name} did not end within {_COMMAND_SECONDS:.0f} s"
            ) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if process.returncode:
            raise TokenUnavailable(f"the token command {name} ended with {process.returncode}")
        return printed[:_MOST_CHARS].decode("utf-8", "replace")

    return run


def _only(text: str) -> str:
    if token := text.strip():
        return token
    raise click.UsageError("there is no token in what --token or --token-file names")
