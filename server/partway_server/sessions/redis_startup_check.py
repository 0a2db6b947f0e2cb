"""Check at startup that Redis is set up as the session store needs it."""

from collections.abc import Awaitable, Callable

from redis import exceptions
from redis.asyncio import Redis

from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.obstacle import Obstacle, StoreUnusable
from partway_server.redis_client import obstacles
from partway_server.redis_client.client import RedisClient
from partway_server.redis_client.topology import SLOTS, RedisTopology
from partway_server.sessions import redis_keys

OLDEST = 7
"""The oldest major version of Redis that will do."""


async def check_redis(
    client: RedisClient, topology: RedisTopology, prepare: Callable[[], Awaitable[None]]
) -> None:
    """Raise StoreUnusable if Redis cannot be reached, or is set up wrongly.

    If it is not, `prepare` follows, with commands that may show the same.
    """
    try:
        for server in await client.masters():
            await _check_server(client, server, cluster=topology.cluster)
        missing = SLOTS - await topology.covered()
        if not missing:
            await prepare()
    except exceptions.ResponseError as exc:
        raise _unusable(await topology.obstacle(exc)) from exc
    except SessionsUnavailable as exc:
        raise _unusable(await topology.obstacle(exc.__cause__ or exc)) from exc
    if missing:
        raise _unusable(obstacles.uncovered(missing, SLOTS))


async def _check_server(client: RedisClient, server: Redis, *, cluster: bool) -> None:
    await client.ask(server.ping)
    info = await client.ask(lambda: server.info("server"))
    # Valkey calls it server_mode.
    mode = info.get("redis_mode") or info.get("server_mode", "")
    if mode in obstacles.MODES and not cluster:
        raise _unusable(obstacles.MODES[mode])
    version = str(info["redis_version"])
    if int(version.partition(".")[0]) < OLDEST:
        raise _unusable(obstacles.too_old(version))
    memory = await client.ask(lambda: server.info("memory"))
    # Some hosted services do not report it.
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise _unusable(obstacles.evicts(policy))
    # Scripts work without the right to publish, but watches would be slow for no visible reason.
    await client.ask(lambda: server.publish(redis_keys.CHANGES, ""))


def _unusable(obstacle: Obstacle) -> StoreUnusable:
    return StoreUnusable("Redis", obstacle)
