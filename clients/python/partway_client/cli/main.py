"""The command `partway` with its subcommands.

Results go to standard output, everything else to standard error. Exit codes: 0, success; 1, a
failure; 2, invalid usage; 130, stopped by Ctrl-C.
"""

import logging
from pathlib import Path

import click

from partway_client.cli.compose_command import compose
from partway_client.cli.config_commands import completion, config
from partway_client.cli.config_file import read_config
from partway_client.cli.output import direct_messages
from partway_client.cli.query_commands import (
    abort,
    capabilities,
    extend,
    list_uploads,
    parts,
    status,
    usage,
    watch,
)
from partway_client.cli.upload_command import upload


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--profile",
    envvar="PARTWAY_PROFILE",
    show_envvar=True,
    help="The profile of the configuration file to use.",
)
@click.option(
    "--config",
    "config_path",
    envvar="PARTWAY_CONFIG",
    show_envvar=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration file; by default, config.toml in the user's own folder: see"
    " `partway config show`.",
)
@click.version_option(package_name="partway-client", prog_name="partway")
@click.pass_context
def main(context: click.Context, profile: str | None, config_path: Path | None) -> None:
    """Upload files of any size straight into S3-compatible storage.

    \b
    Upload a file; if it is stopped, the same command resumes it:
      partway upload movie.mp4
    \b
    Upload to another service, for an account:
      partway upload --server uploads.example.com:443 --tls --tenant acme movie.mp4
    \b
    See which uploads are in progress, watch one, and discard one:
      partway list --state active
      partway watch UPLOAD_ID
      partway abort UPLOAD_ID
    \b
    Options that are always the same can be in a file, under their own names:
      server = "uploads.example.com:443"
      tls = true
      [profile.home]
      limit-rate = "2MB"
    \b
    Exit codes: 0 success, 1 a failure, 2 invalid usage, 130 stopped by Ctrl-C.
    """
    context.obj = read_config(config_path, profile)
    context.default_map = context.obj.default_map(main)
    direct_messages()
    if logging.lastResort is not None:
        # For what other libraries have to say.
        logging.lastResort.setFormatter(logging.Formatter("partway: %(message)s"))


for command in (
    *(upload, compose, status, parts, extend, abort, watch, list_uploads),
    *(usage, capabilities, config, completion),
):
    main.add_command(command)
