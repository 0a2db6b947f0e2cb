"""Compares what Redis counts as used with the session records that are there."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from partway_server.domain.upload import Upload
from partway_server.domain.usage import Standing, day_of, standing_of
from partway_server.redis_client.topology import connect
from partway_server.sessions.redis_keys import upload_from, usage_entry

Hashes = Mapping[str, Mapping[bytes, bytes]]
"""The hashes in Redis, by key."""

_READINGS = 5


async def read_hashes(client: Any) -> Hashes:
    """Read all session records and all usage of a server, at rest."""
    found: dict[str, Mapping[bytes, bytes]] = {}
    async for key in client.scan_iter("partway:{*}:*", count=1000):
        if key.split(b":")[2] in (b"upload", b"counted", b"usage"):
            found[key.decode()] = await client.hgetall(key)
    return found


async def usage_faults_at(url: str) -> list[str]:
    """Return the faults of a Redis, over all its masters, beside services that may still work.

    A fault counts if it is there in each of several readings.
    """
    servers = connect(url)
    async with contextlib.aclosing(servers):
        lasting: set[str] | None = None
        for _ in range(_READINGS):
            hashes: dict[str, Mapping[bytes, bytes]] = {}
            for server in await servers.masters():
                hashes |= await read_hashes(server)
            faults = set(usage_faults(hashes))
            lasting = faults if lasting is None else lasting & faults
            if not lasting:
                break
            await asyncio.sleep(1)
    return sorted(lasting or ())


def usage_faults(hashes: Hashes) -> list[str]:
    """Return a line for each number that is not what the records say."""
    by_kind: dict[str, dict[str, Mapping[bytes, bytes]]] = {"upload": {}, "counted": {}}
    by_kind["usage"] = {}
    for key, value in hashes.items():
        by_kind[key.split(":")[2]][key] = value
    uploads = {
        (key.split(":")[1], row[b"grant"]): upload_from(row, key.rpartition(":")[2])
        for key, row in by_kind["upload"].items()
    }
    shards = [(shard, upload) for (shard, _), upload in uploads.items()]
    return [*_entries(shards, by_kind["counted"]), *_sums(shards, by_kind["usage"])]


def _entries(shards: list[tuple[str, Upload]], counted: Hashes) -> Iterable[str]:
    expected = {
        (f"partway:{shard}:counted", upload.sid, usage_entry(upload.grant))
        for shard, upload in shards
        if standing_of(upload) is Standing.OPEN
    }
    found = {
        (k, s.decode(), e.decode()) for k, entries in counted.items() for s, e in entries.items()
    }
    for key, sid, entry in found - expected:
        yield f"{key} has {sid} ({entry}), which is not open"
    for key, sid, entry in expected - found:
        yield f"{key} lacks {sid} ({entry}), which is open"


def _sums(shards: list[tuple[str, Upload]], usage: Hashes) -> Iterable[str]:
    fields = ("open", "open_bytes", "day_bytes")
    days = {key: int(value.get(b"day", 0)) for key, value in usage.items()}
    expected: Counter[tuple[str, str]] = Counter()
    for shard, upload in shards:
        grant, standing = upload.grant, standing_of(upload)
        tenant, subject = (quote(n, safe="") for n in (grant.caller.tenant, grant.caller.subject))
        for key in (f"partway:{shard}:usage:{tenant}", f"partway:{shard}:usage:{tenant}:{subject}"):
            if standing is Standing.OPEN:
                expected[key, "open"] += 1
                expected[key, "open_bytes"] += grant.plan.size_bytes
            if standing is not Standing.NONE and day_of(grant.create_time) == days.get(key):
                expected[key, "day_bytes"] += grant.plan.size_bytes
    found = {
        (key, field): int(value.get(field.encode(), 0))
        for key, value in usage.items()
        for field in fields
    }
    for key, field in sorted(found.keys() | expected.keys()):
        counted, right = found.get((key, field), 0), expected[key, field]
        if counted != right:
            yield f"{key} has {field} {counted}, and the records have {right}"
