"""The commands about the command line itself: `partway config` and `partway completion`."""

import json
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import get_completion_class

from partway_client.cli.config_file import ConfigFile, name_of
from partway_client.cli.options import service_options
from partway_client.cli.output import print_line, printable

_SECRET = "token"
_WORDS = {
    ParameterSource.COMMANDLINE: "the command line",
    ParameterSource.DEFAULT_MAP: "the file",
    ParameterSource.DEFAULT: "the default",
}


@click.group()
def config() -> None:
    """Show the configuration."""


@config.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@service_options
@click.pass_context
def show(context: click.Context, /, as_json: bool, **_: Any) -> None:
    """Show how the service is called, and where each value comes from.

    \b
    Which service a profile is for:
      partway --profile home config show
    """
    found = {
        name_of(option): (_shown(option, context), _source(option, context))
        for option in context.command.params
        if option.name != "as_json"
    }
    file = context.find_object(ConfigFile)
    assert file is not None
    if as_json:
        values = {name: {"value": v, "source": source} for name, (v, source) in found.items()}
        print_line(json.dumps({"file": str(file.path), "options": values}))
        return
    print_line(f"file: {printable(str(file.path))}")
    for name, (value, source) in found.items():
        if value is not None:
            print_line(f"{name} = {printable(value)}  ({source})")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands and options in a shell.

    \b
    For bash, zsh and fish:
      partway completion bash >> ~/.bashrc
      partway completion zsh >> ~/.zshrc
      partway completion fish > ~/.config/fish/completions/partway.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root()
    print_line(found(root.command, {}, "partway", "_PARTWAY_COMPLETE").source())


def _shown(option: click.Parameter, context: click.Context) -> str | None:
    """Return the value as text, None if it is not set."""
    value = context.params[option.name or ""]
    if not value and not isinstance(value, bool):
        return None
    if option.name == _SECRET:
        return "(hidden)"
    if isinstance(value, dict):
        return " ".join(f"{key}={text}" for key, text in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _source(option: click.Parameter, context: click.Context) -> str:
    source = context.get_parameter_source(option.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return str(option.envvar)
    return _WORDS[source or ParameterSource.DEFAULT]
