"""The commands about existing uploads, and about what the service allows."""

import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.filesize import decimal

from partway_client.cli.lazy_runner import run
from partway_client.cli.options import ServiceOptions, parse_time, service_options
from partway_client.cli.output import print_json, print_line, short_ids, shown_time, summary
from partway_client.models import State

if TYPE_CHECKING:
    from partway_client.client import UploadClient

T = TypeVar("T")


@click.command()
@click.argument("upload_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@service_options
def status(service: ServiceOptions, upload_id: str, as_json: bool) -> None:
    """Show the state of an upload, and what storage holds of it.

    As everywhere, UPLOAD_ID may be the beginning of the short id that `partway list` shows, or -
    for the last upload that was started here.
    """
    found = _run_for(service, upload_id, lambda client, each: client.status(each, progress=True))
    if as_json:
        print_json(found)
        return
    print_line(summary(found))
    if found.progress is not None and found.state is State.ACTIVE:
        stored = found.progress
        print_line(
            f"{stored.parts_stored} of {found.part_count} parts are stored, "
            f"{decimal(stored.bytes_stored)} of {decimal(found.size_bytes)}"
        )
        print_line(f"expires {shown_time(found.expire_time)}")


@click.command()
@click.argument("upload_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each part.")
@service_options
def parts(service: ServiceOptions, upload_id: str, as_json: bool) -> None:
    """List the parts that storage holds: number, size in bytes, entity tag."""
    for part in _run_for(service, upload_id, lambda client, each: client.parts(each)):
        if as_json:
            print_json(part)
        else:
            print_line(f"{part.part_number}\t{part.size_bytes}\t{part.etag}")


@click.command()
@click.argument("upload_id")
@click.option(
    "--until",
    "expire_time",
    required=True,
    callback=parse_time,
    metavar="TIME",
    help="The new deadline, such as 2026-03-01 or 2026-03-01T12:30; UTC unless it has a time zone.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@service_options
def extend(service: ServiceOptions, upload_id: str, expire_time: datetime, as_json: bool) -> None:
    """Give an upload a later deadline, and print it with its new UPLOAD_ID.

    A deadline before the present one changes nothing.
    """
    found = _run_for(service, upload_id, lambda client, each: client.extend(each, expire_time))
    if as_json:
        print_json(found)
        return
    print_line(summary(found))
    print_line(f"expires {shown_time(found.expire_time)}")
    print_line(f"  {found.upload_id}")


@click.command()
@click.argument("upload_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@service_options
def abort(service: ServiceOptions, upload_id: str, as_json: bool) -> None:
    """Discard an upload and the parts sent so far."""
    found = _run_for(service, upload_id, lambda client, each: client.abort(each))
    if as_json:
        print_json(found)
    else:
        print_line(summary(found))


@click.command()
@click.argument("upload_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each change.")
@service_options
def watch(service: ServiceOptions, upload_id: str, as_json: bool) -> None:
    """Follow the reported progress of an upload until it has ended.

    Exit code 0 if it is completed, 1 if it is aborted. Ctrl-C stops the command, not the upload.
    """
    from partway_client.cli.watch import follow

    last = _run_for(
        service,
        upload_id,
        lambda client, each: follow(client, each, as_json=as_json),
        "the upload continues",
    )
    if last is not None and not as_json:
        print_line(summary(last))
    if last is None or last.state is not State.COMPLETED:
        sys.exit(1)


@click.command("list")
@click.option(
    "--state",
    type=click.Choice([state.value for state in State]),
    help="Only uploads in this state.",
)
@click.option("--policy", default="", help="Only uploads under this policy.")
@click.option(
    "--since",
    "created_from",
    callback=parse_time,
    metavar="TIME",
    help="Only uploads started at this time or later, such as 2026-03-01 or 2026-03-01T12:30; UTC"
    " unless it has a time zone.",
)
@click.option(
    "--until",
    "created_before",
    callback=parse_time,
    metavar="TIME",
    help="Only uploads started before this time.",
)
@click.option("--fingerprint", default="", help="Only uploads with this fingerprint.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Only uploads of a file with this content, under any name.",
)
@click.option(
    "--limit",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="The most uploads to list.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each upload.")
@service_options
def list_uploads(service: ServiceOptions, state: str | None, as_json: bool, **chosen: Any) -> None:
    """List your uploads, newest first, each with a short id, and its UPLOAD_ID below it.

    All commands take either, or the beginning of the short id.
    """
    chosen["state"] = State(state) if state else None
    found = run(service, lambda client: client.list_uploads(**chosen))
    for short, one in zip(short_ids(found), found, strict=True):
        if as_json:
            print_json(one)
        else:
            print_line(f"{short}  {summary(one)}\n  {one.upload_id}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@service_options
def usage(service: ServiceOptions, as_json: bool) -> None:
    """Show how much of each limit your tenant and you use.

    Streams and rates are those that the replica sees which answers.
    """
    from partway_client.cli.usage import table

    found = run(service, lambda client: client.usage())
    if as_json:
        print_json(found)
        return
    for line in table(found):
        print_line(line)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@service_options
def capabilities(service: ServiceOptions, as_json: bool) -> None:
    """Show what the service can do, and what each policy allows that you may use."""
    from partway_client.cli.capabilities import lines

    found = run(service, lambda client: client.capabilities())
    if as_json:
        print_json(found)
        return
    for line in lines(found):
        print_line(line)


def _run_for(
    service: ServiceOptions,
    upload_id: str,
    work: Callable[["UploadClient", str], Coroutine[Any, Any, T]],
    stopped: str = "",
) -> T:
    """Do some work with an upload that is given by its id, a part of its sid, or as the last."""

    async def found(client: "UploadClient") -> T:
        from partway_client.cli.upload_ids import full_ids

        [each] = await full_ids(client, service, [upload_id])
        return await work(client, each)

    return run(service, found, stopped)
