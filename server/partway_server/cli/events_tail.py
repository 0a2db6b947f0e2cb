"""`partway-server events tail`: print stored events, and follow new ones."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from partway_server.cli.event_options import (
    EventFilter,
    configured_redis_url,
    event_line,
    open_streams,
    redis_option,
    reporting_failures,
    time_option,
    type_option,
    upload_option,
)

if TYPE_CHECKING:
    from partway_server.events.event_stream import EventStreams, StreamEntry

_POLL_SECONDS = 0.5
_SHOWN = 10


@click.command()
@redis_option
@type_option
@time_option("--since", "Events since this time: 15m, 2h, 7d ago, or 2026-03-01T12:00:00Z.")
@upload_option
@click.option("-f", "--follow", is_flag=True, help="Print new events too, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print each CloudEvent as a line of JSON.")
def tail(
    redis_url: str | None,
    types: Sequence[str],
    since: datetime | None,
    upload: str,
    follow: bool,
    as_json: bool,
) -> None:
    """Print events in order of time; without --since the last ten.

    It only reads: no consumer misses an event because of it.

    \b
    What was completed in the last hour, and from now on:
      partway-server events tail --since 1h --follow --type upload.completed
      2026-03-01 12:00:07.114  upload.completed  9f2c...  s3://uploads/default/...  1,048,576 bytes

    \b
    The keys of everything that was stored, for a script:
      partway-server events tail --since 7d --json | jq -r .data.key
    """
    wanted = EventFilter(types, upload)
    with reporting_failures():
        asyncio.run(
            _tail(configured_redis_url(redis_url), wanted, since, follow=follow, as_json=as_json)
        )


async def _tail(
    url: str, wanted: EventFilter, since: datetime | None, *, follow: bool, as_json: bool
) -> None:
    from partway_server.events.event_stream import after

    def show(entry: "StreamEntry") -> None:
        text = entry.event.text
        print(text if as_json else event_line(json.loads(text)), flush=True)

    async with open_streams(url) as streams:
        ends = await streams.ends()
        async for entry in _stored(streams, wanted, since, ends):
            show(entry)
        places = after(ends)
        while follow:
            async for entry in streams.read(places):
                if wanted.matches(entry):
                    show(entry)
            await asyncio.sleep(_POLL_SECONDS)


async def _stored(
    streams: "EventStreams", wanted: EventFilter, since: datetime | None, ends: Mapping[int, str]
) -> AsyncIterator["StreamEntry"]:
    """Yield the wanted events since then, or the last few of them."""
    from partway_server.events.event_stream import places_at

    if since is None and not wanted.types and not wanted.sid:
        for entry in await streams.last(_SHOWN, ends):
            yield entry
        return
    found = (e async for e in streams.read(places_at(since), ends) if wanted.matches(e))
    if since is not None:
        async for entry in found:
            yield entry
        return
    # Only a full read shows which of the wanted events are the last.
    last: deque[StreamEntry] = deque(maxlen=_SHOWN)
    async for entry in found:
        last.append(entry)
    for entry in last:
        yield entry
