"""Run the Lua scripts that read and change session records."""

from collections.abc import Callable, Sequence
from typing import Any

from partway_server.domain.clock import Clock
from partway_server.redis_client.client import RedisClient, RedisCommand, load_script
from partway_server.sessions import redis_keys as rows

_VERBS = (
    *("insert", "claim", "renew", "put_off", "finish", "report", "remove"),
    *("take_due", "list_own", "incarnation", "count_again", "reconcile", "take_tokens"),
)

_COUNTING = frozenset({"insert", "finish", "remove", "count_again", "reconcile"})
"""They count what tenants and subjects use."""

_WHOLE = frozenset({"take_due", "list_own", "reconcile"})
"""They find records through an index, and remove entries whose record is missing."""


class RedisScripts:
    """The scripts of a session store. They take the time from `clock`, or from Redis if None."""

    def __init__(self, client: RedisClient, clock: Clock | None) -> None:
        self._client = client
        self._clock = clock
        self._scripts = {verb: load_script(*_files(verb)) for verb in _VERBS}

    def now_ms(self) -> int | str:
        """Return the time that scripts are given, "" if they take it from Redis."""
        return "" if self._clock is None else rows.moment_ms(self._clock.now())

    def command(self, verb: str, keys: Sequence[str], *args: str | bytes | int) -> RedisCommand:
        """Return the command that runs a script."""
        script = self._scripts[verb]
        words = ("EVALSHA", script.sha, len(keys), *keys, self.now_ms(), *args)
        return RedisCommand(keys[0], words, script=script.source, whole=verb in _WHOLE)

    async def run(self, verb: str, keys: Sequence[str], *args: str | bytes | int) -> Any:
        """Run a script and return its answer."""
        return await self._client.run(self.command(verb, keys, *args))

    async def run_on_each_shard(self, ask: Callable[[int], RedisCommand]) -> list[Any]:
        """Run the command that `ask` returns for each shard, and return the answers in order."""
        return await self._client.run_all([ask(shard) for shard in range(rows.SHARDS)])


def _files(verb: str) -> list[str]:
    preludes = ["prelude", "usage_prelude"] if verb in _COUNTING else ["prelude"]
    return [f"sessions/scripts/{name}.lua" for name in (*preludes, verb)]
