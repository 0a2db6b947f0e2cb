"""Define the Redis keys, and the positions in the index of a caller's uploads. No I/O.

    partway:{NN}:upload:<sid>             hash: the session record, with `record_encoding.fields`
    partway:{NN}:due                      sorted set: sids by the time they are due, in ms
    partway:{NN}:own:<tenant>:<subject>   sorted set: a caller's sids by creation
    partway:{NN}:counted                  hash: `record_encoding.usage_entry` of each open upload
    partway:{NN}:usage:<tenant>           hash: open, open_bytes, day, day_bytes of a tenant
    partway:{NN}:usage:<tenant>:<subject> hash: the same of one subject
    partway:{NN}:events                   stream: events, with EVENT_FIELDS
    partway:{NN}:dead:<webhook>           stream: dead letters
    partway:{NN}:lease:<webhook>          hash: which process delivers the shard's events
    partway:{NN}:tries:<webhook>          hash: failed deliveries by the event's ID in the stream
    partway:{00}:workers:<webhook>        sorted set: delivering processes, by expiry
    partway:{00}:measured:<store>         string: a capability record that was measured, as TOML
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

from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

from partway_server.domain.grant import Caller, Grant
from partway_server.sessions.base import Cursor
from partway_server.sessions.script_arguments import moment_of

SHARDS = 64

CHANGES = "partway:changes"
"""The channel on which scripts publish the sids of changed records. Also in `prelude.lua`."""

KEEP = timedelta(days=30)
"""How long past its due time a record is kept if no janitor runs, by default. No decision depends
on it.
"""

EVENT_FIELDS = ("id", "type", "upload", "event")
"""The fields of a stream entry, in the order of `script_arguments.event_values`."""

_TYPES = {
    **dict.fromkeys(("upload", "counted", "usage", "lease", "tries"), "hash"),
    **dict.fromkeys(("due", "own", "workers"), "zset"),
    **dict.fromkeys(("events", "dead"), "stream"),
    **dict.fromkeys(("bucket", "measured"), "string"),
}
"""The type of a key by its kind, as the command TYPE names it."""

_TIME_DIGITS = 10


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


def measurement_key(store: str) -> str:
    """Return the key of what was measured of a store."""
    return _key(0, "measured", store)


def claim_keys(sid: str) -> tuple[str, str]:
    """Return the keys that a claim changes: row, due."""
    return row_key(sid), due_key(_shard(sid))


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
    return Cursor(moment_of(1000 * seconds), place[_TIME_DIGITS:])


def _shard(sid: str) -> int:
    return int(sid[-2:], 16) % SHARDS


def _key(shard: int, kind: str, *names: str) -> str:
    """Return a key. All keys are built here."""
    return ":".join((f"partway:{{{shard:02d}}}:{kind}", *map(_quoted, names)))


@lru_cache(maxsize=4096)
def _quoted(name: str) -> str:
    """Return a name percent-encoded. Each is in a dozen keys of one call."""
    return quote(name, safe="")
