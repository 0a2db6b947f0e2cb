"""Tests that a batch takes no more than as many calls would: of quotas, of storage, of Redis."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from partway.v1 import upload_service_pb2 as pb
from partway_server.rpc.storage_turns import SIDE_BY_SIDE
from redis.asyncio import Redis

from tests.support.batches import (
    LARGE,
    SMALL,
    a_file,
    complete,
    failures,
    initialize,
    reasons,
    uploads,
)
from tests.support.clock import FakeClock
from tests.support.processes import until
from tests.support.relay import Relay
from tests.support.storage import Gate
from tests.support.twins import a_memory_world, a_redis_world
from tests.support.world import ALICE, BOB, EVE, failure


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def start(request: pytest.FixtureRequest, clock: FakeClock) -> Any:
    """Return what starts a service with settings of the test's own."""
    if request.param == "memory":
        return lambda **settings: a_memory_world(clock, **settings)
    redis_url = request.getfixturevalue("emptied_redis_url")
    return lambda **settings: a_redis_world(redis_url, clock, **settings)


@pytest.fixture
async def emptied_redis_url(redis_url: str) -> str:
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    return redis_url


# ---- quotas


async def test_each_item_counts_as_a_call(start: Any, clock: FakeClock) -> None:
    async with start(tenant_calls_per_second=5) as world:
        results = await initialize(world, *[a_file() for _ in range(8)])
        assert [each.HasField("response") for each in results] == [True] * 5 + [False] * 3
        for failed in failures(results):
            assert (failed.code, failed.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
            assert failed.metadata["limit"] == "calls_per_second"
            assert failed.details["RetryInfo"].retry_delay.ToTimedelta().total_seconds() > 0
        refused = await failure(initialize(world, a_file()))
        assert refused.metadata == failures(results)[0].metadata
        clock.advance(1)
        ids = [each.id for each in uploads(results[:5])]
        assert reasons(await complete(world, *ids, *ids)) == {
            "PARTS_MISSING": 5,
            "QUOTA_EXCEEDED": 5,
        }


async def test_what_a_subject_is_refused_does_not_cost_its_tenant(start: Any) -> None:
    async with start(tenant_calls_per_second=10, subject_calls_per_second=4) as world:
        results = await initialize(world, *[a_file() for _ in range(20)])
        assert reasons(results) == {"QUOTA_EXCEEDED": 16}
        results = await initialize(world, *[a_file() for _ in range(20)], caller=BOB)
        assert reasons(results) == {"QUOTA_EXCEEDED": 16}


async def test_open_uploads_are_limited_within_a_batch(start: Any) -> None:
    async with start(tenant_open_uploads=3) as world:
        sizes = (SMALL, LARGE, SMALL, LARGE, SMALL)
        results = await initialize(world, *map(a_file, sizes))
        assert reasons(results) == {"QUOTA_EXCEEDED": 2}
        assert {each.metadata["limit"] for each in failures(results)} == {"open_uploads"}
        listed = await world.stub.ListUploads(pb.ListUploadsRequest(), metadata=ALICE)
        assert len(listed.uploads) == 3


async def test_presigned_parts_have_a_rate_within_a_batch(start: Any) -> None:
    async with start(tenant_parts_per_minute=10) as world:
        results = await initialize(world, *[a_file(LARGE, presign_parts=3) for _ in range(5)])
        # What is open is answered, though its parts may not be presigned now.
        assert len(uploads(results)) == 5
        assert sum(len(each.response.parts) for each in results) == 9


# ---- storage


class Crowd:
    """A fault that counts how many calls are inside at a time."""

    def __init__(self) -> None:
        self.inside = self.most = 0

    async def __call__(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(20):
            await asyncio.sleep(0)
        self.inside -= 1


@pytest.mark.parametrize(("calls", "most"), [(512, SIDE_BY_SIDE), (8, 3), (2, 1)])
async def test_a_batch_asks_storage_side_by_side_within_bounds(
    clock: FakeClock, calls: int, most: int
) -> None:
    """Of 4 turns at storage a tenant alone may have 3, and of 1 that one."""
    async with a_memory_world(clock, max_concurrent_calls=calls) as world:
        crowd = Crowd()
        world.storage.before("create", *[crowd] * 50)
        opened = uploads(await initialize(world, *[a_file(LARGE) for _ in range(50)]))
        assert crowd.most == most
        crowd.most = 0
        world.storage.before("list_parts", *[crowd] * 50)
        results = await complete(world, *(each.id for each in opened))
        assert reasons(results) == {"PARTS_MISSING": 50}
        assert crowd.most == most


async def test_batches_keep_no_other_tenant_from_storage(clock: FakeClock) -> None:
    async with a_memory_world(clock, max_concurrent_calls=16) as world:
        gate = Gate()
        world.storage.before("create", *[gate] * 100)
        flood = [
            asyncio.create_task(initialize(world, *[a_file(LARGE)] * 50, caller=EVE))
            for _ in range(10)
        ]
        # Her tenant may have 6 of the 8 turns, and has them.
        await until(lambda: world.storage.calls.count("create") >= 6)
        assert world.storage.calls.count("create") == 6
        upload = await world.initialize(SMALL)
        assert await world.state(upload) == "ACTIVE"
        mine = asyncio.create_task(initialize(world, a_file(LARGE)))
        await until(lambda: world.storage.calls.count("create") == 7)
        gate.open()
        assert len(uploads(await mine)) == 1
        # Those of hers that waited for their turn for too long are refused as a whole.
        ended = await asyncio.gather(*flood, return_exceptions=True)
        answered = [each for each in ended if isinstance(each, list)]
        assert answered
        assert all(len(uploads(each)) == 50 for each in answered)


async def test_the_turns_of_a_batch_are_given_back(clock: FakeClock) -> None:
    async with a_memory_world(clock, max_concurrent_calls=8) as world:
        for _ in range(3):
            files = [a_file(LARGE, request_id=str(uuid4())) for _ in range(20)]
            calling = world.stub.BatchInitialize(
                pb.BatchInitializeRequest(requests=files), metadata=ALICE
            )
            gate = Gate()
            world.storage.before("create", gate, gate)
            await gate.reached.wait()
            calling.cancel()
            gate.open()
            await world.service.tasks.drain(5)
        crowd = Crowd()
        world.storage.before("create", *[crowd] * 20)
        uploads(await initialize(world, *[a_file(LARGE) for _ in range(20)]))
        assert crowd.most == 3


# ---- Redis


@pytest.mark.redis
@pytest.mark.parametrize("presign_parts", [0, 1])
async def test_a_hundred_small_files_cost_a_few_round_trips_to_redis(
    emptied_redis_url: str, clock: FakeClock, presign_parts: int
) -> None:
    async with Redis.from_url(emptied_redis_url) as redis:
        where = redis.connection_pool.connection_kwargs
    async with (
        Relay(where["host"], where["port"]) as relay,
        a_redis_world(f"redis://{relay.address}/{where.get('db') or 0}", clock) as world,
    ):
        await initialize(world, a_file())  # Connects, and loads the scripts.
        files = [a_file(presign_parts=presign_parts) for _ in range(100)]
        before = relay.round_trips
        results = await initialize(world, *files)
        together = relay.round_trips - before
        assert len({each.id for each in uploads(results)}) == 100
        before = relay.round_trips
        for file in files:
            await world.stub.Initialize(file, metadata=ALICE)
        one_by_one = relay.round_trips - before
        assert one_by_one >= 100
        # At most one for each of the 64 shards. It is about 15 where nothing else runs: what is
        # made in one turn of the loop goes together, and a busy machine splits the turns.
        assert together <= 64
        assert world.storage.calls.count("presigner") == 200 * presign_parts
        assert set(world.storage.calls) <= {"presigner"}
