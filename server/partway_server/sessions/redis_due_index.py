"""Find the uploads that a janitor has to look at, over the indexes of all shards."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from partway_server.domain.errors import SessionsUnavailable
from partway_server.redis_client.client import RedisClient, RedisCommand
from partway_server.sessions import redis_keys
from partway_server.sessions.redis_scripts import RedisScripts
from partway_server.sessions.script_arguments import span_ms


class RedisDueIndex:
    """The sids of all shards by the time they are due."""

    def __init__(self, client: RedisClient, scripts: RedisScripts) -> None:
        self._client = client
        self._scripts = scripts

    async def take(self, limit: int, again: timedelta) -> Sequence[str]:
        """Take at most `limit` due sids and postpone each by `again`."""
        heads = await self._scripts.run_on_each_shard(_head)
        waiting = sorted(
            (score, shard) for shard, head in enumerate(heads) for _, score in _scored(head)
        )
        taken: list[str] = []
        now = float("inf")
        failure: SessionsUnavailable | None = None
        for head, shard in waiting:
            if len(taken) == limit or head > now:
                break
            try:
                now, sids = await self._scripts.run(
                    "take_due",
                    (redis_keys.due_key(shard),),
                    limit - len(taken),
                    span_ms(again),
                    redis_keys.row_prefix(shard),
                )
            except SessionsUnavailable as exc:
                # What was taken is postponed already; and a shard that is migrating, which may
                # take long, must not delay the others.
                failure = exc
                continue
            taken += (sid.decode() for sid in sids)
        if failure is not None and not taken:
            raise failure
        return taken

    async def first(self) -> datetime | None:
        """Return the earliest due time, None without an entry."""
        heads = await self._scripts.run_on_each_shard(_head)
        first = min((score for head in heads for _, score in _scored(head)), default=None)
        return None if first is None else datetime.fromtimestamp(first / 1000, UTC)

    async def peek(self, limit: int) -> Sequence[str]:
        """Return at most `limit` due sids, the longest due first, and change nothing."""
        [server, *_] = await self._client.masters()
        seconds, micros = await self._client.ask(server.time)
        now = self._scripts.now_ms() or seconds * 1000 + micros // 1000

        def ask(shard: int) -> RedisCommand:
            key = redis_keys.due_key(shard)
            words = ("ZRANGE", key, "-inf", now, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
            return RedisCommand(key, words)

        answers = await self._scripts.run_on_each_shard(ask)
        found = (entry for answer in answers for entry in _scored(answer))
        waiting = sorted((due, sid) for sid, due in found)
        return [sid.decode() for _, sid in waiting[:limit]]


def _head(shard: int) -> RedisCommand:
    """Return the command that reads the first entry of a shard's index."""
    key = redis_keys.due_key(shard)
    return RedisCommand(key, ("ZRANGE", key, 0, 0, "WITHSCORES"))


def _scored(answer: Sequence[Any]) -> Iterator[tuple[bytes, float]]:
    """Yield the members of a sorted set with their scores: pairs in RESP3, alternating in RESP2."""
    pairs = (
        answer
        if answer and isinstance(answer[0], list)
        else zip(answer[::2], answer[1::2], strict=True)
    )
    for member, score in pairs:
        yield member, float(score)
