"""The options of `partway upload`: which files, how they are sent, and what follows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from partway_client.cli.name_template import parse_name_template
from partway_client.cli.options import parse_pairs, parse_size
from partway_client.models import Checksum

F = TypeVar("F", bound=Callable[..., Any])


def upload_options(command: F) -> F:
    """Add the options to `command`."""
    decorated: Any = command
    for option in reversed(_UPLOAD_OPTIONS):
        decorated = option(decorated)
    given: F = decorated
    return given


_UPLOAD_OPTIONS = (
    click.option(
        "--recursive",
        "-r",
        is_flag=True,
        help="Upload the files in folders, and in folders in them.",
    ),
    click.option(
        "--include",
        multiple=True,
        metavar="PATTERN",
        help="Of the files in folders, only those that match, such as '*.mp4' or 'raw/*'; may be"
        " repeated.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="PATTERN",
        help="Of the files in folders, none that matches; may be repeated.",
    ),
    click.option(
        "--files-from",
        metavar="LIST",
        help="Upload also the files that this file names, one on each line or separated by NUL;"
        " - reads standard input.",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Print which files would be uploaded, and call no service."
    ),
    click.option("--policy", default="", help="The policy to upload under.  [default: default]"),
    click.option(
        "--concurrency",
        default=8,
        show_default=True,
        type=click.IntRange(1, 256),
        help="The most parts to send at a time, of all files together. How many are sent follows"
        " the line: one on a slow line, more where that is faster.",
    ),
    click.option(
        "--part-size",
        callback=parse_size,
        envvar="PARTWAY_PART_SIZE",
        show_envvar=True,
        metavar="SIZE",
        help="The wanted part size, such as 16MiB or 64M. By default it follows the line: smaller"
        " on a slow line or one that breaks, within what the policy and storage allow.",
    ),
    click.option(
        "--limit-rate",
        callback=parse_size,
        envvar="PARTWAY_LIMIT_RATE",
        show_envvar=True,
        metavar="SIZE",
        help="The most to send in a second, of all files together, such as 2MB.",
    ),
    click.option(
        "--parallel-files",
        type=click.IntRange(1, 256),
        metavar="N",
        help="Send at most N files at a time, which share the parts of --concurrency. By default"
        " small files go together, and a large one alone.",
    ),
    click.option(
        "--retries",
        type=click.IntRange(0),
        metavar="N",
        help="How often in a row a part, or a call to the service, is tried again before the upload"
        " fails; 0 for never. By default they outlast an outage of two minutes: 19 for a part, 23"
        " for a call, and 3 for the first one.",
    ),
    click.option(
        "--checksum",
        default=Checksum.BEST.value,
        show_default=True,
        type=click.Choice([checksum.value for checksum in Checksum]),
        help="The checksum that storage verifies; best is the best that it supports. With none, a"
        " byte that changes in transit goes unnoticed, unless TCP or TLS detects it.",
    ),
    click.option("--content-type", help="The media type; by default, guessed from the name."),
    click.option(
        "--metadata",
        multiple=True,
        metavar="KEY=VALUE",
        callback=parse_pairs,
        help="Metadata to store with the object; may be repeated.",
    ),
    click.option("--name", default="", help="The name to give the file at the service."),
    click.option(
        "--name-template",
        callback=parse_name_template,
        metavar="TEMPLATE",
        help="The name to give each file at the service, such as '{relative_path}' for its path in"
        " its folder, {name}, {stem}, {suffix} or {parent}. The service makes one segment of a key"
        " of it: raw/a.mp4 becomes raw_a.mp4, where the policy's template has {name}.",
    ),
    click.option(
        "--direct-only", is_flag=True, help="Send straight to storage, never through the service."
    ),
    click.option(
        "--via-service",
        is_flag=True,
        help="Send through the service, if it allows that. By default, only if storage cannot be"
        " reached from here.",
    ),
    click.option(
        "--no-resume",
        is_flag=True,
        help="Start over, even if parts were sent before. By default, the same command resumes.",
    ),
    click.option(
        "--skip-existing",
        "skip_existing",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="MANIFEST",
        help="Skip the files that stand in this file with their present size and modification time,"
        " and add to it those that are uploaded: path, size, time, checksum and URI, as JSON.",
    ),
    click.option(
        "--delete-after",
        is_flag=True,
        help="Delete each file here once storage has proven by a checksum that its object is whole."
        " A link, and a file that changed meanwhile, is kept; so is one that is skipped.",
    ),
    click.option(
        "--upload-id",
        default="",
        envvar="PARTWAY_UPLOAD_ID",
        show_envvar=True,
        help="Send FILE as this Upload, which someone else initialized: see --token.",
    ),
)
