"""Tests that a test runs each command in the documents, or the table says why not."""

import re
import shlex
import subprocess
from functools import cache

import click
import pytest
from partway_client.cli.main import main as client
from partway_server.cli.main import main as server
from partway_server.config.settings import Settings, variable
from partway_server.config.unknown_variables import CLIENT_VARIABLES

from tests.contract.documented_commands import NOT_RUN, RUN, not_run_because, run_by
from tests.support.documents import ROOT, Command, commands, documents, mentioned

COMMANDS = commands()
MENTIONED = mentioned("partway-server|partway|make")
PROGRAM = re.compile(
    r"(?:^|[|&;(]) *(?:\w+=\S* )*(?:\.venv/bin/)?(partway-server|partway)\b(?!:)([^|;&#)>\n]*)",
    re.M,
)
GROUPS = {"partway-server": server, "partway": client}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_is_run_or_says_why_not(command: Command) -> None:
    assert run_by(command) or not_run_because(command), (
        "name its test in tests/contract/documented_commands.py, or say why none runs it"
    )


def test_the_table_has_no_row_without_a_command_and_no_test_that_is_gone() -> None:
    texts = [command.text for command in COMMANDS]
    stale = [begin for begin in (*RUN, *NOT_RUN) if not any(re.match(begin, t) for t in texts)]
    assert stale == []
    assert [test for test in set(RUN.values()) if not (ROOT / test).exists()] == []


@pytest.mark.parametrize("command", dict.fromkeys([*COMMANDS, *MENTIONED]), ids=str)
def test_what_a_command_names_exists(command: Command) -> None:
    """Check targets of make, subcommands and options of ours."""
    for target in re.findall(r"(?:^|[|&;] *)make ([a-z][\w-]*)", command.text):
        assert target in make_targets()
    for program, rest in PROGRAM.findall(command.text):
        check_arguments(program, shlex.split(rest, posix=False))


@pytest.mark.parametrize("document", documents())
def test_the_settings_that_a_document_names_exist(document: str) -> None:
    known = {variable(name) for name in Settings.__dataclass_fields__} | CLIENT_VARIABLES
    named = re.findall(r"\bPARTWAY_[A-Z0-9_]*[A-Z0-9]\b(?!_?\*)", (ROOT / document).read_text())
    assert [name for name in named if name not in known and not read_by_a_program(name)] == []


@cache
def read_by_a_program(name: str) -> bool:
    """Return whether an example or a test reads a variable."""
    command = ["git", "grep", "-qw", name, "--", "examples", "tests", ":!*.md"]
    return subprocess.run(command, cwd=ROOT).returncode == 0


@cache
def make_targets() -> frozenset[str]:
    makefile = (ROOT / "Makefile").read_text()
    return frozenset(
        target
        for targets in re.findall(r"^([a-z][\w %-]*):(?!=)", makefile, re.M)
        for target in targets.split()
    )


def check_arguments(program: str, words: list[str]) -> None:
    """Walk to the subcommand that the words name, and look for the options among its own."""
    command: click.Command = GROUPS[program]
    left = iter(words)
    for word in left:
        if word.startswith("-"):
            name, _, value = word.strip("`'\"").partition("=")
            options = {o: p for p in command.params for o in (*p.opts, *p.secondary_opts)}
            assert name in {*options, "-h", "--help", "-"}, f"{program} {words}: no {name}"
            takes_one = not (value or getattr(options.get(name), "is_flag", True))
            if isinstance(command, click.Group) and takes_one:
                next(left, None)
        elif isinstance(command, click.Group):
            name = word.strip("`'\".,")
            if not name.islower():
                return  # A placeholder, such as COMMAND.
            assert name in command.commands, f"{program} {words}: no {name}"
            command = command.commands[name]
