"""`partway-server sizing`: what Redis and storage have to bear for a number of uploads a day."""

import json
import os
from dataclasses import asdict
from typing import Any

import click

from partway_server.config.backends import KINDS
from partway_server.config.settings import Settings
from partway_server.domain.sizing import Load, Sizing
from partway_server.domain.sizing import sizing as size

_USUAL = Load(uploads_per_day=1)
_UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


@click.command()
@click.option("--uploads-per-day", type=click.IntRange(1), required=True, metavar="N")
@click.option(
    "--parts",
    type=click.IntRange(1, 10_000),
    default=_USUAL.parts,
    show_default=True,
    help="Parts of an upload; 1 for files that are one PUT.",
)
@click.option(
    "--open-hours",
    type=click.FloatRange(0, 8760),
    default=1.0,
    show_default=True,
    help="How long an upload lasts, on average.",
)
@click.option(
    "--reports",
    type=click.IntRange(0),
    default=_USUAL.reports,
    show_default=True,
    help="Calls of ReportParts for an upload.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=_USUAL.processes,
    show_default=True,
    help="Processes of the service, over all replicas.",
)
@click.option(
    "--completed-keep-seconds",
    type=click.FloatRange(0),
    help="By default PARTWAY_COMPLETED_KEEP_SECONDS.",
)
@click.option(
    "--event-keep-seconds",
    type=click.FloatRange(0),
    help="By default PARTWAY_EVENT_KEEP_SECONDS.",
)
@click.option(
    "--listpack-value",
    type=click.Choice(["64", "1024"]),
    default="64",
    show_default=True,
    help="hash-max-listpack-value of Redis.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def sizing(
    uploads_per_day: int,
    parts: int,
    open_hours: float,
    reports: int,
    processes: int,
    completed_keep_seconds: float | None,
    event_keep_seconds: float | None,
    listpack_value: str,
    as_json: bool,
) -> None:
    """Print the memory and the commands of Redis and the requests to storage that uploads take.

    All of them are completed, at an even pace. Nothing is asked: the figures of one upload are
    those that the tests measure.

    \b
    A million files of 100 parts a day, remembered for a day:
      partway-server sizing --uploads-per-day 1000000 --parts 100 --completed-keep-seconds 86400
    """
    settings, _ = Settings.examine(os.environ, backends=KINDS)
    load = Load(
        uploads_per_day=uploads_per_day,
        parts=parts,
        open_seconds=open_hours * 3600,
        reports=reports,
        completed_keep_seconds=_given(completed_keep_seconds, settings.completed_keep_seconds),
        event_keep_seconds=_given(event_keep_seconds, settings.event_keep_seconds),
        processes=processes,
        janitor_seconds=settings.janitor_seconds,
        listpack_value=int(listpack_value),
    )
    found = size(load)
    click.echo(json.dumps(_as_dict(load, found), indent=2) if as_json else _as_text(found))


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _as_dict(load: Load, found: Sizing) -> dict[str, Any]:
    return {
        "load": asdict(load),
        **asdict(found),
        "redis_bytes": found.redis_bytes,
        "redis_commands_per_second": round(found.redis_commands_per_second, 1),
        "s3_requests_per_second": round(found.s3_requests_per_second, 1),
    }


def _as_text(found: Sizing) -> str:
    rows = [
        ("Redis memory", _bytes(found.redis_bytes)),
        ("  open uploads", _bytes(found.open_records_bytes)),
        ("  completed uploads", _bytes(found.completed_records_bytes)),
        ("  events", _bytes(found.events_bytes)),
        ("Redis commands a second", f"{found.redis_commands_per_second:,.1f}"),
        ("Redis commands a day", f"{found.redis_commands_per_day:,}"),
        ("S3 requests of the service a second", f"{found.s3_requests_per_second:,.1f}"),
        ("  as PUT (create, list, complete) a day", f"{found.s3_writes_per_day:,}"),
        ("  as GET (HEAD) a day", f"{found.s3_reads_per_day:,}"),
        ("PUTs of callers, straight to storage, a day", f"{found.part_puts_per_day:,}"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value:>18}" for name, value in rows]
    return "\n".join(
        [*lines, "", "Peaks are higher; leave a tenth of the machine above maxmemory."]
    )


def _bytes(count: int) -> str:
    for unit, size_of_unit in _UNITS:
        if count >= size_of_unit:
            return f"{count / size_of_unit:,.1f} {unit}"
    return f"{count} B"
