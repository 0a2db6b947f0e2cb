"""The commands that make objects: `partway upload` and `partway compose`."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.filesize import decimal

from partway_client.cli.file_selection import FileSelection, listed_in
from partway_client.cli.lazy_runner import run
from partway_client.cli.options import (
    ServiceOptions,
    message_options,
    parse_pairs,
    parse_size,
    service_options,
)
from partway_client.cli.output import print_json, print_line, print_note, printable
from partway_client.cli.token_option import STDIN
from partway_client.models import Checksum, Route, UploadInfo

if TYPE_CHECKING:
    from partway_client.client import UploadClient


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option(
    "--recursive", "-r", is_flag=True, help="Upload the files in folders, and in folders in them."
)
@click.option(
    "--include",
    multiple=True,
    metavar="PATTERN",
    help="Of the files in folders, only those that match, such as '*.mp4' or 'raw/*'; may be"
    " repeated.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Of the files in folders, none that matches; may be repeated.",
)
@click.option(
    "--files-from",
    metavar="LIST",
    help="Upload also the files that this file names, one on each line or separated by NUL;"
    " - reads standard input.",
)
@click.option(
    "--dry-run", is_flag=True, help="Print which files would be uploaded, and call no service."
)
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
    "--limit-rate",
    callback=parse_size,
    envvar="PARTWAY_LIMIT_RATE",
    show_envvar=True,
    metavar="SIZE",
    help="The most to send in a second, of all files together, such as 2MB.",
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
@message_options
@service_options
def upload(
    service: ServiceOptions,
    files: Sequence[str],
    files_from: str | None,
    recursive: bool,
    include: Sequence[str],
    exclude: Sequence[str],
    dry_run: bool,
    limit_rate: int,
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
    The videos in a folder and its folders, and first only which those are:
      partway upload --recursive --include '*.mp4' --dry-run clips
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
    files = FileSelection(recursive, include, exclude).select(_named(files, files_from))
    _check_one_name(files, name)
    if options["upload_id"]:
        options["part_size"] = _unless_for_all("part_size", options["part_size"])
        _check_given(files, name, content_type, options)
    options |= {"content_type": content_type, "resume": not no_resume, "name": name}
    options["route"] = _route(direct_only, via_service)
    # Imported late, as in every command: it is slow, and help should be quick.
    from partway_client.cli.batch_journal import BatchJournal
    from partway_client.cli.upload import UploadCommand, stopped_message

    command = UploadCommand(as_json, options, BatchJournal(service, options))
    if dry_run:
        command.print_selected(files)
        return
    stopped = stopped_message(files)
    if not run(
        service,
        lambda client: command.upload_all(client, files),
        stopped,
        max_bytes_per_second=limit_rate,
    ):
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


def _named(files: Sequence[str], files_from: str | None) -> Sequence[str]:
    """Return the files that are named here or in a file."""
    if not files and files_from is None:
        raise click.UsageError("name a file, or a list of files by --files-from")
    if files_from == STDIN and STDIN in files:
        raise click.UsageError("standard input cannot be a file and the list of files")
    return [*files, *(listed_in(files_from) if files_from is not None else ())]


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


def _unless_for_all(name: str, value: int) -> int:
    """Return a size, and 0 if it is only what all commands are given."""
    source = click.get_current_context().get_parameter_source(name)
    return value if source is click.core.ParameterSource.COMMANDLINE else 0


def _route(direct_only: bool, via_service: bool) -> Route:
    if direct_only and via_service:
        raise click.UsageError("--direct-only and --via-service exclude each other")
    return Route.DIRECT if direct_only else Route.SERVICE if via_service else Route.AUTO
