"""The commands that make objects: `partway upload` and `partway compose`."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.filesize import decimal

from partway_client.cli.lazy_runner import run
from partway_client.cli.options import ServiceOptions, parse_pairs, parse_size, service_options
from partway_client.cli.output import print_json, print_line, print_note, printable
from partway_client.models import Checksum, Route, UploadInfo

if TYPE_CHECKING:
    from partway_client.client import UploadClient


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--policy", default="", help="The policy to upload under.  [default: default]")
@click.option(
    "--concurrency",
    default=8,
    show_default=True,
    type=click.IntRange(1, 256),
    help="The most parts to send at a time, of all files together. How many are sent follows the"
    " line: one on a slow line, more where that is faster.",
)
@click.option(
    "--part-size",
    callback=parse_size,
    envvar="PARTWAY_PART_SIZE",
    show_envvar=True,
    metavar="SIZE",
    help="The wanted part size, such as 16MiB or 64M. By default it follows the line: smaller on a"
    " slow line or one that breaks, within what the policy and storage allow.",
)
@click.option(
    "--checksum",
    default=Checksum.BEST.value,
    show_default=True,
    type=click.Choice([checksum.value for checksum in Checksum]),
    help="The checksum that storage verifies; best is the best that it supports. With none, a byte"
    " that changes in transit goes unnoticed, unless TCP or TLS detects it.",
)
@click.option("--content-type", help="The media type; by default, guessed from the name.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_pairs,
    help="Metadata to store with the object; may be repeated.",
)
@click.option("--name", default="", help="The name to give the file at the service.")
@click.option(
    "--direct-only", is_flag=True, help="Send straight to storage, never through the service."
)
@click.option(
    "--via-service",
    is_flag=True,
    help="Send through the service, if it allows that. By default, only if storage cannot be"
    " reached from here.",
)
@click.option(
    "--no-resume",
    is_flag=True,
    help="Start over, even if parts were sent before. By default, the same command resumes.",
)
@click.option(
    "--upload-id",
    default="",
    envvar="PARTWAY_UPLOAD_ID",
    show_envvar=True,
    help="Send FILE as this Upload, which someone else initialized: see --token.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each file.")
@service_options
def upload(
    service: ServiceOptions,
    files: Sequence[str],
    name: str,
    content_type: str | None,
    no_resume: bool,
    as_json: bool,
    direct_only: bool,
    via_service: bool,
    **options: Any,
) -> None:
    """Upload files, and print the URI of each. FILE may be - for standard input.

    An upload that was stopped, by Ctrl-C, kill or a broken line, is resumed by the same command,
    also on another machine: only the parts that storage does not hold are sent. On a bad line, what
    fails is tried again, and fewer and smaller parts are sent; see --concurrency and --part-size.

    A stream is first copied to TMPDIR, as long as 1 GiB of that disk stays free, or 5% of a small
    one.

    \b
    A large file over a line that breaks all the time:
      partway upload --part-size 5MiB movie.mp4
    \b
    Several files; run again, it goes on where it was stopped, file by file:
      partway upload *.mp4
    \b
    The output of another program:
      pg_dump shop | gzip | partway upload --name shop.sql.gz -
    \b
    In a script:
      uri=$(partway upload --json movie.mp4 | jq -r .uri)
    \b
    As an Upload that a backend initialized, with the token that it made:
      partway upload --token-file token --upload-id ID movie.mp4
    """
    _check_one_name(files, name)
    if options["upload_id"]:
        options["part_size"] = _unless_from_environment("part_size", options["part_size"])
        _check_given(files, name, content_type, options)
    options |= {"content_type": content_type, "resume": not no_resume, "name": name}
    options["route"] = _route(direct_only, via_service)
    # Imported late, as in every command: it is slow, and help should be quick.
    from partway_client.cli.batch_journal import BatchJournal
    from partway_client.cli.upload import UploadCommand, stopped_message

    command = UploadCommand(as_json, options, BatchJournal(service, options))
    if not run(service, lambda client: command.upload_all(client, files), stopped_message(files)):
        sys.exit(1)


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

    async def work(client: "UploadClient") -> UploadInfo:
        with showing(name) as show:
            return await client.compose(sources, name=name, on_progress=show, **options)

    made = run(service, work, "the service continues; see partway list")
    objects = "1 object" if len(sources) == 1 else f"{len(sources)} objects"
    print_note(f"{name}: {decimal(made.size_bytes)} of {objects}")
    if as_json:
        print_json(made)
    else:
        print_line(printable(made.uri))


def _check_one_name(files: Sequence[str], name: str) -> None:
    if name and len(files) > 1:
        raise click.UsageError("--name can be used with one file only")


def _check_given(
    files: Sequence[str], name: str, content_type: str | None, options: Mapping[str, Any]
) -> None:
    """Refuse what cannot go with --upload-id."""
    if len(files) > 1:
        raise click.UsageError("--upload-id can be used with one file only")
    fixed = ("policy", "part_size", "metadata")
    if name or content_type or any(options[key] for key in fixed):
        raise click.UsageError(
            "with --upload-id, the name, policy, type, metadata and part size are those of the"
            " Upload"
        )


def _unless_from_environment(name: str, value: int) -> int:
    """Return a size, and 0 if it is only what all commands are given."""
    source = click.get_current_context().get_parameter_source(name)
    return 0 if source is click.core.ParameterSource.ENVIRONMENT else value


def _route(direct_only: bool, via_service: bool) -> Route:
    if direct_only and via_service:
        raise click.UsageError("--direct-only and --via-service exclude each other")
    return Route.DIRECT if direct_only else Route.SERVICE if via_service else Route.AUTO
