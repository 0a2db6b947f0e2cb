"""Receive the changes that scripts publish, over one subscription for each process.

It begins with the first waiter. In a Cluster any server receives all messages
(https://redis.io/docs/latest/develop/pubsub/), and elsewhere there is one master. Messages that
arrive while there is no subscription are lost, so each subscription wakes all waiters; and a server
that is silent for a while is pinged.
"""

import asyncio
import logging
from contextlib import AbstractContextManager
from itertools import count

from redis import exceptions
from redis.asyncio import Redis
from redis.backoff import ExponentialWithJitterBackoff

from partway_server.redis_client.pipelines import await_redis
from partway_server.redis_client.topology import RedisTopology
from partway_server.sessions.notifications import Wakeup, WakeupRegistry
from partway_server.sessions.redis_keys import CHANGES

logger = logging.getLogger(__name__)

_SILENCE_SECONDS = 5.0
_FIRST_SECONDS, _MOST_SECONDS = 0.05, 1.0


class RedisChanges:
    """Notifies the waiters of this process about changes published in Redis."""

    def __init__(self, *, topology: RedisTopology) -> None:
        self._topology = topology
        self._wakeups = WakeupRegistry()
        self._listening: asyncio.Task[None] | None = None
        self._failures = 0

    def of(self, *sids: str) -> AbstractContextManager[Wakeup]:
        """Register a Wakeup for these sids."""
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
                masters = await await_redis(self._topology.masters())
                # Another one each time: the same one may be gone.
                server = masters[turn % len(masters)]
                await self._hear(server)
            except (exceptions.RedisError, OSError) as exc:
                self._failures += 1
                if self._failures == 1:
                    logger.warning("cannot subscribe to changes, retrying: %s", type(exc).__name__)
                await self._topology.learn(exc, server)
            await asyncio.sleep(pauses.compute(self._failures))

    async def _hear(self, server: Redis) -> None:
        """Notify waiters of the messages of this server. Raises once it is gone."""
        async with server.pubsub() as channel:
            await await_redis(channel.subscribe(CHANGES))
            asked = False
            while True:
                message = await await_redis(channel.get_message(timeout=_SILENCE_SECONDS))
                if message is None and asked:
                    raise exceptions.ConnectionError("the server is silent")
                asked = message is None
                if message is None:
                    await await_redis(channel.ping())
                elif message["type"] == "subscribe":
                    self._failures = 0
                    self._wakeups.notify_all()
                elif message["type"] == "message":
                    self._wakeups.notify(message["data"].decode())
