"""Check at startup that Redis is set up as the session store needs it."""

from collections.abc import Awaitable, Callable

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError

from partway_server.domain.errors import SessionsUnavailable
from partway_server.redis_client.client import RedisClient
from partway_server.redis_client.topology import SLOTS, RedisTopology
from partway_server.sessions import redis_keys

_MODES = {
    "cluster": "is a node of a Cluster: write redis+cluster://HOST:PORT,HOST:PORT",
    "sentinel": "is a Sentinel: write redis+sentinel://HOST:PORT,HOST:PORT/SERVICE",
}
"""Modes that a server may report where a single Redis is expected, and what to do about each."""


async def check_redis(
    client: RedisClient, topology: RedisTopology, prepare: Callable[[], Awaitable[None]]
) -> None:
    """Raise ValueError, with a message for operators, if Redis is set up wrongly.

    If it is not, `prepare` follows, with commands that may show the same.
    """
    try:
        for server in await client.masters():
            await _check_server(client, server, cluster=topology.cluster)
        missing = SLOTS - await topology.covered()
        if not missing:
            await prepare()
    except exceptions.ResponseError as exc:
        raise ValueError(f"Redis rejects the URL: {exc}") from exc
    except SessionsUnavailable as exc:
        if isinstance(cause := exc.__cause__, exceptions.NoPermissionError):
            raise ValueError(f"the Redis user lacks permissions: {cause}") from exc
        if isinstance(exc.__cause__, exceptions.AuthenticationError):
            raise ValueError("Redis rejects the user name or password in its URL") from exc
        if isinstance(exc.__cause__, MasterNotFoundError):
            raise ValueError(str(exc.__cause__)) from exc
        raise
    if missing:
        raise ValueError(f"{missing} of the {SLOTS} slots of the Redis Cluster have no server")


async def _check_server(client: RedisClient, server: Redis, *, cluster: bool) -> None:
    await client.ask(server.ping)
    info = await client.ask(lambda: server.info("server"))
    # Valkey calls it server_mode.
    mode = info.get("redis_mode") or info.get("server_mode", "")
    if mode in _MODES and not cluster:
        raise ValueError(f"Redis {_MODES[mode]}")
    version = str(info["redis_version"])
    if int(version.partition(".")[0]) < 7:
        raise ValueError(f"Redis {version} is too old: run 7.0 or newer, or Valkey")
    memory = await client.ask(lambda: server.info("memory"))
    # Some hosted services do not report it.
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise ValueError(
            f"Redis may evict session records (maxmemory-policy {policy}):"
            " set maxmemory-policy to noeviction, or give Partway a Redis of its own with it"
        )
    # Scripts work without the right to publish, but watches would be slow for no visible reason.
    await client.ask(lambda: server.publish(redis_keys.CHANGES, ""))
