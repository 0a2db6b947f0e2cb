"""`partway-server settings`: every setting and its current value."""

import json
import os
from dataclasses import fields
from typing import Any

import click

from partway_server.config.backends import KINDS
from partway_server.config.settings import Settings, default_text, flag, variable


@click.command("settings")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def show_settings(as_json: bool) -> None:
    """Show every setting: variable, flag, default, current value with secrets hidden, and purpose.

    Problems with the current values are printed to standard error.
    """
    settings, problems = Settings.examine(os.environ, backends=KINDS)
    shown = settings.shown()
    rows = [
        {
            "variable": variable(setting.name),
            "flag": flag(setting),
            "default": default_text(setting),
            "value": shown[setting.name],
            "file": shown.get(f"{setting.name}_file", ""),
            "why": setting.metadata["why"],
        }
        for setting in fields(Settings)
    ]
    click.echo(json.dumps(rows, indent=2) if as_json else "\n\n".join(map(_row, rows)))
    for problem in problems:
        click.echo(f"partway-server: {problem}", err=True)


def _row(row: dict[str, Any]) -> str:
    names = "  ".join(filter(None, (row["variable"], row["flag"])))
    source = f" (from {row['file']})" if row["file"] and row["value"] else ""
    return f"{names}\n  {row['why']}\n  default: {row['default']}\n  now: {row['value']}{source}"
