"""Keep what was measured of storage in Redis, so that not every start measures it again."""

import hashlib
import json
from collections.abc import Iterable

from partway_server.redis_client.client import RedisClient, RedisCommand
from partway_server.redis_client.topology import RedisTopology
from partway_server.sessions import redis_keys

KEEP_SECONDS = 24 * 3600
"""How long a measurement holds: storage may be upgraded."""

_FORMAT = "1"
"""Changes with what is measured, so that what another version measured is not taken for all."""


class RedisMeasurements:
    """The measurements in Redis, as texts, by what identifies a store. Closes `servers`.

    Each method raises SessionsUnavailable.
    """

    def __init__(self, servers: RedisTopology, *, patience: float = 2.5) -> None:
        self._servers = servers
        self._client = RedisClient(topology=servers, patience=patience)

    async def find(self, store: Iterable[str]) -> str:
        """Return what was measured of a store in the last day, "" if nothing was."""
        key = _key(store)
        found = await self._client.run(RedisCommand(key, ["GET", key]))
        return "" if found is None else str(found, "utf-8", "replace")

    async def keep(self, store: Iterable[str], text: str) -> None:
        """Keep what was measured of a store for a day."""
        key = _key(store)
        await self._client.run(RedisCommand(key, ["SET", key, text, "EX", KEEP_SECONDS]))

    async def aclose(self) -> None:
        await self._servers.aclose()


def _key(store: Iterable[str]) -> str:
    named = json.dumps([_FORMAT, *store])
    return redis_keys.measurement_key(hashlib.sha256(named.encode()).hexdigest()[:32])
