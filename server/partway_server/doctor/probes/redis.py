"""What a Redis is like, found by trying: facts for `partway-server doctor`, without judgement.

Only our own keys are touched, and the one script removes what it makes before it ends, so that
nothing remains.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import Redis

from partway_server.domain.clock import Clock
from partway_server.domain.obstacle import Obstacle
from partway_server.redis_client.obstacles import COMMANDS, said
from partway_server.redis_client.topology import RedisTopology
from partway_server.sessions import redis_keys

_PINGS = 50
_PATIENCE_SECONDS = 5
_T = TypeVar("_T")

_TRY = f"""
redis.call('PUBLISH', '{redis_keys.CHANGES}', '')
redis.call('HSET', KEYS[1], 'probe', ARGV[1])
local kept = redis.call('HGET', KEYS[1], 'probe')
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], 'MINID', '~', 0, '*', 'probe', ARGV[1])
redis.call('DEL', KEYS[1])
local time = redis.call('TIME')
return {{kept, time[1], time[2]}}
"""


_NEEDED: Sequence[tuple[str, Sequence[str]]] = [
    ("publish", ["PUBLISH", redis_keys.CHANGES, ""]),
    ("subscribe", ["SUBSCRIBE", redis_keys.CHANGES]),
    ("script|load", ["SCRIPT", "LOAD", ""]),
    ("xgroup|create", ["XGROUP", "CREATE", "KEY", "group", "$"]),
    ("xreadgroup", ["XREADGROUP", "GROUP", "group", "own", "STREAMS", "KEY", ">"]),
    ("xread", ["XREAD", "STREAMS", "KEY", "0"]),
    ("evalsha", ["EVALSHA", "0" * 40, "1", "KEY"]),
]
"""The arguments of commands for a check of rights, KEY in the place of a key; `KEY` for others."""

_MAY_RUN = """
local refused = {}
for _, packed in ipairs(ARGV) do
  local name, words = cjson.decode(packed)[1], cjson.decode(packed)[2]
  for place, word in ipairs(words) do
    if word == 'KEY' then words[place] = KEYS[1] end
  end
  if not redis.acl_check_cmd(unpack(words)) then refused[#refused + 1] = name end
end
return refused
"""
"""Returns those of the commands that the user may not run; runs none of them."""


@dataclass(frozen=True, slots=True)
class RedisNode:
    """What one server reports about itself in INFO. `maxmemory_bytes` 0: no limit.

    `policy` is "" where a hosted service does not report it. `saves`: whether snapshots are taken,
    None if CONFIG is not allowed.
    """

    version: str
    mode: str
    role: str
    policy: str
    used_bytes: int
    maxmemory_bytes: int
    aof: bool
    saves: bool | None = None


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """Everything that was found. `obstacle` is what prevented everything, if anything did.

    `forbidden` lists the commands that the user may not run, and `rights` how to allow them.
    `cluster_client`: the URL is that of a Cluster. `script`: "" if one ran, else the error;
    `skew_seconds`: how far the clock of Redis is ahead of ours.
    """

    obstacle: Obstacle | None = None
    forbidden: Sequence[str] = ()
    rights: str = ""
    nodes: Sequence[RedisNode] = ()
    cluster_client: bool = False
    script: str = ""
    skew_seconds: float | None = None
    ping_seconds: Sequence[float] = field(default=(), repr=False)


async def examine(
    servers: RedisTopology, clock: Clock, now: Callable[[], float] = time.perf_counter
) -> RedisFacts:
    """Ask Redis everything. Does not raise for what Redis or the network does."""
    remedy = servers.rights("").remedy
    try:
        masters = await _patient(servers.masters())
        for master in masters:
            await _patient(master.ping())
    except exceptions.NoPermissionError:
        return RedisFacts(forbidden=["ping"], rights=remedy)
    except (exceptions.RedisError, OSError) as exc:
        return RedisFacts(obstacle=await servers.obstacle(exc))
    refused = await _refused(servers)
    script, skew = await _script(servers, clock)
    nodes, forbidden = await _nodes(masters)
    return RedisFacts(
        forbidden=list(dict.fromkeys((*forbidden, *refused))),
        rights=remedy,
        nodes=nodes,
        cluster_client=servers.cluster,
        script=script,
        skew_seconds=skew,
        ping_seconds=await _pings(masters[0], now),
    )


async def _patient(call: Awaitable[_T]) -> _T:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        return await call


async def _nodes(masters: Sequence[Redis]) -> tuple[list[RedisNode], list[str]]:
    try:
        infos = [await _patient(master.info("everything")) for master in masters]
    except (exceptions.RedisError, OSError) as exc:
        return [], [_command(exc, "info")]
    saves = await _saves(masters[0])
    return [_node(info, saves) for info in infos], []


def _command(error: BaseException, name: str) -> str:
    # Some services refuse commands with wording of their own.
    return name if isinstance(error, exceptions.ResponseError) else f"{name} (no answer)"


async def _saves(redis: Redis) -> bool | None:
    try:
        config = await _patient(redis.config_get("save"))
    except (exceptions.RedisError, OSError):
        # CONFIG is often forbidden; then this is unknown.
        return None
    return bool(config.get("save", ""))


def _node(info: Mapping[str, Any], saves: bool | None) -> RedisNode:
    return RedisNode(
        version=str(info.get("redis_version", "0")),
        # Redis has the first name, Valkey the second.
        mode=str(info.get("redis_mode") or info.get("server_mode", "")),
        role=str(info.get("role", "")),
        policy=str(info.get("maxmemory_policy", "")),
        used_bytes=int(info.get("used_memory", 0)),
        maxmemory_bytes=int(info.get("maxmemory", 0)),
        aof=bool(int(info.get("aof_enabled", 0))),
        saves=saves,
    )


async def _refused(servers: RedisTopology) -> list[str]:
    """Return the commands that the user may not run, as far as Redis reports it."""
    key, known = redis_keys.row_key(secrets.token_hex(16)), dict(_NEEDED)
    asked = [json.dumps([name, known.get(name, [name, "KEY"])]) for name in COMMANDS]
    try:
        script: Any = (await _patient(servers.of(key))).register_script(_MAY_RUN)
        return [name.decode() for name in await _patient(script(keys=[key], args=asked))]
    except (exceptions.RedisError, OSError):
        # Not even a script: the next one says why.
        return []


async def _script(servers: RedisTopology, clock: Clock) -> tuple[str, float | None]:
    """Run a script like those that change session records; return its error and the clock skew."""
    key = redis_keys.row_key(secrets.token_hex(16))
    try:
        script: Any = (await _patient(servers.of(key))).register_script(_TRY)
        before = clock.now()
        kept, seconds, micros = await _patient(script(keys=[key], args=["kept"]))
        middle = before + (clock.now() - before) / 2
    except (exceptions.RedisError, OSError) as exc:
        return said(exc), None
    skew = int(seconds) + int(micros) / 1e6 - middle.timestamp()
    return ("" if kept == b"kept" else "it did not keep a value"), skew


async def _pings(redis: Redis, now: Callable[[], float]) -> list[float]:
    taken = []
    try:
        for _ in range(_PINGS):
            begin = now()
            await _patient(redis.ping())
            taken.append(now() - begin)
    except (exceptions.RedisError, OSError):
        # Report what was measured until then.
        pass
    return taken
