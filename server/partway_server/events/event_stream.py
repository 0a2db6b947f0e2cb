"""The event streams of all shards as one: read in order of time, and appended to.

For looking and for replay. Consumers that must receive every event have consumer groups of their
own, as docs/events.md shows.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from partway_server.domain.events import Event
from partway_server.redis_client.client import RedisClient, RedisCommand
from partway_server.redis_client.topology import RedisTopology
from partway_server.sessions import redis_keys as rows

logger = logging.getLogger(__name__)

_SHARDS = range(rows.SHARDS)
_PAGE = 100
"""How many entries of a shard are held at a time."""

Places = dict[int, str]
"""By shard: where to read from or to, in the form XRANGE takes."""


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """An event in its stream. Its place is (milliseconds, number), by the clock of Redis.

    One that is `hidden` is not for readers: it stands there a second time, for one webhook that had
    given it up, or it is garbled.
    """

    place: tuple[int, int]
    shard: int
    event: Event
    hidden: bool = False

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=self.place[0])


def places_at(time: datetime | None) -> Places:
    """Return the places at that time; None means where the streams begin."""
    return dict.fromkeys(_SHARDS, "-" if time is None else str(rows.moment_ms(time)))


def after(ends: Mapping[int, str]) -> Places:
    """Return the places that follow these."""
    return {shard: f"({end}" for shard, end in ends.items()}


class EventStreams:
    """The event streams in Redis. Every method raises SessionsUnavailable if it does not answer."""

    def __init__(self, servers: RedisTopology, *, patience: float = 2.5) -> None:
        self._calls = RedisClient(topology=servers, patience=patience)

    async def read(
        self, begins: Places, ends: Mapping[int, str] | None = None
    ) -> AsyncIterator[StreamEntry]:
        """Yield the entries that exist now from `begins` to `ends`, by place; `begins` move past
        them.

        A page of each shard is held. An entry may be yielded once no shard can still have an older
        one.
        """
        held: list[StreamEntry] = []
        reached: dict[int, tuple[int, int]] = dict.fromkeys(begins, (0, 0))
        while reached:
            horizon = min(reached.values())
            asked = [shard for shard, place in reached.items() if place == horizon]
            for shard, page in zip(
                asked, await self._pages(asked, begins, ends or {}), strict=True
            ):
                held += page
                if page:
                    begins[shard] = f"({page[-1].place[0]}-{page[-1].place[1]}"
                if len(page) < _PAGE:
                    del reached[shard]
                else:
                    reached[shard] = page[-1].place
            horizon = min(reached.values(), default=(1 << 64, 0))
            held.sort(key=_order)
            for entry in (ready := [entry for entry in held if entry.place <= horizon]):
                if not entry.hidden:
                    yield entry
            held = held[len(ready) :]

    async def ends(self) -> Places:
        """Return where each stream ends now."""
        answers = await self._calls.run_all([_newest(shard, "+", 1) for shard in _SHARDS])
        return {
            shard: answer[0][0].decode() if answer else "0-0"
            for shard, answer in zip(_SHARDS, answers, strict=True)
        }

    async def last(self, count: int, ends: Mapping[int, str]) -> list[StreamEntry]:
        """Return the last `count` entries up to `ends`, by place."""
        commands = [_newest(shard, ends[shard], count) for shard in _SHARDS]
        answers = zip(_SHARDS, await self._calls.run_all(commands), strict=True)
        found = (entry for shard, answer in answers for entry in _entries(shard, answer))
        return sorted((entry for entry in found if not entry.hidden), key=_order)[-count:]

    async def append(self, event: Event, shard: int) -> None:
        """Append an event to the stream of a shard, whether or not it is there already."""
        key = rows.events_key(shard)
        fields = zip(rows.EVENT_FIELDS, rows.event_values(event), strict=True)
        await self._calls.run(
            RedisCommand(key, ("XADD", key, "*", *(w for f in fields for w in f)))
        )

    async def _pages(
        self, shards: Iterable[int], begins: Mapping[int, str], ends: Mapping[int, str]
    ) -> list[list[StreamEntry]]:
        shards, commands = list(shards), []
        for shard in shards:
            key, span = rows.events_key(shard), (begins[shard], ends.get(shard, "+"))
            commands.append(RedisCommand(key, ("XRANGE", key, *span, "COUNT", _PAGE)))
        answers = await self._calls.run_all(commands)
        return [_entries(shard, answer) for shard, answer in zip(shards, answers, strict=True)]


def _order(entry: StreamEntry) -> tuple[tuple[int, int], int]:
    return entry.place, entry.shard


def _newest(shard: int, end: str, count: int) -> RedisCommand:
    key = rows.events_key(shard)
    return RedisCommand(key, ("XREVRANGE", key, end, "-", "COUNT", count))


def _entries(shard: int, answer: Any) -> list[StreamEntry]:
    found = []
    for place, fields in answer:
        milliseconds, _, number = place.decode().partition("-")
        # A mapping if redis-py parsed it, a flat list as Redis sends it.
        named = fields if isinstance(fields, dict) else rows.unflat(fields)
        hidden = b"webhook" in named
        try:
            event = Event(*(named[name.encode()].decode() for name in rows.EVENT_FIELDS))
        except (KeyError, UnicodeDecodeError):
            at = place.decode()
            logger.warning("the event at %s of shard %d is garbled, and left out", at, shard)
            event, hidden = Event("", "", "", ""), True
        found.append(StreamEntry((int(milliseconds), int(number)), shard, event, hidden))
    return found
