"""Tests of how often each call waits for Redis, and how much of its memory an upload takes.

docs/operate.md says both.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.sessions.redis_keys import row_key
from redis.asyncio import Redis

from tests.support.clock import FakeClock
from tests.support.relay import Relay
from tests.support.twins import a_redis_world
from tests.support.world import ALICE, PART, World

pytestmark = pytest.mark.redis

SINGLE, MULTIPART = 1000, 2 * PART + 7

WARM = {
    # What it reads of quotas is known for a second.
    "Initialize": (1, 2),
    "Initialize with URLs": (1, 2),
    "PresignParts": (1, 1),
    "ReportParts": (2, 2),
    "ListParts": (1, 1),
    "Status": (1, 1),
    "Complete": (2, 2),
    "Complete again": (1, 1),
    "Status of a complete one": (1, 1),
    "Abort": (2, 2),
    "Abort again": (1, 1),
}
"""The round trips of each call, for an upload that is one PUT and for one in parts."""

COLD = {**WARM, "Initialize": (2, 3)}
"""The same in a process that has just started: it does not know yet what its callers use."""

Cost = Callable[[Awaitable[Any]], Awaitable[Any]]


@contextlib.asynccontextmanager
async def a_world_behind(relay: Relay, database: int, clock: FakeClock) -> AsyncIterator[World]:
    """Start a service that reaches Redis through the relay, and check Redis as a start does."""
    url = f"redis://{relay.address}/{database}"
    async with a_redis_world(url, clock) as world:
        await world.sessions.check()
        yield world


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator["Redis"]:
    async with Redis.from_url(redis_url) as client:
        await client.flushdb()
        yield client


@pytest.fixture
async def relay(redis: "Redis") -> AsyncIterator[Relay]:
    where = redis.connection_pool.connection_kwargs
    async with Relay(where["host"], where["port"]) as relay:
        yield relay


def database_of(redis: "Redis") -> int:
    return int(redis.connection_pool.connection_kwargs.get("db") or 0)


async def costs(world: World, relay: Relay, size: int) -> dict[str, int]:
    """Make each call once, and return how many round trips it took."""
    found: dict[str, int] = {}

    async def count(name: str, call: Awaitable[Any]) -> Any:
        before = relay.round_trips
        answer = await call
        found[name] = relay.round_trips - before
        return answer

    stub: Any = world.stub
    upload = await count("Initialize", world.initialize(size))
    await count("PresignParts", world.presigned(upload, [1]))
    await world.send(upload)
    for name, request in (
        ("ReportParts", pb.ReportPartsRequest(upload_id=upload.id, parts=[part_of(upload)])),
        ("ListParts", pb.ListPartsRequest(upload_id=upload.id)),
        ("Status", pb.StatusRequest(upload_id=upload.id)),
        ("Complete", pb.CompleteRequest(upload_id=upload.id)),
        ("Complete again", pb.CompleteRequest(upload_id=upload.id)),
        ("Status of a complete one", pb.StatusRequest(upload_id=upload.id)),
    ):
        await count(name, getattr(stub, name.split()[0])(request, metadata=ALICE))
    upload = await count("Initialize with URLs", world.initialize(size, presign_parts=3))
    await count("Abort", world.abort(upload))
    await count("Abort again", world.abort(upload))
    return found


def part_of(upload: upload_pb2.Upload) -> upload_pb2.Part:
    return upload_pb2.Part(part_number=1, size_bytes=min(upload.size_bytes, PART))


@pytest.mark.parametrize("size", [SINGLE, MULTIPART])
async def test_each_call_takes_so_many_round_trips(
    redis: "Redis", relay: Relay, clock: FakeClock, size: int
) -> None:
    place = 0 if size == SINGLE else 1
    async with a_world_behind(relay, database_of(redis), clock) as world:
        assert await costs(world, relay, size) == {k: v[place] for k, v in COLD.items()}
        assert await costs(world, relay, size) == {k: v[place] for k, v in WARM.items()}


async def bytes_of(redis: "Redis", key: str | bytes) -> int:
    """Return how many bytes a key takes, 0 if it is missing."""
    return await redis.memory_usage(key, samples=0) or 0


async def bytes_by_kind(redis: "Redis", uploads: int) -> dict[str, float]:
    """Return how many bytes each kind of key takes for one upload."""
    found: Counter[str] = Counter()
    async for key in redis.scan_iter(count=1000):
        found[key.decode().split(":")[2]] += await bytes_of(redis, key)
    return {kind: size / uploads for kind, size in found.items()}


@pytest.mark.parametrize(
    ("listpack_value", "row", "complete_row"), [(64, 1350, 1400), (1024, 660, 800)]
)
async def test_an_upload_takes_so_much_memory(
    redis: "Redis",
    clock: FakeClock,
    redis_url: str,
    listpack_value: int,
    row: int,
    complete_row: int,
) -> None:
    name, count = "hash-max-listpack-value", 200
    before = str((await redis.config_get(name))[name])
    await redis.config_set(name, listpack_value)
    try:
        async with a_redis_world(redis_url, clock) as world:
            fields = {"fingerprint": "film.mp4-104857600-1700000000"}
            opened = [
                await world.initialize(20 * PART, request_id=str(uuid4()), **fields)
                for _ in range(count)
            ]
            used = await bytes_by_kind(redis, count)
            assert used["upload"] <= row
            # An entry of a small index costs more than one of the large ones of a service.
            assert sum(used[kind] for kind in ("due", "own", "counted", "usage")) <= 450
            assert used["events"] <= 2_000
            await redis.delete(*[key async for key in redis.scan_iter("partway:*:events")])
            for upload in opened[:20]:
                await world.send(upload)
                await world.complete(upload)
                key = row_key(world.grant(upload).sid)
                assert 0 < await bytes_of(redis, key) <= complete_row
    finally:
        await redis.config_set(name, before)
