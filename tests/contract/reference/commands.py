"""Shows both commands with all their subcommands, as `--help` does."""

import copy
from collections.abc import Iterator

import click
from partway_client.cli.main import main as client
from partway_server.cli.main import main as server
from partway_server.config.settings import Settings

_WIDTH = 100
_HEAD = """# Commands

For operators, and for callers on a command line. `partway-server` is the service and its tools, \
`partway` the client.

<!-- Made by `make docs` from the commands' own help; edit that instead. -->

Each setting of the service is also an option of the commands that need it. These are left out \
below: [settings.md](settings.md) lists them.
"""
_SETTINGS = set(Settings.__dataclass_fields__)
_SOME_FLAGS = 5
"""A command with more settings than this among its options takes all of them."""


def page() -> str:
    """Return the whole page."""
    return _HEAD + "".join(
        section
        for name, command in (("partway-server", server), ("partway", client))
        for section in _sections(name, command, None)
    )


def _sections(name: str, command: click.Command, above: click.Context | None) -> Iterator[str]:
    settings = {**command.context_settings, "terminal_width": _WIDTH, "max_content_width": _WIDTH}
    context = click.Context(command, info_name=name, parent=above, **settings)
    yield f"\n## {context.command_path}\n\n```text\n{_help(command, context)}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None
            yield from _sections(each, below, context)


def _help(command: click.Command, context: click.Context) -> str:
    """Return the help of a command, without the options that are settings."""
    shown = copy.copy(command)
    settings = [parameter for parameter in command.params if parameter.name in _SETTINGS]
    if len(settings) > _SOME_FLAGS:
        shown.params = [each for each in command.params if each not in settings]
    lines = shown.get_help(context).splitlines()
    return "\n".join(line.rstrip() for line in lines)
