"""Selects the files of `partway upload`: those that are named, listed in a file, or in a folder."""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
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
    Files that the command itself writes are `not_from_folders`.
    """

    recursive: bool
    include: Sequence[str]
    exclude: Sequence[str]
    not_from_folders: Collection[Path] = ()

    def select(self, named: Sequence[str]) -> dict[str, str]:
        """Return each file once, even if links name it too; those of a folder sorted.

        With each file comes its relative path: within the folder that was named, or as it was
        named itself, unless that leads out of the working directory: then its name alone.
        A link to a file is that file; a folder that is a link is not entered, unless it is named.
        What is neither a file nor a folder, such as a socket, is not taken from a folder. Raises
        CommandFailed if a folder cannot be read, or if nothing is selected.
        """
        found: dict[str, tuple[str, str]] = {}
        for file, relative in self._files(named):
            found.setdefault(file if file == STDIN else os.path.realpath(file), (file, relative))
        if not found:
            raise CommandFailed("no file is selected")
        return dict(found.values())

    def _files(self, named: Sequence[str]) -> Iterator[tuple[str, str]]:
        for name in named:
            if name == STDIN or not os.path.isdir(name):
                yield name, _relative(name)
            elif self.recursive:
                yield from self._files_in(name)
            else:
                raise click.UsageError(f"{name} is a folder; --recursive uploads the files in it")

    def _files_in(self, folder: str) -> Iterator[tuple[str, str]]:
        own = set(map(os.path.realpath, self.not_from_folders))
        for parent, folders, names in os.walk(folder, onerror=_refuse):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(parent, name)
                relative = os.path.relpath(path, folder)
                wanted = self._matches(relative) and os.path.isfile(path)
                if wanted and os.path.realpath(path) not in own:
                    yield path, relative

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


def _relative(path: str) -> str:
    inside = os.path.normpath(path)
    leads_out = os.path.isabs(inside) or inside.split(os.sep)[0] == os.pardir
    return os.path.basename(inside) if leads_out else inside


def _refuse(error: OSError) -> None:
    raise CommandFailed(f"cannot read {error.filename}: {error.strerror}")
