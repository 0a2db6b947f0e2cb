"""The `partway upload` command: its arguments, checked before anything is sent."""

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click

from partway_client.cli.file_selection import FileSelection, listed_in
from partway_client.cli.lazy_runner import run
from partway_client.cli.options import (
    ServiceOptions,
    given_here,
    message_options,
    service_options,
)
from partway_client.cli.token_option import STDIN
from partway_client.cli.upload_options import upload_options
from partway_client.models import Checksum, Route

_OWN_FILES = ("skip_existing", "log_file")
"""The options that name files which the command writes."""


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@upload_options
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object for each file, and after several one whose only key is summary.",
)
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
    as_json: bool,
    limit_rate: int,
    retries: int | None,
    **options: Any,
) -> None:
    """Upload files, and print the URI of each.

    FILE may be - for standard input, or, with --recursive, a folder.

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
    Every night, the files of a folder that are new or changed:
      partway upload -q -r --skip-existing done.jsonl --log-file partway.log clips
    \b
    The output of another program:
      pg_dump shop | gzip | partway upload --name shop.sql.gz -
    \b
    In a script:
      uri=$(partway upload --quiet movie.mp4)
    \b
    As an Upload that a backend initialized, with the token that it made:
      partway upload --token-file token --upload-id ID movie.mp4
    \b
    Exit codes:
      0    all files are uploaded
      1    a failure, or a file that --delete-after has kept; the other files are uploaded
      2    invalid usage
      130  stopped by Ctrl-C
    """
    own = [path for name in _OWN_FILES if (path := click.get_current_context().params[name])]
    selection = FileSelection(recursive, include, exclude, own)
    chosen = selection.select(_named(files, files_from))
    options["route"] = _route(options.pop("direct_only"), options.pop("via_service"))
    options["resume"] = not options.pop("no_resume")
    _check_together(chosen, options)
    # Imported late, as in every command: it is slow, and help should be quick.
    from partway_client.cli.upload import UploadCommand, stopped_message

    command = UploadCommand.of(service, chosen, options, as_json=as_json)
    if dry_run:
        command.print_selected()
        return
    command.prepare()
    if not run(
        service,
        command.upload_all,
        stopped_message(chosen),
        max_bytes_per_second=limit_rate,
        retries=retries,
    ):
        sys.exit(1)


def _named(files: Sequence[str], files_from: str | None) -> Sequence[str]:
    """Return the files that are named here or in a file."""
    if not files and files_from is None:
        raise click.UsageError("name a file, or a list of files by --files-from")
    if files_from == STDIN and STDIN in files:
        raise click.UsageError("standard input cannot be a file and the list of files")
    return [*files, *(listed_in(files_from) if files_from is not None else ())]


def _check_together(files: Collection[str], options: dict[str, Any]) -> None:
    """Refuse what excludes each other. What is only given for all commands gives way."""
    stream_or_named = bool(options["name"]) or STDIN in files
    if (stream_or_named or options["upload_id"]) and not given_here("name_template"):
        options["name_template"] = None
    if options["upload_id"]:
        if not given_here("part_size"):
            options["part_size"] = 0
        _check_given(files, options)
    if options["name"] and len(files) > 1:
        raise click.UsageError("--name can be used with one file only; see --name-template")
    if options["name_template"] and stream_or_named:
        raise click.UsageError("--name-template goes neither with --name nor with a stream")
    if options["delete_after"] and STDIN in files:
        raise click.UsageError("--delete-after goes with files only; a stream is not deleted")
    if options["delete_after"] and options["checksum"] == Checksum.NONE:
        raise click.UsageError("--delete-after needs the proof of a checksum, other than none")
    most = options["parallel_files"] or 1
    if most > options["concurrency"]:
        raise click.UsageError(f"--parallel-files {most} needs --concurrency {most} or more")


def _check_given(files: Collection[str], options: Mapping[str, Any]) -> None:
    """Refuse what cannot go with --upload-id."""
    if len(files) > 1:
        raise click.UsageError("--upload-id can be used with one file only")
    fixed = ("name", "name_template", "content_type", "policy", "part_size", "metadata")
    if any(options[key] for key in fixed):
        raise click.UsageError(
            "with --upload-id, the name, policy, type, metadata and part size are those of the"
            " Upload"
        )


def _route(direct_only: bool, via_service: bool) -> Route:
    if direct_only and via_service:
        raise click.UsageError("--direct-only and --via-service exclude each other")
    return Route.DIRECT if direct_only else Route.SERVICE if via_service else Route.AUTO
