"""The `partway compose` command: makes one object of completed uploads."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.filesize import decimal

from partway_client.cli.lazy_runner import run
from partway_client.cli.options import (
    ServiceOptions,
    message_options,
    parse_pairs,
    service_options,
)
from partway_client.cli.output import print_json, print_line, print_note, printable
from partway_client.models import UploadInfo

if TYPE_CHECKING:
    from partway_client.client import UploadClient


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="UPLOAD_ID...")
@click.option("--name", required=True, help="The name to give the new file at the service.")
@click.option("--policy", default="", help="The policy to compose under.  [default: default]")
@click.option("--content-type", help="The media type; by default, guessed from the name.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_pairs,
    help="Metadata to store with the object; may be repeated.",
)
@click.option(
    "--delete-sources", is_flag=True, help="Delete the sources' objects once the new one exists."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@message_options
@service_options
def compose(
    service: ServiceOptions, sources: Sequence[str], name: str, as_json: bool, **options: Any
) -> None:
    """Compose one object of completed uploads, in order, and print its URI.

    \b
    Storage copies the data; nothing is sent from here:
      partway compose --name whole.mp4 FIRST_ID SECOND_ID
    """
    from partway_client.cli.progress_bar import showing
    from partway_client.cli.upload_ids import full_ids

    async def work(client: "UploadClient") -> UploadInfo:
        found = await full_ids(client, service, sources)
        with showing(name) as show:
            return await client.compose(found, name=name, on_progress=show, **options)

    made = run(service, work, "the service continues; see partway list")
    objects = "1 object" if len(sources) == 1 else f"{len(sources)} objects"
    print_note(f"{name}: {decimal(made.size_bytes)} of {objects}")
    if as_json:
        print_json(made)
    else:
        print_line(printable(made.uri))
