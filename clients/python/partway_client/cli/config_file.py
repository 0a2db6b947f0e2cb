"""Reads the configuration file of `partway`: options under their own names, and profiles.

    server = "uploads.example.com:443"
    tls = true

    [profile.home]
    limit-rate = "2MB"

An option is looked up on the command line, in its variable, in the profile, in the rest of the
file, and is its default otherwise.
"""

import difflib
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import platformdirs

PROFILE = "profile"

NOT_HERE = frozenset(
    {"token", "upload-id", "name", "json", "dry-run", "files-from", "delete-after"}
)
"""What is a secret, of one upload only, or must not happen unasked.

A token may be in a file that `token-file` names.
"""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The options that a file gives, by name without the dashes before it."""

    path: Path
    options: Mapping[str, Any]

    def default_map(self, group: click.Group) -> dict[str, Any]:
        """Return for each command what the file says of its options. Raises UsageError."""
        known = {name_of(option) for option in _options(group)}
        for key in self.options:
            if key not in known or key in NOT_HERE:
                raise click.UsageError(f"{self.path}: {self._refusal(key, known)}")
        return self._defaults(group)

    def _defaults(self, command: click.Command) -> dict[str, Any]:
        if isinstance(command, click.Group):
            return {name: self._defaults(each) for name, each in command.commands.items()}
        said = {option.name or "": name_of(option) for option in _options(command)}
        return {key: _plain(self.options[n]) for key, n in said.items() if n in self.options}

    def _refusal(self, key: str, known: Collection[str]) -> str:
        if key == "token":
            return "a token does not belong here; put it in a file, and name that as token-file"
        if key in NOT_HERE:
            return f"{key} is for one command only"
        near = difflib.get_close_matches(key, set(known) - NOT_HERE, 1)
        return f"unknown option {key!r}" + (f"; do you mean {near[0]!r}?" if near else "")


def read_config(path: Path | None, profile: str | None) -> ConfigFile:
    """Return what a file says for a profile; nothing if it is the user's own and does not exist.

    Raises UsageError if it cannot be read, is not TOML, or has no such profile.
    """
    file = path or platformdirs.user_config_path("partway") / "config.toml"
    options: dict[str, Any] = {}
    try:
        options = tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if path is not None:
            raise click.UsageError(f"cannot read {file}: it does not exist") from None
    except OSError as exc:
        raise click.UsageError(f"cannot read {file}: {exc.strerror}") from None
    except ValueError as error:
        raise click.UsageError(f"{file} is not TOML: {error}") from None
    profiles = options.pop(PROFILE, {})
    if profile is not None:
        if not isinstance(profiles, dict) or not isinstance(profiles.get(profile), dict):
            raise click.UsageError(f"{file} has no table [{PROFILE}.{profile}]")
        options |= profiles[profile]
    return ConfigFile(file, options)


def name_of(option: click.Parameter) -> str:
    """Return the name of an option as it is written, without the dashes before it."""
    return max(option.opts, key=len).lstrip("-")


def _options(command: click.Command) -> Iterator[click.Option]:
    """Yield the options of a command, or of all commands of a group."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from _options(each)
    else:
        yield from (option for option in command.params if isinstance(option, click.Option))


def _plain(value: Any) -> Any:
    """Return a value as it would be given on the command line: KEY=VALUE for a table."""
    if isinstance(value, dict):
        return [f"{key}={text}" for key, text in value.items()]
    return value if isinstance(value, bool | list) else str(value)
