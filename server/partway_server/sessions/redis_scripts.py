"""Run the Lua scripts that read and change session records."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from partway_server.domain.clock import Clock
from partway_server.redis_client.client import RedisClient, RedisCommand
from partway_server.redis_client.pipelines import pipelined
from partway_server.redis_client.scripts import LuaScript, load_script
from partway_server.sessions import redis_keys
from partway_server.sessions.key_types import retry_mistyped
from partway_server.sessions.script_arguments import moment_ms

_VERBS = (
    *("insert", "claim", "renew", "put_off", "finish", "extend"),
    *("report", "remove", "look", "incarnation"),
    *("take_due", "list_own", "remove_garbled"),
    *("count_again", "reconcile", "take_tokens"),
)

_COUNTING = frozenset({"insert", "finish", "remove", "count_again", "reconcile"})
"""They count what tenants and subjects use."""

_RESTORE = "restore"
"""The script `insert` for an upload whose record was lost, whether or not Redis is full."""

_BOUNDED = frozenset({"insert", "list_own", "look", "incarnation"})
"""Not run past `maxmemory`: a new upload is refused, so that the others have room to go on, and
those that only read need not. A flag would also keep those from a server that refuses writes."""

_WHOLE = frozenset({"take_due", "list_own", "reconcile"})
"""They find records through an index, and remove entries whose record is missing."""


class RedisScripts:
    """The scripts of a session store. They take the time from `clock`, or from Redis if None."""

    def __init__(self, client: RedisClient, clock: Clock | None) -> None:
        self._client = client
        self._clock = clock
        self._scripts = {verb: _load(verb, allow_oom=verb not in _BOUNDED) for verb in _VERBS}
        self._scripts[_RESTORE] = _load("insert", allow_oom=True)

    def now_ms(self) -> int | str:
        """Return the time that scripts are given, "" if they take it from Redis."""
        return "" if self._clock is None else moment_ms(self._clock.now())

    def command(self, verb: str, keys: Sequence[str], *args: str | bytes | int) -> RedisCommand:
        """Return the command that runs a script."""
        script = self._scripts[verb]
        words = ("EVALSHA", script.sha, len(keys), *keys, self.now_ms(), *args)
        return RedisCommand(keys[0], words, script=script.source, whole=verb in _WHOLE)

    async def run(self, verb: str, keys: Sequence[str], *args: str | bytes | int) -> Any:
        """Run a script and return its answer."""
        command = self.command(verb, keys, *args)
        return await retry_mistyped(self._client, keys, lambda: self._client.run(command))

    async def load(self) -> None:
        """Load all scripts on every master, so that no call has to send one."""
        words = [("SCRIPT", "LOAD", script.source) for script in self._scripts.values()]
        for server in await self._client.masters():
            for answer in await self._client.ask(partial(pipelined, server, words)):
                if isinstance(answer, Exception):
                    raise answer

    async def run_on_each_shard(self, ask: Callable[[int], RedisCommand]) -> list[Any]:
        """Run the command that `ask` returns for each shard, and return the answers in order."""
        commands = [ask(shard) for shard in range(redis_keys.SHARDS)]
        keys = [command.key for command in commands]
        return await retry_mistyped(self._client, keys, lambda: self._client.run_all(commands))


def _load(verb: str, *, allow_oom: bool) -> LuaScript:
    preludes = ("prelude", "usage_prelude") if verb in _COUNTING else ("prelude",)
    paths = (f"sessions/scripts/{name}.lua" for name in (*preludes, verb))
    return load_script(*paths, allow_oom=allow_oom)
