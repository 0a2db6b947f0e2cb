"""The command `partway` with its subcommands.

Results go to standard output, everything else to standard error. Exit codes: 0, success; 1, a
failure; 2, invalid usage; 130, stopped by Ctrl-C.
"""

import logging

import click

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
from partway_client.cli.transfer_commands import compose, upload


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="partway-client", prog_name="partway")
def main() -> None:
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
    """
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(logging.Formatter("partway: %(message)s"))


for command in (
    *(upload, compose, status, parts, extend, abort, watch, list_uploads),
    *(usage, capabilities),
):
    main.add_command(command)
