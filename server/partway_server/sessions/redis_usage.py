"""Read what callers use, keep it correct, and take tokens of their rates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from partway_server.domain.grant import Caller
from partway_server.domain.quota import Bucket, Rate
from partway_server.domain.usage import CallerUsage, Usage
from partway_server.redis_client.client import RedisClient, RedisCommand
from partway_server.sessions import redis_keys as rows
from partway_server.sessions.key_types import retry_mistyped
from partway_server.sessions.redis_records import RedisRecords
from partway_server.sessions.redis_scripts import RedisScripts

_FIELDS = ("open", "open_bytes", "day", "day_bytes")


@dataclass(slots=True)
class _Place:
    """Where the reconciliation of a shard goes on: a rank in `due`, a cursor in `counted`."""

    rank: int = 0
    cursor: int = 0


class RedisUsage:
    """The usage of all callers, spread over the shards as their uploads are."""

    def __init__(self, client: RedisClient, scripts: RedisScripts, records: RedisRecords) -> None:
        self._client = client
        self._scripts = scripts
        self._records = records
        self._places = [_Place() for _ in range(rows.SHARDS)]

    async def of(self, caller: Caller, today: int) -> CallerUsage:
        """Return the sums over all shards, which are read in one batch."""
        shards = range(rows.SHARDS)
        keys = [rows.tenant_usage_key(shard, caller) for shard in shards]
        keys += [rows.subject_usage_key(shard, caller) for shard in shards]
        asked = [RedisCommand(key, ("HMGET", key, *_FIELDS)) for key in keys]
        answers = await retry_mistyped(self._client, keys, lambda: self._client.run_all(asked))
        tenant, subject = answers[: rows.SHARDS], answers[rows.SHARDS :]
        return CallerUsage(_sum(tenant, today), _sum(subject, today))

    async def reconcile(self, limit: int) -> int:
        """Look at the next `limit` records of each shard, and return how many were miscounted."""
        counted = [rows.counted_key(shard) for shard in range(rows.SHARDS)]
        answers = await retry_mistyped(
            self._client,
            counted,
            lambda: self._scripts.run_on_each_shard(lambda shard: self._step(shard, limit)),
        )
        corrected = 0
        for place, (rank, cursor, released, found) in zip(self._places, answers, strict=True):
            place.rank, place.cursor = rank, int(cursor)
            corrected += released
            for sid in found:
                corrected += await self._count_again(sid.decode())
        return corrected

    async def take_tokens(
        self, bucket: Bucket, rate: Rate, needed: int, welcome: int
    ) -> tuple[int, float]:
        """Return how many tokens were taken or, if none, how many seconds to wait."""
        key = rows.bucket_key(bucket.limit, bucket.tenant, bucket.subject)
        fill = rate.seconds * 1000
        taken, wait = await self._scripts.run(
            "take_tokens", (key,), needed, welcome, rate.amount, fill
        )
        return taken, wait / 1000

    def _step(self, shard: int, limit: int) -> RedisCommand:
        place = self._places[shard]
        keys = rows.due_key(shard), rows.counted_key(shard)
        prefix = rows.shard_prefix(shard)
        return self._scripts.command("reconcile", keys, place.rank, place.cursor, limit, prefix)

    async def _count_again(self, sid: str) -> int:
        # The record names its caller, which never changes; the script looks at its state again.
        if (row := await self._records.get(sid)) is None:
            return 0
        keys = rows.row_key(sid), *rows.usage_keys(row.grant)
        entry = rows.usage_entry(row.grant)
        return int(await self._scripts.run("count_again", keys, sid, entry))


def _sum(answers: Iterable[Sequence[bytes | None]], today: int) -> Usage:
    uploads = size = of_today = 0
    for answer in answers:
        open_uploads, open_bytes, day, day_bytes = map(_number, answer)
        uploads += open_uploads
        size += open_bytes
        of_today += day_bytes if day >= today else 0
    return Usage(max(uploads, 0), max(size, 0), max(of_today, 0))


def _number(value: bytes | None) -> int:
    # Anything but a number was written by others, and is replaced when it is next changed.
    try:
        return int(value or 0)
    except ValueError:
        return 0
