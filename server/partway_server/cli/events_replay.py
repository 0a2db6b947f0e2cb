"""`partway-server events replay`: publish stored events again."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime

import click

from partway_server.cli.event_options import (
    EventFilter,
    InvalidInvocation,
    configured_redis_url,
    event_line,
    open_streams,
    redis_option,
    reporting_failures,
    time_option,
    type_option,
    upload_option,
)


@click.command()
@redis_option
@type_option
@time_option("--since", "Events since this time, as for tail.")
@time_option("--until", "Events up to this time; by default up to now.")
@upload_option
@click.option("--dry-run", is_flag=True, help="Print what would be replayed, and change nothing.")
def replay(
    redis_url: str | None,
    types: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    upload: str,
    dry_run: bool,
) -> None:
    """Replay stored events to all consumers.

    Each event of that time, or of that upload, is appended once more to its stream, unchanged and
    with the same id. So every consumer group and every webhook receives it again; a consumer that
    remembers the ids it has processed skips it. Of several events with one id, one is replayed.
    Events that were trimmed from the streams cannot be replayed: see PARTWAY_EVENT_KEEP_SECONDS.

    \b
    After a consumer has lost what it received this morning:
      partway-server events replay --since 2026-03-01T06:00:00Z --until 2026-03-01T12:00:00Z

    \b
    For one upload, with a look first:
      partway-server events replay --upload 9f2c... --dry-run
    """
    if since is None and not upload:
        raise InvalidInvocation("choose the events: --since, --upload, or both")
    wanted = EventFilter(types, upload)
    with reporting_failures():
        count = asyncio.run(
            _replay(configured_redis_url(redis_url), wanted, since, until, dry_run=dry_run)
        )
    click.echo(f"{count:,} {'would be ' if dry_run else ''}replayed")


async def _replay(
    url: str,
    wanted: EventFilter,
    since: datetime | None,
    until: datetime | None,
    *,
    dry_run: bool,
) -> int:
    from partway_server.events.event_stream import places_at

    async with open_streams(url) as streams:
        # With a fixed end, or the events appended here would be read and appended again.
        ends = await streams.ends() if until is None else places_at(until)
        seen: set[str] = set()
        async for entry in streams.read(places_at(since), ends):
            if not wanted.matches(entry) or entry.event.id in seen:
                continue
            seen.add(entry.event.id)
            if dry_run:
                print(event_line(json.loads(entry.event.text)))
            else:
                await streams.append(entry.event, entry.shard)
        return len(seen)
