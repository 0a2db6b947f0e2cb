"""Ways to garble a session record in Redis, as an operator's mistake or a broken disk would."""

from collections.abc import Mapping
from typing import Any

import msgpack
from hypothesis import strategies as st
from redis.asyncio import Redis

Garbling = Mapping[str, bytes | None]
"""By field: what it becomes, None if it is removed. Without fields: the record is no hash."""

FIELDS = (
    *("grant", "state", "epoch", "lease_until", "reason", "object", "fingerprint", "digest"),
    *("manifest", "metadata", "sources", "parts", "parts_bytes"),
)

NEEDED = ("grant", "state", "epoch")
"""Fields without which no record can be read, whatever version wrote it."""

_NOT_A_RECORD = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=8),
    st.binary(max_size=8),
    st.lists(st.integers(0, 9), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=3),
)

_VALUES = st.one_of(
    st.just(None),
    st.binary(max_size=40),
    st.text(max_size=12).map(str.encode),
    st.integers(-(10**40), 10**40).map(lambda number: str(number).encode()),
    st.lists(_NOT_A_RECORD, max_size=24).map(msgpack.packb),
    _NOT_A_RECORD.map(msgpack.packb),
)

GARBLINGS = st.dictionaries(st.sampled_from(FIELDS), _VALUES, max_size=4)


async def garble(redis: Redis, key: str, how: Garbling) -> None:
    """Garble the record at this key."""
    if not how:
        await redis.delete(key)
        await redis.set(key, "not a record")
        return
    for name, value in how.items():
        if value is None:
            await redis.hdel(key, name)
        else:
            await redis.hset(key, name, value)


def with_one_changed(packed: bytes, index: int, value: Any) -> bytes:
    """Return a packed list with one of its items replaced."""
    items: list[Any] = msgpack.unpackb(packed)
    items[index % len(items)] = value
    changed: bytes = msgpack.packb(items)
    return changed
