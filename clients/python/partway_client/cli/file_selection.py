"""Selects the files of `partway upload`: those that are named, listed in a file, or in a folder."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import click

from partway_client.cli.output import CommandFailed
from partway_client.cli.token_option import STDIN


@dataclass(frozen=True, slots=True)
class FileSelection:
    """What to take. The patterns select among the files of folders; what is named is taken.

    A pattern with a slash is compared with the path within the folder, any other with the name;
    `*` matches slashes as well. A file must match an `include`, if there is one, and no `exclude`.
    """

    recursive: bool
    include: Sequence[str]
    exclude: Sequence[str]

    def select(self, named: Sequence[str]) -> list[str]:
        """Return each file once, even if links name it too; those of a folder sorted.

        A link to a file is that file; a folder that is a link is not entered, unless it is named.
        What is neither a file nor a folder, such as a socket, is not taken from a folder. Raises
        CommandFailed if a folder cannot be read, or if nothing is selected.
        """
        found: dict[str, str] = {}
        for file in self._files(named):
            found.setdefault(file if file == STDIN else os.path.realpath(file), file)
        if not found:
            raise CommandFailed("no file is selected")
        return list(found.values())

    def _files(self, named: Sequence[str]) -> Iterator[str]:
        for name in named:
            if name == STDIN or not os.path.isdir(name):
                yield name
            elif self.recursive:
                yield from self._files_in(name)
            else:
                raise click.UsageError(f"{name} is a folder; --recursive uploads the files in it")

    def _files_in(self, folder: str) -> Iterator[str]:
        for parent, folders, names in os.walk(folder, onerror=_refuse):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(parent, name)
                if self._matches(os.path.relpath(path, folder)) and os.path.isfile(path):
                    yield path

    def _matches(self, path: str) -> bool:
        slashed, name = Path(path).as_posix(), os.path.basename(path)

        def matches(pattern: str) -> bool:
            return fnmatchcase(slashed if "/" in pattern else name, pattern)

        return (not self.include or any(map(matches, self.include))) and not any(
            map(matches, self.exclude)
        )


def listed_in(path: str) -> list[str]:
    """Return the files that a file names, or standard input if it is `-`.

    One on each line; or, if there is a NUL, one before each, as `find -print0` prints them. Raises
    CommandFailed if it cannot be read.
    """
    try:
        text = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
    except OSError as exc:
        raise CommandFailed(f"cannot read {path}: {exc.strerror}") from None
    lines = text.split(b"\0") if b"\0" in text else text.splitlines()
    return [os.fsdecode(line) for line in lines if line]


def _refuse(error: OSError) -> None:
    raise CommandFailed(f"cannot read {error.filename}: {error.strerror}")
