"""Compares the figures of `partway-server sizing` with a real Redis, and with what calls do."""

import base64
from collections.abc import AsyncIterator
from statistics import mean
from typing import Any
from uuid import uuid4

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain import sizing
from partway_server.domain.sizing import Load
from redis.asyncio import Redis

from tests.support.clock import FakeClock
from tests.support.twins import a_redis_world
from tests.support.world import ALICE, PART, SEALING_KEY, World

pytestmark = pytest.mark.redis

TOLERANCE = 0.2
UPLOADS, MANY = 30, 4000


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator["Redis"]:
    async with Redis.from_url(redis_url) as client:
        await client.flushdb()
        yield client


@pytest.fixture(params=sorted(sizing.ROW_BYTES))
async def listpack_value(request: pytest.FixtureRequest, redis: "Redis") -> AsyncIterator[int]:
    name = "hash-max-listpack-value"
    before = str((await redis.config_get(name))[name])
    await redis.config_set(name, request.param)
    yield request.param
    await redis.config_set(name, before)


@pytest.fixture
async def world(redis_url: str, clock: FakeClock) -> AsyncIterator[World]:
    keys = base64.b64encode(SEALING_KEY).decode()
    async with a_redis_world(redis_url, clock, sealing_keys=keys) as world:
        yield world


async def opened(world: World, parts: int = 2) -> upload_pb2.Upload:
    named = {"fingerprint": "film.mp4-104857600-1700000000", "request_id": str(uuid4())}
    return await world.initialize((parts - 1) * PART + 7 if parts > 1 else 1000, **named)


async def size_of(redis: "Redis", pattern: str) -> list[int]:
    """Return the bytes of each key."""
    keys = [key async for key in redis.scan_iter(pattern, count=1000)]
    return [await redis.memory_usage(key, samples=0) or 0 for key in keys]


async def test_a_record_takes_what_sizing_says(
    redis: "Redis", listpack_value: int, world: World
) -> None:
    uploads = [await opened(world) for _ in range(UPLOADS)]
    rows = await size_of(redis, "partway:*:upload:*")
    assert mean(rows) == pytest.approx(sizing.ROW_BYTES[listpack_value], rel=TOLERANCE)
    for upload in uploads:
        await world.send(upload)
        await world.complete(upload)
    rows = await size_of(redis, "partway:*:upload:*")
    known = sizing.COMPLETED_ROW_BYTES[listpack_value]
    assert mean(rows) == pytest.approx(known, rel=TOLERANCE)


async def test_a_reported_part_takes_what_sizing_says(redis: "Redis", world: World) -> None:
    parts = 8000
    upload = await opened(world, parts)
    [before] = await size_of(redis, "partway:*:upload:*")
    for first in range(1, parts, 1000):
        numbers = [
            upload_pb2.Part(part_number=n, size_bytes=PART) for n in range(first, first + 1000)
        ]
        numbers = [part for part in numbers if part.part_number < parts]
        request = pb.ReportPartsRequest(upload_id=upload.id, parts=numbers)
        await world.stub.ReportParts(request, metadata=ALICE)
    [after] = await size_of(redis, "partway:*:upload:*")
    assert after - before == pytest.approx(parts * sizing.REPORTED_PART_BYTES, rel=0.5)


async def test_indexes_and_events_take_what_sizing_says_where_there_are_many(
    redis: "Redis", world: World
) -> None:
    """Copy what real uploads left there into keys as large as those of a service are."""
    upload = await opened(world)
    await world.send(upload)
    await world.complete(upload)
    [stream] = [key async for key in redis.scan_iter("partway:*:events")]
    found: Any = await redis.xrange(stream)
    events = [entry for _, entry in found]
    assert len(events) == sizing.EVENTS_OF_UPLOAD
    for number in range(MANY):
        await redis.xadd("many-events", events[number % len(events)])
    assert (await redis.memory_usage("many-events", samples=0) or 0) / MANY == pytest.approx(
        sizing.EVENT_BYTES, rel=TOLERANCE
    )
    taken = 0.0
    for name in ("own:*", "due"):
        [key] = [key async for key in redis.scan_iter(f"partway:*:{name}")]
        positions: Any = await redis.zrange(key, 0, -1, withscores=True)
        [(member, score)] = positions
        many = {member[:-6] + b"%06d" % number: score for number in range(MANY)}
        await redis.zadd("many-members", many)
        taken += (await redis.memory_usage("many-members", samples=0) or 0) / MANY
        await redis.delete("many-members")
    assert taken == pytest.approx(sizing.INDEX_BYTES, rel=TOLERANCE)


@pytest.mark.parametrize("parts", [1, 3])
async def test_an_upload_asks_redis_and_storage_as_often_as_sizing_says(
    redis: "Redis", world: World, parts: int
) -> None:
    # What a process asks once, and what is read of quotas once a second.
    await opened(world, parts)
    world.storage.calls.clear()
    before = await scripts(redis)
    upload = await opened(world, parts)
    await world.send(upload)
    presigned = await scripts(redis)
    await world.complete(upload)
    # The test presigns with a call of its own, which a client saves; that runs no script.
    made = await scripts(redis) - before
    removal = 2
    assert made == sizing.redis_commands(Load(1, parts=parts, reports=0)) - removal
    assert presigned > before
    asked = [name for name in world.storage.calls if name != "presigner"]
    # That call lists the parts, too.
    assert len(asked) - 1 == sizing.s3_writes(parts) + 1


async def scripts(redis: "Redis") -> int:
    """Return how many scripts Redis has run."""
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))
