"""What scripts tell of the rows that they change: one subscription for a process.

It begins with the first who waits. In a Cluster any server hears what all are told
(https://redis.io/docs/latest/develop/pubsub/), and elsewhere there is one master. Messages that
come while nobody listens are lost, so that each beginning wakes everybody; and a server that says
nothing for a while is asked whether it is there.
"""

import asyncio
import logging
from contextlib import AbstractContextManager
from itertools import count

from redis import exceptions
from redis.asyncio import Redis
from redis.backoff import ExponentialWithJitterBackoff

from partway_server.redis_client.client import await_redis
from partway_server.redis_client.topology import RedisTopology
from partway_server.sessions.notifications import Wakeup, WakeupRegistry
from partway_server.sessions.redis_keys import CHANGES

logger = logging.getLogger(__name__)

_SILENCE_SECONDS = 5.0
_FIRST_SECONDS, _MOST_SECONDS = 0.05, 1.0


class RedisChanges:
    """Wakes of this process that Redis tells."""

    def __init__(self, *, servers: RedisTopology) -> None:
        self._servers = servers
        self._wakeups = WakeupRegistry()
        self._listening: asyncio.Task[None] | None = None
        self._failures = 0

    def of(self, *sids: str) -> AbstractContextManager[Wakeup]:
        """A Wake for these sids."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        return self._wakeups.of(*sids)

    async def aclose(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})

    async def _listen(self) -> None:
        pauses = ExponentialWithJitterBackoff(base=_FIRST_SECONDS, cap=_MOST_SECONDS)
        for turn in count():
            server: Redis | None = None
            try:
                masters = await await_redis(self._servers.masters())
                # Another one each time: one alone may be the one that is gone.
                server = masters[turn % len(masters)]
                await self._hear(server)
            except (exceptions.RedisError, OSError) as exc:
                self._failures += 1
                if self._failures == 1:
                    logger.warning("changes are not heard: %s", type(exc).__name__)
                await self._servers.learn(exc, server)
            await asyncio.sleep(pauses.compute(self._failures))

    async def _hear(self, server: Redis) -> None:
        """Wake whom the server tells of. Raises once it is gone."""
        async with server.pubsub() as channel:
            await await_redis(channel.subscribe(CHANGES))
            asked = False
            while True:
                message = await await_redis(channel.get_message(timeout=_SILENCE_SECONDS))
                if message is None and asked:
                    raise exceptions.ConnectionError("the server says nothing")
                asked = message is None
                if message is None:
                    await await_redis(channel.ping())
                elif message["type"] == "subscribe":
                    self._failures = 0
                    self._wakeups.notify_all()
                elif message["type"] == "message":
                    self._wakeups.notify(message["data"].decode())
