"""Finds the line of each table and key in a TOML file: `tomllib` keeps no positions.

It reads only what `tomllib` has accepted, and so knows just as much of TOML
(https://toml.io/en/v1.0.0) as it needs to find the ends of keys and values. What is inside a value,
such as the keys of an inline table, has the line of the key before it.
"""

import re
import tomllib
from collections.abc import Mapping

Path = tuple[str, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_HEADER = re.compile(r"\[{1,2}")
_KEY = re.compile(r"""[ \t]*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*""")
_OF_VALUE = re.compile(
    # Up to two more quotes may come right before those that end a multi-line string.
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'"
    r"|\#[^\n]*"
    r"|.",
    re.DOTALL,
)


def lines_of(text: str) -> Mapping[Path, int]:
    """Return the line, from 1, where each table and key is first named, by its full name."""
    found: dict[Path, int] = {}
    table: Path = ()
    at = _after(_BLANK, text, 0)
    line, counted = 1, 0
    while at < len(text):
        line += text.count("\n", counted, at)
        counted = at
        header = _HEADER.match(text, at)
        path, after = _path(text, header.end() if header else at)
        full = path if header else (*table, *path)
        for depth in range(1, len(full) + 1):
            found.setdefault(full[:depth], line)
        if header:
            table = full
            after += len(header[0])
        else:
            after = _end_of_value(text, after + len("="))
        at = _after(_BLANK, text, after)
    return found


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """Return the line of a name, or else of the nearest table around it; 1 if neither is known."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _path(text: str, at: int) -> tuple[Path, int]:
    """Return a key, split at its dots, and where it ends."""
    names: list[str] = []
    while key := _KEY.match(text, at):
        name = key[0].strip()
        names.append(tomllib.loads(f"name = {name}")["name"] if name[0] in "\"'" else name)
        at = key.end()
        if text[at] != ".":
            break
        at += 1
    return tuple(names), at


def _end_of_value(text: str, at: int) -> int:
    """Return the end of the line on which the value ends; a newline in brackets does not count."""
    depth = 0
    while (piece := _OF_VALUE.match(text, at)) and (depth or piece[0] != "\n"):
        depth += (piece[0] in "[{") - (piece[0] in "]}")
        at = piece.end()
    return at


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
