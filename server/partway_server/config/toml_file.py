"""TOML files that an operator writes: read whole, each problem with its line.

A file has tables `[KIND.NAME]`, such as `[policy.videos]`.
"""

import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from partway_server.config.schema import Table, validated
from partway_server.config.toml_positions import Path, line_of, lines_of
from partway_server.domain.rule_error import RuleError

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SYNTAX_LINE = re.compile(r" \(at line (\d+), column \d+\)$")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong with a file: `what` names it, such as `policy.videos.bucket`.

    `line` is from 1; 0 for a problem of the file as a whole.
    """

    line: int
    what: str
    words: str


class TomlFileError(ValueError):
    """A file cannot be used. `problems` are in the order of their lines."""

    def __init__(self, file: str, problems: Collection[FileProblem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda p: p.line))
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """Return each problem as a line: FILE:LINE: what: words."""
        return [
            ": ".join(filter(None, (f"{self.file}:{p.line}".removesuffix(":0"), p.what, p.words)))
            for p in self.problems
        ]


class TomlFile:
    """The tables of a file, and the problems found in them so far.

    Raises `error` if `content` is not TOML.
    """

    def __init__(self, file: str, content: bytes, error: type[TomlFileError]) -> None:
        self._file = file
        self._error = error
        self.problems: list[FileProblem] = []
        self._tables = self._parsed(content)
        self.raise_problems()

    def _parsed(self, content: bytes) -> Mapping[str, Any]:
        try:
            # Some editors begin a file with a byte order mark.
            text = content.decode("utf-8-sig")
            tables = tomllib.loads(text)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self.problems.append(FileProblem(line, "", "is not UTF-8; save it as UTF-8"))
        except tomllib.TOMLDecodeError as error:
            self.problems.append(_syntax(str(error), content))
        except (ValueError, RecursionError):
            # Python's own limits: on the digits of a number and on nesting.
            words = "has a number that is too long, or brackets that are too deep"
            self.problems.append(FileProblem(0, "", words))
        else:
            self._lines = lines_of(text)
            return tables
        return {}

    def named(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the name and the rules of each table of a kind."""
        tables = self._tables.get(kind, {})
        if not isinstance(tables, dict):
            self.add((kind,), f"is not a table of tables; begin one with [{kind}.NAME]")
            return
        for name, rules in tables.items():
            if isinstance(rules, dict):
                yield name, rules
            else:
                self.add((kind, name), f"is not a table; begin one with [{kind}.NAME]")

    def refuse_others(self, *kinds: str) -> None:
        """Add a problem for all that is not below one of `kinds`."""
        for name, value in self._tables.items():
            if name not in kinds:
                words = f"is outside any table; move it below a [{kinds[0]}.NAME]"
                if isinstance(value, dict):
                    words = f"unknown table; for a {kinds[0]} name it [{kinds[0]}.{name}]"
                self.add((name,), words)

    def values(
        self, path: Path, rules: Mapping[str, Any], model: type[Table]
    ) -> tuple[dict[str, Any], set[str]]:
        """Return the valid rules of the table at `path`, and the names of the others."""
        found, faults = validated(model, rules)
        for fault in faults:
            self.add((*path, *fault.path), fault.words)
        return found, {fault.path[0] for fault in faults}

    def built(self, path: Path, build: Callable[[], T], bad: Collection[str]) -> T | None:
        """Return what `build` makes of the rules at `path`, or add the problems of its RuleError.

        `bad` are rules that a problem was added for already.
        """
        try:
            return build()
        except RuleError as error:
            for rule, words in error.problems:
                if rule not in bad:
                    self.add(path if rule == "name" else (*path, rule), words)
            return None

    def add(self, path: Path, words: str) -> None:
        """Add a problem of the key or table at `path`; () is the file."""
        # A quoted name may hold anything: print it on one line, and harmless to a terminal.
        what = ".".join(
            name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=not name.isprintable())
            for name in path
        )
        self.problems.append(FileProblem(line_of(self._lines, path), what, words))

    def raise_problems(self) -> None:
        """Raise the error with all problems, if there are any."""
        if self.problems:
            raise self._error(self._file, self.problems)


def _syntax(error: str, content: bytes) -> FileProblem:
    # Of the file tomllib quotes a character at most, so that no secret is in its text.
    found = _SYNTAX_LINE.search(error)
    line = int(found[1]) if found else content.count(b"\n") + 1
    return FileProblem(line, "", f"invalid TOML: {_SYNTAX_LINE.sub('', error)}")
