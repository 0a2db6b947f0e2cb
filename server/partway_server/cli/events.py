"""`partway-server events`: look at what was told, and tell it again."""

import asyncio
import contextlib
import json
import os
import re
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

import click

from partway_server.cli.interrupt import raise_again
from partway_server.config.settings import Settings, variable
from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.events import TYPES

if TYPE_CHECKING:
    from partway_server.events.event_stream import EventStreams, StreamEntry

_POLL_SECONDS = 0.5
_SHOWN = 10
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FIRST = datetime.fromtimestamp(0, UTC)
_AGO = re.compile(rf"([0-9]{{1,30}})([{''.join(_UNITS)}])")
_SID = re.compile(r"[0-9a-f]{32}")

Command = Callable[..., None]


class CommandFailed(click.ClickException):
    """Something is in the way of a command."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"partway-server: {self.message}", file=file, err=file is None)


class CommandMisused(CommandFailed):
    """A command was called, or set up, in a way that makes no sense."""

    exit_code = 2


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """A time: so long ago, or as RFC 3339 has it; without a zone, in UTC."""
    if value is None:
        return None
    try:
        if ago := _AGO.fullmatch(value):
            # What is older than all events means all of them, and Redis has no times before 1970.
            past = timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            return max(_FIRST, datetime.now(UTC) - past)
        moment = datetime.fromisoformat(value)
    except OverflowError:
        return _FIRST
    except ValueError:
        words = f"{value!r} is neither like 15m nor like 2026-03-01T12:00:00Z"
        raise click.BadParameter(words, ctx, param) from None
    return max(_FIRST, moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _sid(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    if value and not _SID.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not 32 of 0-9 and a-f", ctx, param)
    return value or ""


@click.group()
def events() -> None:
    """See what was told of uploads, and tell it again.

    Every change of an upload is one event, in Redis, for consumers to process: docs/events.md says
    how. These commands need nothing but Redis.
    """


def redis_option(command: Command) -> Command:
    """--redis-url, for commands that need Redis alone."""
    return click.option(
        "--redis-url",
        metavar="VALUE",
        help=f"The Redis of the service.  [{variable('redis_url')}]",
    )(command)


def type_option(command: Command) -> Command:
    """--type, once or several times."""
    return click.option(
        "--type",
        "types",
        multiple=True,
        type=click.Choice(TYPES),
        metavar="TYPE",
        help=f"Only these; may be repeated: {', '.join(TYPES)}.",
    )(command)


@events.command()
@redis_option
@type_option
@click.option(
    "--since",
    metavar="TIME",
    callback=_moment,
    help="From this time on: 15m, 2h, 7d ago, or 2026-03-01T12:00:00Z.",
)
@click.option(
    "--upload", metavar="SID", callback=_sid, help="Only of this upload, by the sid that logs show."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Each as its CloudEvent, a line of JSON.")
def tail(
    redis_url: str | None,
    types: Sequence[str],
    since: datetime | None,
    upload: str,
    follow: bool,
    as_json: bool,
) -> None:
    """Print events in order of time: without --since the last ten.

    It only looks: no consumer misses an event for it.

    \b
    What was completed in the last hour, and from now on:
      partway-server events tail --since 1h --follow --type upload.completed
      2026-03-01 12:00:07.114  upload.completed  9f2c...  s3://uploads/default/...  1,048,576 bytes

    \b
    The keys of all that is stored, for a script:
      partway-server events tail --since 7d --json | jq -r .data.key
    """
    wanted = EventFilter(types, upload)
    with _ending():
        asyncio.run(_tail(_url(redis_url), wanted, since, follow=follow, as_json=as_json))


@events.command()
@redis_option
@type_option
@click.option("--since", metavar="TIME", callback=_moment, help="From this time on, as for tail.")
@click.option(
    "--until", metavar="TIME", callback=_moment, help="Up to this time; without it, up to now."
)
@click.option(
    "--upload", metavar="SID", callback=_sid, help="Only of this upload, by the sid that logs show."
)
@click.option("--dry-run", is_flag=True, help="Print what would be told again, and change nothing.")
def replay(
    redis_url: str | None,
    types: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    upload: str,
    dry_run: bool,
) -> None:
    """Tell stored events again, to all consumers.

    Each event of the time, or of the upload, is put once more at the end of its stream, as it is
    and with the id that it matches. So every consumer group, and every webhook, gets it again; one that
    knows the ids that it matches processed passes over it. Of several with one id one is told again.
    What was trimmed from the streams cannot be: see PARTWAY_EVENT_KEEP_SECONDS.

    \b
    After a consumer has thrown away what it got this morning:
      partway-server events replay --since 2026-03-01T06:00:00Z --until 2026-03-01T12:00:00Z

    \b
    For one upload, looking first:
      partway-server events replay --upload 9f2c... --dry-run
    """
    if since is None and not upload:
        raise CommandMisused("say what: --since, --upload, or both")
    wanted = EventFilter(types, upload)
    with _ending():
        count = asyncio.run(_replay(_url(redis_url), wanted, since, until, dry_run=dry_run))
    click.echo(f"{count:,} {'would be ' if dry_run else ''}told again")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: of these types, of this upload; empty: all."""

    types: Collection[str]
    sid: str

    def matches(self, entry: "StreamEntry") -> bool:
        event = entry.event
        return event.type in (self.types or TYPES) and self.sid in ("", event.sid)


def line(event: Mapping[str, Any]) -> str:
    """A CloudEvent for a person."""
    data = event["data"]
    time = event["time"].replace("T", " ").removesuffix("Z")
    told = f"{data['size_bytes']:,} bytes"
    if data["abort_reason"]:
        told += f", {data['abort_reason']}"
    return f"{time}  {event['type']:18}  {event['subject']}  {data['uri']}  {told}"


async def _tail(
    url: str, wanted: EventFilter, since: datetime | None, *, follow: bool, as_json: bool
) -> None:
    from partway_server.events.event_stream import after

    def show(entry: "StreamEntry") -> None:
        text = entry.event.text
        print(text if as_json else line(json.loads(text)), flush=True)

    async with _streams(url) as streams:
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
    """What is wanted since then, or the last few of it."""
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
    # Which are the last of these, only the whole tells.
    last: deque[StreamEntry] = deque(maxlen=_SHOWN)
    async for entry in found:
        last.append(entry)
    for entry in last:
        yield entry


async def _replay(
    url: str, wanted: EventFilter, since: datetime | None, until: datetime | None, *, dry_run: bool
) -> int:
    from partway_server.events.event_stream import places_at

    async with _streams(url) as streams:
        # Without an end, what is told again here would be met again.
        ends = await streams.ends() if until is None else places_at(until)
        seen: set[str] = set()
        async for entry in streams.read(places_at(since), ends):
            if not wanted.matches(entry) or entry.event.id in seen:
                continue
            seen.add(entry.event.id)
            if dry_run:
                print(line(json.loads(entry.event.text)))
            else:
                await streams.append(entry.event, entry.shard)
        return len(seen)


@contextlib.asynccontextmanager
async def _streams(url: str) -> AsyncIterator["EventStreams"]:
    # Slow to import.
    from partway_server.events.event_stream import EventStreams
    from partway_server.redis_client.topology import connect

    try:
        servers = connect(url, max_connections=4)
    except ValueError as error:
        raise CommandMisused(
            "PARTWAY_REDIS_URL is not a URL that Redis clients understand"
        ) from error
    try:
        yield EventStreams(servers)
    finally:
        await servers.aclose()


@contextlib.contextmanager
def _ending() -> Any:
    """What may end a command in its middle, in words."""
    try:
        raise_again()
        yield
    except SessionsUnavailable as error:
        raise CommandFailed(
            "Redis does not answer or let us in; check PARTWAY_REDIS_URL"
        ) from error
    except KeyboardInterrupt:
        sys.exit(0)


def _url(given: str | None) -> str:
    settings, problems = Settings.examine(os.environ, {"redis_url": given})
    for problem in problems:
        if variable("redis_url") in problem:
            raise CommandMisused(problem)
    return settings.redis_url
