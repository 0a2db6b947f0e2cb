"""Tests commands to Redis: which failures are temporary."""

import asyncio
from collections.abc import Sequence

import pytest
import uvloop
from partway_server.domain.errors import SessionsUnavailable
from partway_server.redis_client.client import RedisClient
from partway_server.redis_client.topology import RedisTopology, SlotRange
from redis.asyncio import Redis


async def no_masters() -> Sequence[SlotRange]:
    return []


def no_client(address: tuple[str, int]) -> Redis:
    raise AssertionError("there is no master to connect to")


SERVERS = RedisTopology(find=no_masters, client=no_client)


def test_a_connection_that_ended_under_uvloop_is_no_fault_of_ours() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            transport = writer.transport
            transport.abort()
            while True:
                try:
                    transport.writelines([b"PING"])
                except RuntimeError:
                    break
                await asyncio.sleep(0)  # uvloop closes it in a later turn of the loop.

            async def send() -> None:
                transport.writelines([b"PING"])

            with pytest.raises(SessionsUnavailable):
                await RedisClient(topology=SERVERS, patience=0.2).ask(send)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


async def test_a_fault_of_ours_is_none_of_redis() -> None:
    async def wrong() -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        await RedisClient(topology=SERVERS, patience=0.2).ask(wrong)
