"""What the commands of `partway-server events` share: options, the filter, Redis, failures."""

import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
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

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FIRST = datetime.fromtimestamp(0, UTC)
_AGO = re.compile(rf"([0-9]{{1,30}})([{''.join(_UNITS)}])")
_SID = re.compile(r"[0-9a-f]{32}")

Command = Callable[..., None]


class CommandFailed(click.ClickException):
    """A command cannot do its work."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"partway-server: {self.message}", file=file, err=file is None)


class InvalidInvocation(CommandFailed):
    """A command was called, or configured, in a way that makes no sense."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to take: of these types, of this upload; empty means all."""

    types: Collection[str]
    sid: str

    def matches(self, entry: "StreamEntry") -> bool:
        event = entry.event
        return event.type in (self.types or TYPES) and self.sid in ("", event.sid)


def redis_option(command: Command) -> Command:
    """Add --redis-url, for commands that need only Redis."""
    return click.option(
        "--redis-url",
        metavar="VALUE",
        help=f"The Redis of the service.  [{variable('redis_url')}]",
    )(command)


def type_option(command: Command) -> Command:
    """Add --type, which may be repeated."""
    return click.option(
        "--type",
        "types",
        multiple=True,
        type=click.Choice(TYPES),
        metavar="TYPE",
        help=f"Only these; may be repeated: {', '.join(TYPES)}.",
    )(command)


def upload_option(command: Command) -> Command:
    """Add --upload."""
    return click.option(
        "--upload",
        metavar="SID",
        callback=_sid,
        help="Only events of this upload, by the sid that logs show.",
    )(command)


def time_option(flag: str, help: str) -> Callable[[Command], Command]:
    """Return an option that takes a time."""
    return click.option(flag, metavar="TIME", callback=_moment, help=help)


def configured_redis_url(given: str | None) -> str:
    """Return the URL of Redis, from the flag or the environment. Raises InvalidInvocation."""
    settings, problems = Settings.examine(os.environ, {"redis_url": given})
    for problem in problems:
        if variable("redis_url") in problem:
            raise InvalidInvocation(problem)
    return settings.redis_url


@contextlib.asynccontextmanager
async def open_streams(url: str) -> AsyncIterator["EventStreams"]:
    """Open the event streams of the Redis at `url`. Raises InvalidInvocation."""
    # Slow to load.
    from partway_server.events.event_stream import EventStreams
    from partway_server.redis_client.topology import connect

    try:
        servers = connect(url, max_connections=4)
    except ValueError as error:
        raise InvalidInvocation("PARTWAY_REDIS_URL is not a valid Redis URL") from error
    try:
        yield EventStreams(servers)
    finally:
        await servers.aclose()


@contextlib.contextmanager
def reporting_failures() -> Iterator[None]:
    """Turn a lost Redis into a message, and Ctrl-C into exit code 0."""
    try:
        raise_again()
        yield
    except SessionsUnavailable as error:
        words = "Redis does not answer or refuses access; check PARTWAY_REDIS_URL"
        raise CommandFailed(words) from error
    except KeyboardInterrupt:
        sys.exit(0)


def event_line(event: Mapping[str, Any]) -> str:
    """Format a CloudEvent as a line for a person."""
    data = event["data"]
    time = event["time"].replace("T", " ").removesuffix("Z")
    detail = f"{data['size_bytes']:,} bytes"
    if data["abort_reason"]:
        detail += f", {data['abort_reason']}"
    return f"{time}  {event['type']:18}  {event['subject']}  {data['uri']}  {detail}"


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Parse a time: an age such as 15m, or RFC 3339; UTC if it names no zone."""
    if value is None:
        return None
    try:
        if ago := _AGO.fullmatch(value):
            # An age beyond the first event means all events; Redis has no times before 1970.
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
