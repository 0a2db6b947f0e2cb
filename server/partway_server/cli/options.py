"""What several commands share: a flag for every setting, and how a command fails."""

import sys
from collections.abc import Callable
from dataclasses import fields
from typing import NoReturn

import click

from partway_server.config.settings import Settings, default_text, flag, variable

Command = Callable[..., None]


def setting_flags(command: Command) -> Command:
    """Add a flag for every setting that has one, in the order of the settings table."""
    for setting in reversed(fields(Settings)):
        if not (name := flag(setting)):
            continue
        pair = f"{name}/--no-{name[2:]}" if setting.type is bool else name
        about = f"{setting.metadata['why']}  [{variable(setting.name)}]"
        if default := default_text(setting):
            about += f"  [default: {default}]"
        metavar = "|".join(setting.metadata["choices"]) or "VALUE"
        option = click.option(
            pair,
            setting.name,
            default=None,
            metavar=None if setting.type is bool else metavar,
            help=about,
        )
        command = option(command)
    return command


def fail(code: int, *lines: str) -> NoReturn:
    """Print each line to standard error and exit with `code`."""
    for line in lines:
        click.echo(f"partway-server: {line}", err=True)
    sys.exit(code)
