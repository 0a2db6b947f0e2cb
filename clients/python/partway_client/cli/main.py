"""The command line: `partway upload`, `partway compose`, and what asks about uploads.

What was asked for goes to standard output, everything else to standard error. Exit codes: 0, all
is well; 1, something failed; 2, the command was not understood; 130, stopped by Ctrl-C.
"""

import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.filesize import decimal

from partway_client.cli.options import Service, parse_pairs, parse_size, parse_time, service_options
from partway_client.cli.output import in_line, say, say_json
from partway_client.models import Checksum, Route, State, UploadInfo

if TYPE_CHECKING:
    from partway_client.client import UploadClient

T = TypeVar("T")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="partway-client", prog_name="partway")
def main() -> None:
    """Upload files of any size straight into S3-compatible storage.

    \b
    Upload a file; if it is stopped, the same command goes on where it was:
      partway upload movie.mp4
    \b
    Upload to another service, as an account:
      partway upload --server uploads.example.com:443 --tls --tenant acme movie.mp4
    \b
    See what is under way, and discard one:
      partway list --state active
      partway watch UPLOAD_ID
      partway abort UPLOAD_ID
    """
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(logging.Formatter("partway: %(message)s"))


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--policy", default="", help="The rules to upload under.  [default: default]")
@click.option("--concurrency", default=8, show_default=True, type=click.IntRange(1, 256))
@click.option("--part-size", callback=parse_size, metavar="SIZE", help="Such as 16MiB or 64M.")
@click.option(
    "--checksum",
    default=Checksum.BEST.value,
    show_default=True,
    type=click.Choice([checksum.value for checksum in Checksum]),
    help="What storage verifies of the bytes: best is the best it can. With none, a byte that"
    " changes on its way goes unnoticed, unless TCP or TLS finds it.",
)
@click.option("--content-type", help="The media type; by default, guessed from the name.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_pairs,
    help="What storage keeps with the object; may be repeated.",
)
@click.option("--name", default="", help="The file's name for the service.")
@click.option(
    "--direct-only", is_flag=True, help="Send straight to storage, and never through the service."
)
@click.option(
    "--via-service",
    is_flag=True,
    help="Send through the service, if it allows that; without this, only if storage cannot be"
    " reached from here.",
)
@click.option("--no-resume", is_flag=True, help="Begin anew, whatever was sent before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each file.")
@service_options
def upload(
    service: Service,
    files: Sequence[str],
    name: str,
    content_type: str | None,
    no_resume: bool,
    as_json: bool,
    direct_only: bool,
    via_service: bool,
    **wish: Any,
) -> None:
    """Upload files, and print where each went. FILE may be - for standard input.

    A stream is first copied to TMPDIR, as long as 1 GiB of that disk stays free, or 5% of a small
    one.

    \b
    Several files, eight parts at a time each:
      partway upload *.mp4
    \b
    What another program writes:
      pg_dump shop | gzip | partway upload --name shop.sql.gz -
    \b
    For a script:
      uri=$(partway upload --json movie.mp4 | jq -r .uri)
    """
    if name and len(files) > 1:
        raise click.UsageError("--name is for one file")
    if direct_only and via_service:
        raise click.UsageError("--direct-only and --via-service exclude each other")
    route = Route.DIRECT if direct_only else Route.SERVICE if via_service else Route.AUTO
    wish |= {"content_type": content_type, "resume": not no_resume, "name": name, "route": route}
    # Imported late, and so on in each command: it takes its time, and help should be quick.
    from partway_client.cli.upload import STDIN, Job

    job = Job(as_json, wish)

    async def work(client: "UploadClient") -> bool:
        # One after the other: each already uses as many connections as it may.
        return all([await job.upload(client, file) for file in files])

    stopped = "the same command goes on where this one was"
    if not _run(service, work, stopped if STDIN not in files else "nothing of a stream is kept"):
        sys.exit(1)


@main.command()
@click.argument("sources", nargs=-1, required=True, metavar="UPLOAD_ID...")
@click.option("--name", required=True, help="The name of the new file for the service.")
@click.option("--policy", default="", help="The rules to compose under.  [default: default]")
@click.option("--content-type", help="The media type; by default, guessed from the name.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_pairs,
    help="What storage keeps with the object; may be repeated.",
)
@click.option("--delete-sources", is_flag=True, help="Remove them once the new object is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@service_options
def compose(
    service: Service, sources: Sequence[str], name: str, as_json: bool, **wish: Any
) -> None:
    """Make one object of completed uploads, in order, and print where it is.

    \b
    Storage copies; nothing is sent from here:
      partway compose --name whole.mp4 FIRST_ID SECOND_ID
    """
    from partway_client.cli.progress_bar import showing

    async def work(client: "UploadClient") -> UploadInfo:
        with showing(name) as show:
            return await client.compose(sources, name=name, on_progress=show, **wish)

    made = _run(service, work, "the service goes on; see partway list")
    objects = "1 object" if len(sources) == 1 else f"{len(sources)} objects"
    click.echo(f"{name}: {decimal(made.size_bytes)} of {objects}", err=True)
    if as_json:
        say_json(made)
    else:
        say(made.uri)


@main.command()
@click.argument("upload_id")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@service_options
def status(service: Service, upload_id: str, as_json: bool) -> None:
    """Say where an upload stands, and what storage holds of it."""
    found = _run(service, lambda client: client.status(upload_id, progress=True))
    if as_json:
        say_json(found)
        return
    say(in_line(found))
    if found.progress is not None and found.state is State.ACTIVE:
        stored = found.progress
        say(
            f"{stored.parts_stored} of {found.part_count} parts are stored, "
            f"{decimal(stored.bytes_stored)} of {decimal(found.size_bytes)}"
        )
        say(f"expires {found.expire_time:%Y-%m-%d %H:%M:%S} UTC")


@main.command()
@click.argument("upload_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each part.")
@service_options
def parts(service: Service, upload_id: str, as_json: bool) -> None:
    """List the parts that storage holds: number, bytes, entity tag."""
    for part in _run(service, lambda client: client.parts(upload_id)):
        if as_json:
            say_json(part)
        else:
            say(f"{part.part_number}\t{part.size_bytes}\t{part.etag}")


@main.command()
@click.argument("upload_id")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@service_options
def abort(service: Service, upload_id: str, as_json: bool) -> None:
    """Discard an upload and what was sent of it."""
    found = _run(service, lambda client: client.abort(upload_id))
    if as_json:
        say_json(found)
    else:
        say(in_line(found))


@main.command()
@click.argument("upload_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each change.")
@service_options
def watch(service: Service, upload_id: str, as_json: bool) -> None:
    """Follow an upload to its end, as far as those who send it report.

    Exit code 0 if it is completed, 1 if it is aborted. Ctrl-C ends the watching alone.
    """
    from partway_client.cli.watch import follow

    last = _run(
        service, lambda client: follow(client, upload_id, as_json=as_json), "the upload goes on"
    )
    if last is not None and not as_json:
        say(in_line(last))
    if last is None or last.state is not State.COMPLETED:
        sys.exit(1)


@main.command("list")
@click.option("--state", type=click.Choice([state.value for state in State]))
@click.option("--policy", default="", help="Only those under these rules.")
@click.option(
    "--since",
    "created_from",
    callback=parse_time,
    metavar="TIME",
    help="Only those begun at this time or later, such as 2026-03-01 or 2026-03-01T12:30; UTC"
    " unless it names a zone.",
)
@click.option(
    "--until",
    "created_before",
    callback=parse_time,
    metavar="TIME",
    help="Only those begun before this time.",
)
@click.option("--fingerprint", default="", help="Only those that a client named so.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Only those of a file with this content, under any name.",
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each upload.")
@service_options
def list_uploads(service: Service, state: str | None, as_json: bool, **chosen: Any) -> None:
    """List your uploads, newest first, each with its UPLOAD_ID on a line of its own."""
    wanted = State(state) if state else None
    for one in _run(service, lambda client: client.list_uploads(state=wanted, **chosen)):
        if as_json:
            say_json(one)
        else:
            say(f"{in_line(one)}\n  {one.upload_id}")


def _run(
    service: Service,
    work: Callable[["UploadClient"], Coroutine[Any, Any, T]],
    stopped: str = "",
) -> T:
    # Imported late, as all that gRPC comes with: it takes its time.
    from partway_client.cli.runner import run

    return run(service, work, stopped)
