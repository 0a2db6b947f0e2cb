"""Finds the commands that our documents show."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_SHELL = re.compile(r"^( *)```(?:sh|bash|shell|console)\n(.*?)^ *```", re.M | re.S)
_FENCED = re.compile(r"^ *```.*?^ *```", re.M | re.S)
_INDENTED = re.compile(r"(?<=\n\n)(?:(?:    .*)?\n)*    .*\n?")
_MADE = ("docs/reference/rest.md", "docs/reference/proto.md", "docs/reference/cli.md")
"""What is made from the code shows it, and no commands to type."""


@dataclass(frozen=True)
class Command:
    """A command that a reader may type, with what stands in the block before it."""

    document: str
    text: str
    before: str = ""

    def __str__(self) -> str:
        return f"{self.document}: {self.text}"


def documents() -> list[str]:
    """Return the names of all Markdown files."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(name for name in names.split() if (ROOT / name).is_file())


def commands() -> list[Command]:
    """Return every command of a block, in the order of the documents."""
    return [
        command
        for name in documents()
        if name not in _MADE
        for block in _blocks((ROOT / name).read_text())
        for command in _commands(name, block)
    ]


def mentioned(words: str) -> list[Command]:
    """Return the code within sentences that begins with one of these words, such as `make`."""
    pattern = re.compile(rf"(?<!`)`((?:{words}) [^`]+)`")
    return [
        Command(name, code)
        for name in documents()
        if name not in (*_MADE, "CHANGELOG.md")
        for code in pattern.findall(_FENCED.sub("", (ROOT / name).read_text()))
    ]


def _blocks(text: str) -> Iterator[str]:
    for indent, block in _SHELL.findall(text):
        yield re.sub(rf"^{indent}", "", block, flags=re.M)
    for block in _INDENTED.findall(_FENCED.sub("", text)):
        if block.lstrip().startswith("|"):
            continue  # A table within a list.
        yield re.sub(r"^    ", "", block, flags=re.M)


def _commands(name: str, block: str) -> Iterator[Command]:
    """Divide a block where the shell does: a command ends at a line that completes it."""
    before, lines = "", ""
    for line in block.strip("\n").splitlines(keepends=True):
        lines += line
        if not lines.strip():
            lines = ""
        elif not lines.rstrip("\n").endswith("\\") and _complete(lines):
            yield Command(name, lines.strip(), before)
            before, lines = before + lines, ""
    if lines.strip():
        yield Command(name, lines.strip(), before)


def _complete(text: str) -> bool:
    return subprocess.run(["bash", "-n", "-c", text], capture_output=True).returncode == 0
