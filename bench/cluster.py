"""Times the session store over a Redis Cluster of three masters, empty and with millions of rows.

Run it as `python -m bench.cluster [ROWS]`, by default 10,000,000, for about 10 GB of memory. The
store inserts one upload for each caller and shard; a script on each master then copies these
under other IDs, with their entries in the indexes, so that every row is as the service writes it.
The last line of output is one JSON object.
"""

import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from partway_server.domain.clock import SystemClock
from partway_server.domain.grant import Caller
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import State
from partway_server.redis_client.topology import connect
from partway_server.sessions import redis_keys
from partway_server.sessions.redis_store import RedisSessionStore
from redis.crc import key_slot

from bench.overload import percentiles
from tests.support.redis_cluster import Cluster, start_cluster
from tests.support.uploads import an_upload, sid_of

CALLERS = 100
CALLS = 2000
AT_ONCE = 8
BATCH = 2500
LEASE = timedelta(seconds=30)
TABLE = ("insert", "look", "claim", "renew", "list 100", "take 100 due", "usage")

COPY = """
local function replaced(text, old, new)
  local out, at = {}, 1
  while true do
    local first, last = string.find(text, old, at, true)
    if not first then
      out[#out + 1] = string.sub(text, at)
      return table.concat(out)
    end
    out[#out + 1] = string.sub(text, at, first - 1) .. new
    at = last + 1
  end
end

local function raw(hex)
  return (string.gsub(hex, '..', function(pair) return string.char(tonumber(pair, 16)) end))
end

-- KEYS: row, due, own, counted. ARGV: sid, position without the sid, first, last, due, spread
local sid = ARGV[1]
local grant = redis.call('HGET', KEYS[1], 'grant')
local counted = redis.call('HGET', KEYS[4], sid)
local ttl = redis.call('PTTL', KEYS[1])
for n = ARGV[3], ARGV[4] do
  local another = string.format('%08x', n) .. string.sub(sid, 9)
  local row = replaced(KEYS[1], sid, another)
  redis.call('COPY', KEYS[1], row)
  local own = replaced(replaced(grant, sid, another), raw(sid), raw(another))
  redis.call('HSET', row, 'grant', own)
  redis.call('PEXPIRE', row, ttl)
  redis.call('ZADD', KEYS[2], ARGV[5] + n * ARGV[6], another)
  redis.call('ZADD', KEYS[3], 0, ARGV[2] .. another)
  redis.call('HSET', KEYS[4], another, counted)
end
"""


def caller(number: int) -> Caller:
    return Caller(f"tenant{number % 10}", f"subject{number}")


def upload_of(name: object, who: Caller, now: datetime) -> Any:
    return an_upload(sid=sid_of(name), caller=who, create_time=now)


def templates(now: datetime) -> list[Any]:
    """Return an upload of each caller in each shard."""
    found: list[Any] = []
    for number in range(CALLERS):
        missing = set(range(redis_keys.SHARDS))
        for attempt in itertools.count():
            upload = upload_of((number, attempt), caller(number), now)
            if (shard := redis_keys.shard_of(upload.sid)) in missing:
                missing.discard(shard)
                found.append(upload)
            if not missing:
                break
    return found


def fill(cluster: Cluster, models: list[Any], rows: int, now: datetime) -> None:
    """Copy the models until there are that many rows, due from a day later on."""
    each = rows // len(models)
    due = int((now + timedelta(days=1)).timestamp() * 1000)
    for done, model in enumerate(models):
        shard = redis_keys.shard_of(model.sid)
        row, due_index, own = redis_keys.keys_of(model.grant)
        place = redis_keys.position(model.grant.create_time, "")
        node = cluster.node(cluster.owner(key_slot(row.encode())))
        copy = node.register_script(COPY)
        for first in range(1, each + 1, BATCH):
            last = min(first + BATCH - 1, each)
            copy(
                keys=[row, due_index, own, redis_keys.counted_key(shard)],
                args=[model.sid, place, first, last, due, 1000],
            )
        if done % 64 == 0 and sys.stderr.isatty():
            print(f"\r{each * (done + 1):,} rows", end="", file=sys.stderr, flush=True)


async def timed(calls: int, call: Callable[[int], Awaitable[Any]]) -> list[float]:
    """Return p50 and p99 in milliseconds of that many calls, some at a time."""
    numbers, taken = iter(range(calls)), list[float]()

    async def work() -> None:
        for number in numbers:
            began = time.perf_counter()
            await call(number)
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return percentiles(taken)


async def measure(store: RedisSessionStore, label: str, now: datetime) -> dict[str, list[float]]:
    """Time each operation on uploads of its own, and on the pages of the callers."""
    uploads = [upload_of((label, n), caller(n % CALLERS), now) for n in range(CALLS)]
    due = now + timedelta(days=6)
    found = {}
    found["insert"] = await timed(CALLS, lambda n: store.insert(uploads[n], due))
    found["look"] = await timed(CALLS, lambda n: store.look(uploads[n].sid))
    found["claim"] = await timed(
        CALLS, lambda n: store.claim(uploads[n].sid, State.COMPLETING, LEASE)
    )
    found["renew"] = await timed(CALLS, lambda n: store.renew(uploads[n].sid, 1, LEASE))
    found["list 100"] = await timed(
        CALLS // 10,
        lambda n: store.list_uploads(caller(n % CALLERS), UploadFilter(), limit=100),
    )
    found["take 100 due"] = await timed(CALLS // 10, lambda _: store.take_due(100, LEASE))
    found["usage"] = await timed(CALLS // 10, lambda n: store.usage(caller(n % CALLERS)))
    return found


def memory(cluster: Cluster) -> int:
    """Return the bytes that the masters use."""
    return sum(int(cluster.node(p).info("memory")["used_memory"]) for p in cluster.masters())


def keys(cluster: Cluster) -> int:
    return sum(int(cluster.node(p).dbsize()) for p in cluster.masters())


async def run(cluster: Cluster, rows: int) -> dict[str, Any]:
    now = datetime.now(UTC).replace(microsecond=0)
    store = RedisSessionStore(connect(cluster.url), clock=SystemClock(), patience=30.0)
    try:
        await measure(store, "warm", now)
        empty = await measure(store, "empty", now)
        before = memory(cluster)
        models = templates(now)
        for model in models:
            await store.insert(model, now + timedelta(days=6))
        began = time.monotonic()
        await asyncio.to_thread(fill, cluster, models, rows, now)
        seconds = time.monotonic() - began
        after, held = memory(cluster), keys(cluster)
        full = await measure(store, "full", now)
    finally:
        await store.aclose()
    return {
        "rows": rows,
        "keys": held,
        "bytes_per_row": (after - before) / rows,
        "fill_seconds": seconds,
        "empty": empty,
        "full": full,
    }


def table(found: dict[str, Any]) -> str:
    lines = [
        f"{found['keys']:,} keys; {found['bytes_per_row']:,.0f} bytes for each of"
        f" {found['rows']:,} rows, with its entries in the indexes",
        "",
        "| operation | empty: p50, p99, ms | full: p50, p99, ms |",
        "|---|---|---|",
    ]
    for name in TABLE:
        pairs = (", ".join(f"{ms:.2f}" for ms in found[side][name]) for side in ("empty", "full"))
        lines.append(f"| {name} | {' | '.join(pairs)} |")
    return "\n".join(lines)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with (
        tempfile.TemporaryDirectory(prefix="partway-") as folder,
        start_cluster(Path(folder)) as cluster,
    ):
        for port in cluster.masters():
            # As docs/operate.md advises: rows of half the size.
            cluster.node(port).config_set("hash-max-listpack-value", 1024)
        found = asyncio.run(run(cluster, rows))
    print(table(found))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
