"""Finds the words that this project does not write: `python -m tests.contract.banned_words`.

They are listed in banned_words.toml next to this module, each with its replacement.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_suffix(".toml")

CHECKED = ("*.py", "*.lua", "*.md", "*.yaml", "proto/partway/*.proto", "Makefile", ".ci/run")
"""As git matches paths: a `*` matches across folders."""
GENERATED = ("generated/",)


@dataclass(frozen=True, slots=True)
class Banned:
    """A banned pattern and what to write instead."""

    pattern: re.Pattern[str]
    instead: str


def banned() -> list[Banned]:
    """Read the list."""
    rules = tomllib.loads(LIST.read_text("utf-8"))["banned"]
    return [
        Banned(re.compile(rf"\b(?:{rule['pattern']})\b", re.IGNORECASE), rule["instead"])
        for rule in rules
    ]


def files() -> Iterator[Path]:
    """Yield every file that is checked: committed, or new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *CHECKED]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in sorted(set(filter(None, listed.split("\0")))):
        # A file may be deleted and not yet staged.
        if not name.startswith(GENERATED) and (ROOT / name).is_file():
            yield ROOT / name


def findings(text: str, rules: list[Banned]) -> Iterator[tuple[int, str, str]]:
    """Yield the line number, the words and what to write instead, for each match."""
    for number, line in enumerate(text.splitlines(), 1):
        for rule in rules:
            for match in rule.pattern.finditer(line):
                yield number, match[0], rule.instead


def report() -> list[str]:
    """Return a line for each match, such as `README.md:7: '...'; write again instead`."""
    rules = banned()
    return [
        f"{file.relative_to(ROOT)}:{number}: {words!r}; write {instead} instead"
        for file in files()
        for number, words, instead in findings(file.read_text("utf-8"), rules)
    ]


if __name__ == "__main__":
    lines = report()
    print("\n".join(lines) if lines else "No banned words.")
    sys.exit(bool(lines))
