"""Define the Redis keys and the stored form of session records. No I/O.

    partway:{NN}:upload:<sid>             hash: the session record, with `fields`
    partway:{NN}:due                      sorted set: sids by the time they are due, in ms
    partway:{NN}:own:<tenant>:<subject>   sorted set: a caller's sids by creation
    partway:{NN}:counted                  hash: the `usage_entry` of each open upload, by its sid
    partway:{NN}:usage:<tenant>           hash: open, open_bytes, day, day_bytes of a tenant
    partway:{NN}:usage:<tenant>:<subject> hash: the same of one subject
    partway:{NN}:events                   stream: events, with EVENT_FIELDS
    partway:{NN}:dead:<webhook>           stream: dead letters
    partway:{NN}:lease:<webhook>          hash: which process delivers the shard's events
    partway:{NN}:tries:<webhook>          hash: failed deliveries by the event's ID in the stream
    partway:{00}:workers:<webhook>        sorted set: delivering processes, by expiry
    partway:{rates.<tenant>}:bucket:...   string: a bucket of tokens, as the time when it is full

NN is one of 64 shards, chosen by the sid's last byte: the first bytes order the uploads of one
second, and neighbours on a page should be in different shards. It is the hash tag, so that
everything a script accesses is in one slot. Names are percent-encoded. Members of `own` all score 0
and begin with the creation time in hex, so that a page begins exactly where the last one ended,
however many share a second, and a period of time is a range of the index.

`own` is bounded: a position is added with its record, in one script, and removed with it when a
janitor removes the record. If a record expired by its time to live instead, the next listing that
reaches its position removes it; and the whole index expires with the last record in it.

What a caller uses is the sum over the shards. It is counted in the script that changes the record,
and a usage hash goes when nothing is left in it; see `usage_prelude.lua`.
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
from partway_server.domain.usage import day_of
from partway_server.sessions.base import Cursor
from partway_server.sessions.record_check import is_plausible

SHARDS = 64

CHANGES = "partway:changes"
"""The channel on which scripts publish the sids of changed records. Also in `prelude.lua`."""

KEEP = timedelta(days=30)
"""How long past its due time a record is kept if no janitor runs. No decision depends on it."""

EVENT_FIELDS = ("id", "type", "upload", "event")
"""The fields of a stream entry, in the order of `event_values`."""

_TYPES = {
    **dict.fromkeys(("upload", "counted", "usage", "lease", "tries"), "hash"),
    **dict.fromkeys(("due", "own", "workers"), "zset"),
    **dict.fromkeys(("events", "dead"), "stream"),
    "bucket": "string",
}
"""The type of a key by its kind, as the command TYPE names it."""

_TIME_DIGITS = 10
_EPOCH = datetime.fromtimestamp(0, UTC)


class GarbledRecord(Exception):
    """A session record that Partway cannot have written as it is. The message has none of it."""


def row_key(sid: str) -> str:
    return _key(_shard(sid), "upload", sid)


def row_prefix(shard: int) -> str:
    """Return the prefix of the keys of a shard's records; the sid follows."""
    return _key(shard, "upload", "")


def due_key(shard: int) -> str:
    return _key(shard, "due")


def shard_of(sid: str) -> int:
    """Return the shard of a record."""
    return _shard(sid)


def events_key(shard: int) -> str:
    return _key(shard, "events")


def dead_key(shard: int, webhook: str) -> str:
    return _key(shard, "dead", webhook)


def webhook_key(shard: int, kind: str, webhook: str) -> str:
    """Return the key of a webhook's state in a shard: `kind` is lease, tries or workers."""
    return _key(shard, kind, webhook)


def type_of(key: str) -> str:
    """Return the type that a key must have, as the command TYPE names it; "" if that is unknown."""
    return _TYPES.get(key.split(":")[2], "")


def is_key(word: str) -> bool:
    """Return whether a word of a command is one of our keys."""
    return word.startswith("partway:{")


def tag_of(key: str) -> str:
    """Return the hash tag of a key: keys that share it are in one slot."""
    return key.split(":")[1]


def sight(upload: Upload) -> tuple[bytes, int, str]:
    """Return what identifies a version of a record: the write token, the epoch, the state."""
    return bytes.fromhex(upload.grant.write_token), upload.epoch, upload.state


def own_key(shard: int, caller: Caller) -> str:
    return _key(shard, "own", caller.tenant, caller.subject)


def keys_of(grant: Grant) -> tuple[str, str, str]:
    """Return the keys of a record and of its two indexes: row, due, own."""
    return *claim_keys(grant.sid), own_key(_shard(grant.sid), grant.caller)


def change_keys(grant: Grant) -> tuple[str, ...]:
    """Return the keys of a change with an event: row, due, own, events, and those of its usage."""
    return *keys_of(grant), events_key(_shard(grant.sid)), *usage_keys(grant)


def usage_keys(grant: Grant) -> tuple[str, str, str]:
    """Return the keys in which an upload is counted: counted, usage of tenant and of subject."""
    shard, caller = _shard(grant.sid), grant.caller
    return counted_key(shard), tenant_usage_key(shard, caller), subject_usage_key(shard, caller)


def counted_key(shard: int) -> str:
    return _key(shard, "counted")


def tenant_usage_key(shard: int, caller: Caller) -> str:
    return _key(shard, "usage", caller.tenant)


def subject_usage_key(shard: int, caller: Caller) -> str:
    return _key(shard, "usage", caller.tenant, caller.subject)


def shard_prefix(shard: int) -> str:
    """Return the prefix of all keys of a shard."""
    return _key(shard, "")


def bucket_key(name: str, tenant: str, subject: str | None) -> str:
    """Return the key of a bucket of tokens, of one subject or, if None, of the tenant."""
    ends = (name,) if subject is None else (name, quote(subject, safe=""))
    return ":".join((f"partway:{{rates.{quote(tenant, safe='')}}}:bucket", *ends))


def usage_entry(grant: Grant) -> str:
    """Return what `counted` holds of an upload: its size, its day, its tenant and subject."""
    names = (quote(name, safe="") for name in (grant.caller.tenant, grant.caller.subject))
    return " ".join((str(grant.plan.size_bytes), str(day_of(grant.create_time)), *names))


def claim_keys(sid: str) -> tuple[str, str]:
    """Return the keys that a claim changes: row, due."""
    return row_key(sid), due_key(_shard(sid))


def fields(upload: Upload) -> dict[str, str | bytes | int]:
    """Return the fields of a record, except those that scripts set: lease_until, mark and the type
    of the last event. Empty stands for None.
    """
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
        # Only composed uploads have any, and records of older versions stay as they are.
        **({"sources": _packed_sources(upload)} if upload.sources else {}),
        "parts": upload.reported.parts,
        "parts_bytes": upload.reported.size_bytes,
    }


def event_values(event: Event | None) -> tuple[str, str, str, str]:
    """Return the values of EVENT_FIELDS as arguments of scripts. Empty stands for no event."""
    return (event.id, event.type, event.sid, event.text) if event else ("", "", "", "")


def _packed_sources(upload: Upload) -> bytes:
    packed: bytes = msgpack.packb((upload.delete_sources, [astuple(s) for s in upload.sources]))
    return packed


def _stored(stored: StoredObject) -> tuple[int | str | bytes, ...]:
    # Without a checksum in the old form, for processes of an older version.
    added = (stored.checksum,) if stored.checksum else ()
    return stored.size_bytes, stored.etag, stored.version_id, *added


def upload_from(row: Mapping[bytes, bytes], sid: str = "") -> Upload:
    """Return the upload in a record as HGETALL returns it. Raises GarbledRecord.

    If a `sid` is given, the record must be of that upload.
    """
    try:
        upload = _parsed(row)
        if not is_plausible(upload) or sid not in ("", upload.sid):
            raise GarbledRecord
    except Exception:
        # Whatever a parser raises; and not from it, because its text may have part of the record.
        raise GarbledRecord from None
    return upload


def _parsed(row: Mapping[bytes, bytes]) -> Upload:
    lease_until, reason, stored = row[b"lease_until"], row[b"reason"], row[b"object"]
    # A record from before there were events has no metadata.
    metadata = row.get(b"metadata")
    delete, sources = msgpack.unpackb(row[b"sources"]) if b"sources" in row else (False, ())
    return Upload(
        grant=Grant.unpack(row[b"grant"]),
        state=State(row[b"state"].decode()),
        epoch=_number(row[b"epoch"]),
        lease_until=_EPOCH + timedelta(milliseconds=_number(lease_until)) if lease_until else None,
        abort_reason=AbortReason(reason.decode()) if reason else None,
        object=StoredObject(*msgpack.unpackb(stored)) if stored else None,
        fingerprint=row[b"fingerprint"].decode(),
        request_digest=row[b"digest"],
        manifest=row[b"manifest"],
        metadata=msgpack.unpackb(metadata) if metadata else None,
        sources=tuple(CopySource(*source) for source in sources),
        delete_sources=delete,
        # Records of an older version have no reports.
        reported=ReportedParts(row.get(b"parts", b""), _number(row.get(b"parts_bytes", b"0"))),
    )


def _number(digits: bytes) -> int:
    # Scripts calculate with it; int() accepts more than Lua does.
    if not digits.isdigit():
        raise ValueError
    return int(digits)


def position(create_time: datetime, sid: str) -> str:
    """Return the member of `own`, which sorts as (create_time, sid) does."""
    return f"{int(create_time.timestamp()):0{_TIME_DIGITS}x}{sid}"


def bounds(
    before: Cursor | None, created_from: datetime | None, created_before: datetime | None
) -> tuple[str, str]:
    """Return the lowest and the highest position of a page, for ZREVRANGEBYLEX."""
    ends = [position(created_before, "")] if created_before else []
    if before:
        ends.append(position(before.create_time, before.sid))
    return (
        f"[{position(created_from, '')}" if created_from else "-",
        f"({min(ends)}" if ends else "+",
    )


def cursor_at(place: str) -> Cursor:
    """Return the Cursor of a `position`."""
    seconds = int(place[:_TIME_DIGITS], 16)
    return Cursor(_EPOCH + timedelta(seconds=seconds), place[_TIME_DIGITS:])


def moment_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def span_ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def words(states: Iterable[State]) -> str:
    """Return states as an argument of scripts: ' one two '."""
    return f" {' '.join(states)} "


def flat(pairs: Mapping[str, str | bytes | int]) -> Iterable[str | bytes | int]:
    return (item for pair in pairs.items() for item in pair)


def spans(plan: Plan, numbers: Iterable[int]) -> list[tuple[int, int, int]]:
    """Return parts as arguments of scripts: runs of one size, as (first, last, size of each)."""
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
    """Return a key. All keys are built here."""
    return ":".join((f"partway:{{{shard:02d}}}:{kind}", *(quote(name, safe="") for name in names)))
