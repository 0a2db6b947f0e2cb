"""What Redis holds of an Upload: the keys, and how a row is written. No I/O.

    partway:{NN}:upload:<sid>             hash: the row, its fields as in `fields`
    partway:{NN}:due                      sorted set: sids by the time they are due, in ms
    partway:{NN}:own:<tenant>:<subject>   sorted set: a caller's sids by creation
    partway:{NN}:events                   stream: what was told, fields as in EVENT_FIELDS
    partway:{NN}:dead:<webhook>           stream: events whose delivery was given up
    partway:{NN}:lease:<webhook>          hash: which process delivers the shard's events
    partway:{NN}:tries:<webhook>          hash: failed deliveries by the event's id in the stream
    partway:{00}:workers:<webhook>        sorted set: processes that deliver, by when they count out

NN is one of 64 shards, chosen by the sid's last byte: the first ones order the Uploads of one
second, and neighbours on a page should be in different shards. It is the hash tag, so that all a
script touches is in one slot. Names are percent-encoded. Members of `own` all score 0 and begin
with the creation time in hex, so that a page begins exactly where the last one ended, however many
share a second, and that a span of time is a range of the index.

What bounds `own`: a position goes in with its row, in one script, and out with it when a janitor
forgets the Upload. Where no janitor came and the row ended by its time to live, the next listing
that passes takes the position out; and the whole index ends with the last row that it was made
for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgpack

from partway_server.domain.events import Event
from partway_server.domain.grant import Caller, CopySource, Grant
from partway_server.domain.part_plan import Plan
from partway_server.domain.upload import AbortReason, ReportedParts, State, StoredObject, Upload
from partway_server.sessions.base import Cursor

SHARDS = 64

CHANGES = "partway:changes"
"""The channel on which scripts tell the sids of rows that they changed. Named in `prelude.lua`."""

KEEP = timedelta(days=30)
"""How long past its due time a row stays if no janitor comes. Decides nothing."""

EVENT_FIELDS = ("id", "type", "upload", "event")
"""The fields of an entry in a stream, in the order of `event_values`."""

_TIME_DIGITS = 10
_EPOCH = datetime.fromtimestamp(0, UTC)


def row_key(sid: str) -> str:
    return _key(_shard(sid), "upload", sid)


def row_prefix(shard: int) -> str:
    """What the keys of a shard's rows begin with; the sid follows."""
    return _key(shard, "upload", "")


def due_key(shard: int) -> str:
    return _key(shard, "due")


def shard_of(sid: str) -> int:
    """The shard that a row is in."""
    return _shard(sid)


def events_key(shard: int) -> str:
    return _key(shard, "events")


def dead_key(shard: int, webhook: str) -> str:
    return _key(shard, "dead", webhook)


def webhook_key(shard: int, kind: str, webhook: str) -> str:
    """What is remembered of a webhook in a shard: `kind` is lease, tries or workers."""
    return _key(shard, kind, webhook)


def sight(upload: Upload) -> tuple[bytes, int, str]:
    """What tells a row that has not changed: the write token, the epoch, the state."""
    return bytes.fromhex(upload.grant.write_token), upload.epoch, upload.state


def own_key(shard: int, caller: Caller) -> str:
    return _key(shard, "own", caller.tenant, caller.subject)


def keys_of(grant: Grant) -> tuple[str, str, str]:
    """The keys of a row and of the two indexes it is in: row, due, own."""
    return *claim_keys(grant.sid), own_key(_shard(grant.sid), grant.caller)


def change_keys(grant: Grant) -> tuple[str, str, str, str]:
    """The keys of a change that is told: row, due, own, events."""
    return *keys_of(grant), events_key(_shard(grant.sid))


def claim_keys(sid: str) -> tuple[str, str]:
    """The keys that a claim changes: row, due."""
    return row_key(sid), due_key(_shard(sid))


def fields(upload: Upload) -> dict[str, str | bytes | int]:
    """A row but for lease_until, mark and told, which scripts write. Empty stands for None."""
    stored = upload.object
    packed = msgpack.packb(_stored(stored)) if stored else b""
    return {
        "grant": upload.grant.pack(),
        "policy": upload.grant.policy,
        "state": upload.state,
        "epoch": upload.epoch,
        "reason": upload.abort_reason or "",
        "object": packed,
        "fingerprint": upload.fingerprint,
        "digest": upload.request_digest,
        "manifest": upload.manifest,
        "metadata": b"" if upload.metadata is None else msgpack.packb(dict(upload.metadata)),
        # Only a composed Upload has any, and rows from before there were such are as they are.
        **({"sources": _packed_sources(upload)} if upload.sources else {}),
        "parts": upload.reported.parts,
        "parts_bytes": upload.reported.size_bytes,
    }


def event_values(event: Event | None) -> tuple[str, str, str, str]:
    """The values of EVENT_FIELDS, as scripts take them. Empty stands for none."""
    return (event.id, event.type, event.sid, event.text) if event else ("", "", "", "")


def _packed_sources(upload: Upload) -> bytes:
    packed: bytes = msgpack.packb((upload.delete_sources, [astuple(s) for s in upload.sources]))
    return packed


def _stored(stored: StoredObject) -> tuple[int | str | bytes, ...]:
    # Without a checksum as before there was one, for the processes of an older version.
    added = (stored.checksum,) if stored.checksum else ()
    return stored.size_bytes, stored.etag, stored.version_id, *added


def upload_from(row: Mapping[bytes, bytes]) -> Upload:
    """The Upload in a row as HGETALL answers it."""
    lease_until, reason, stored = row[b"lease_until"], row[b"reason"], row[b"object"]
    # A row from before there were events has none.
    metadata = row.get(b"metadata")
    delete, sources = msgpack.unpackb(row[b"sources"]) if b"sources" in row else (False, ())
    return Upload(
        grant=Grant.unpack(row[b"grant"]),
        state=State(row[b"state"].decode()),
        epoch=int(row[b"epoch"]),
        lease_until=_EPOCH + timedelta(milliseconds=int(lease_until)) if lease_until else None,
        abort_reason=AbortReason(reason.decode()) if reason else None,
        object=StoredObject(*msgpack.unpackb(stored)) if stored else None,
        fingerprint=row[b"fingerprint"].decode(),
        request_digest=row[b"digest"],
        manifest=row[b"manifest"],
        metadata=msgpack.unpackb(metadata) if metadata else None,
        sources=tuple(CopySource(*source) for source in sources),
        delete_sources=delete,
        # Rows of an older version have none.
        reported=ReportedParts(row.get(b"parts", b""), int(row.get(b"parts_bytes", 0))),
    )


def position(create_time: datetime, sid: str) -> str:
    """The member of `own`: sorts as (create_time, sid) does."""
    return f"{int(create_time.timestamp()):0{_TIME_DIGITS}x}{sid}"


def bounds(
    before: Cursor | None, created_from: datetime | None, created_before: datetime | None
) -> tuple[str, str]:
    """The lowest and the highest position of a page, as ZREVRANGEBYLEX takes them."""
    ends = [position(created_before, "")] if created_before else []
    if before:
        ends.append(position(before.create_time, before.sid))
    return (
        f"[{position(created_from, '')}" if created_from else "-",
        f"({min(ends)}" if ends else "+",
    )


def cursor_at(place: str) -> Cursor:
    """The Cursor of a `position`."""
    seconds = int(place[:_TIME_DIGITS], 16)
    return Cursor(_EPOCH + timedelta(seconds=seconds), place[_TIME_DIGITS:])


def moment_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def span_ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def words(states: Iterable[State]) -> str:
    """States as scripts take them: ' one two '."""
    return f" {' '.join(states)} "


def flat(pairs: Mapping[str, str | bytes | int]) -> Iterable[str | bytes | int]:
    return (item for pair in pairs.items() for item in pair)


def spans(plan: Plan, numbers: Iterable[int]) -> list[tuple[int, int, int]]:
    """Parts as scripts take them: runs of one size, as (first, last, size of each)."""
    found: list[tuple[int, int, int]] = []
    for number in sorted(numbers):
        size = plan.size(number)
        if found and found[-1][1:] == (number - 1, size):
            found[-1] = (found[-1][0], number, size)
        else:
            found.append((number, number, size))
    return found


def unflat(items: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _shard(sid: str) -> int:
    return int(sid[-2:], 16) % SHARDS


def _key(shard: int, kind: str, *names: str) -> str:
    """Every key there is is made here."""
    return ":".join((f"partway:{{{shard:02d}}}:{kind}", *(quote(name, safe="") for name in names)))
