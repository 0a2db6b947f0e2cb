"""Makes the name of a file at the service, for --name-template."""

from pathlib import PurePath
from string import Formatter

import click

_FIELDS = ("name", "stem", "suffix", "parent", "relative_path")


def parse_name_template(
    context: click.Context, option: click.Parameter, value: str | None
) -> str | None:
    """Check a template. Raises BadParameter."""
    if value is None:
        return None
    try:
        pieces = [piece for piece in Formatter().parse(value) if piece[1] is not None]
    except ValueError as error:
        raise click.BadParameter(f"{error}; double a literal brace") from None
    allowed = ", ".join(f"{{{field}}}" for field in _FIELDS)
    for _, name, spec, conversion in pieces:
        if name not in _FIELDS or spec or conversion:
            raise click.BadParameter(f"{value!r} may have the fields {allowed}, and no others")
    if not pieces:
        raise click.BadParameter(f"{value!r} has none of the fields {allowed}")
    return value


def name_from(template: str, relative_path: str) -> str:
    """Return the name of a file with this path. Raises UsageError if nothing is left of it."""
    path = PurePath(relative_path)
    parent = "" if path.parent == PurePath() else path.parent.as_posix()
    name = template.format(
        name=path.name,
        stem=path.stem,
        suffix=path.suffix,
        parent=parent,
        relative_path=path.as_posix(),
    ).strip("/")
    if not name:
        raise click.UsageError(f"--name-template {template!r} gives {relative_path} no name")
    return name
