"""Tests that a garbled session record harms no call: its upload is rebuilt, others are listed."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from partway.v1 import upload_service_pb2 as pb
from partway_server.sessions.redis_keys import row_key
from redis.asyncio import Redis

from tests.support.calls import ABOUT_AN_UPLOAD, call
from tests.support.clock import FakeClock
from tests.support.examples import examples
from tests.support.garbling import GARBLINGS, Garbling, garble, with_one_changed
from tests.support.twins import a_redis_world
from tests.support.upload_situations import EXPIRY_SECONDS, Situation, bring_to
from tests.support.world import ALICE, PART, World

pytestmark = [pytest.mark.redis, pytest.mark.slow]

CALLS = sorted(ABOUT_AN_UPLOAD)


@contextlib.asynccontextmanager
async def an_empty_world(redis_url: str) -> AsyncIterator[tuple[World, Redis]]:
    """Start a service over a real, empty Redis and the memory twin of storage."""
    async with (
        Redis.from_url(redis_url) as redis,
        a_redis_world(redis_url, FakeClock()) as world,
    ):
        await redis.flushall()
        yield world, redis


async def called(world: World, name: str, upload_id: str) -> Any:
    if name == "Watch":
        stream = world.stub.Watch(pb.WatchRequest(upload_id=upload_id), metadata=ALICE)
        try:
            return await anext(aiter(stream))
        finally:
            stream.cancel()
    return await call(world.stub, name, ABOUT_AN_UPLOAD[name](upload_id))


async def check(url: str, name: str, situation: Situation, how: Garbling) -> None:
    """Garble one upload's record, and check a call about it, the listing and the janitor."""
    async with an_empty_world(url) as (world, redis):
        upload = await bring_to(world, situation, PART + 7)
        other = await world.initialize(PART + 7)
        await garble(redis, row_key(world.grant(upload).sid), how)
        try:
            await called(world, name, upload.id)
        except grpc.aio.AioRpcError as error:
            allowed = (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED)
            assert error.code() in allowed, (error.code(), error.details())
        listed = await call(world.stub, "ListUploads", pb.ListUploadsRequest())
        assert other.id in [each.id for each in listed.uploads]
        assert await world.state(upload) in ("ACTIVE", "COMPLETING", "COMPLETED", "ABORTED")
        assert await world.state(other) == "ACTIVE"
        world.clock.advance(EXPIRY_SECONDS + 1)
        await world.service.janitor.sweep()
        assert await world.state(other) == "ABORTED"


@pytest.mark.parametrize("name", [*CALLS, "Watch"])
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    how=GARBLINGS,
    situation=st.sampled_from([Situation.ACTIVE, Situation.COMPLETED, Situation.ABORTED]),
)
@example(how={}, situation=Situation.ACTIVE)
@example(how={"state": b"weird"}, situation=Situation.ACTIVE)
@example(how={"grant": b"\xff\x00garbage"}, situation=Situation.ACTIVE)
@example(how={"epoch": b"notanumber", "state": None}, situation=Situation.COMPLETED)
async def test_each_call_is_answered(
    redis_url: str, name: str, how: Garbling, situation: Situation
) -> None:
    await check(redis_url, name, situation, how)


@pytest.mark.parametrize("index", range(17))
@pytest.mark.parametrize("value", [None, -1, 2**63, 1.5, True, b"\xff", [], {"a": 1}, "x" * 3000])
async def test_a_grant_with_one_value_of_another_kind(
    redis_url: str, index: int, value: Any
) -> None:
    async with an_empty_world(redis_url) as (world, redis):
        upload = await bring_to(world, Situation.ACTIVE, PART + 7)
        key = row_key(world.grant(upload).sid)
        packed = await redis.hget(key, "grant")
        assert isinstance(packed, bytes)
        changed = with_one_changed(packed, index, value)
        if type(msgpack.unpackb(packed)[index]) is type(value):
            pytest.skip("of the same kind: that is another grant, and none that is garbled")
        await redis.hset(key, "grant", changed)
        assert await world.state(upload) == "ACTIVE"
        assert (await world.complete(upload)).size_bytes == PART + 7


@pytest.mark.parametrize("name", [*CALLS, "Watch"])
async def test_the_answer_is_that_of_a_lost_record(redis_url: str, name: str) -> None:
    async with an_empty_world(redis_url) as (world, redis):
        upload = await bring_to(world, Situation.ACTIVE, PART + 7)
        await garble(redis, row_key(world.grant(upload).sid), {"state": b"weird"})
        await called(world, name, upload.id)
        expected = {"Complete": "COMPLETED", "Abort": "ABORTED"}
        assert await world.state(upload) == expected.get(name, "ACTIVE")
