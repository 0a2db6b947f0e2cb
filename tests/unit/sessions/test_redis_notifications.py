"""Tests a process's only subscription: it outlives every fault of its connection."""

import asyncio
from collections import deque
from typing import Any, Self

from partway_server.redis_client.topology import SLOTS, RedisTopology, SlotRange
from partway_server.sessions.redis_notifications import RedisChanges

from tests.support.wakeups import heard


class Channel:
    """A subscription that receives `answers`, one after the other, and then nothing more.

    An exception is raised.
    """

    def __init__(self, answers: deque[Any]) -> None:
        self._answers = answers

    def pubsub(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None: ...

    async def subscribe(self, name: str) -> None: ...

    async def ping(self) -> None: ...

    async def get_message(self, **options: Any) -> Any:
        if not self._answers:
            await asyncio.Event().wait()
        answer = self._answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def anywhere() -> list[SlotRange]:
    return [SlotRange(0, SLOTS - 1, ("", 0))]


async def test_a_connection_that_ended_under_uvloop_is_made_anew() -> None:
    ended = RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")
    begun = {"type": "subscribe", "data": 1}
    channel: Any = Channel(deque([begun, ended, begun]))
    changes = RedisChanges(topology=RedisTopology(find=anywhere, client=lambda _: channel))
    with changes.of("0" * 32) as wake:
        await heard(wake)
        await heard(wake)
    await changes.aclose()
