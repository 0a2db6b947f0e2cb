"""Tests that GetUsage shows what a tenant and a subject use of each limit."""

from typing import Any

import grpc
import pytest
from partway.v1 import upload_service_pb2 as pb

from tests.support.calls import call_raw
from tests.support.clock import FakeClock
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, BOB, EVE, PART, World, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

LIMITS = [
    *("open_uploads", "open_bytes", "daily_bytes", "parts_per_minute", "calls_per_second"),
    *("watches", "streams", "via_service", "via_service_bytes_per_second"),
]


async def used(world: World, caller: Any = ALICE) -> tuple[dict[str, int], dict[str, int]]:
    """Return what the tenant and the subject use, by limit, without what is zero."""
    usage = await world.stub.GetUsage(pb.GetUsageRequest(), metadata=caller)
    for entries in (usage.tenant, usage.subject):
        assert [entry.limit for entry in entries] == LIMITS
    tenant, subject = (
        {e.limit: e.used for e in entries if e.used and e.limit != "calls_per_second"}
        for entries in (usage.tenant, usage.subject)
    )
    return tenant, subject


async def test_a_caller_without_uploads_uses_nothing(world: World) -> None:
    assert await used(world) == ({}, {})


async def test_usage_follows_the_uploads(world: World) -> None:
    size = 2 * PART + 7
    upload = await world.initialize(size)
    one = {"open_uploads": 1, "open_bytes": size, "daily_bytes": size}
    assert await used(world) == (one, one)
    assert await used(world, BOB) == (one, {})
    assert await used(world, EVE) == ({}, {})
    presigned = {"parts_per_minute": 3}
    await world.send(upload)
    assert await used(world) == ({**one, **presigned}, {**one, **presigned})
    await world.complete(upload)
    done = {"daily_bytes": size, **presigned}
    assert await used(world) == (done, done)
    await world.abort(await world.initialize(size))
    assert await used(world) == (done, done)


async def test_an_expired_upload_is_released(world: World) -> None:
    upload = await world.initialize(100)
    world.clock.advance(7 * 24 * 3600)
    await world.service.janitor.sweep()
    assert await world.state(upload) == "ABORTED"
    assert await used(world) == ({}, {})


async def test_an_upload_that_redis_forgot_counts_again(world: World) -> None:
    upload = await world.initialize(100)
    await world.lose_row(upload)
    assert await used(world) == ({}, {})
    assert await world.state(upload) == "ACTIVE"
    one = {"open_uploads": 1, "open_bytes": 100, "daily_bytes": 100}
    assert await used(world) == (one, one)


async def test_an_upload_that_storage_lost_is_released(world: World) -> None:
    upload = await world.initialize()
    await world.storage.abort(world.grant(upload))
    await failure(world.complete(upload))
    assert await world.state(upload) == "ABORTED"
    assert await used(world) == ({}, {})


async def test_calls_of_the_last_second_are_shown(clock: FakeClock) -> None:
    async with a_memory_world(clock) as world:
        for _ in range(3):
            usage = await world.stub.GetUsage(pb.GetUsageRequest(), metadata=ALICE)
        calls = next(e for e in usage.tenant if e.limit == "calls_per_second")
        assert calls.used == 3
        clock.advance(2)
        usage = await world.stub.GetUsage(pb.GetUsageRequest(), metadata=BOB)
        calls, own = (
            next(e for e in entries if e.limit == "calls_per_second")
            for entries in (usage.tenant, usage.subject)
        )
        assert (calls.used, own.used) == (1, 1)


async def test_a_limit_is_shown_where_there_is_one(clock: FakeClock) -> None:
    async with a_memory_world(
        clock, tenant_open_bytes=12345, subject_watches=6, tenant_open_uploads=0
    ) as world:
        usage = await world.stub.GetUsage(pb.GetUsageRequest(), metadata=ALICE)
        tenant = {e.limit: e.max for e in usage.tenant if e.HasField("max")}
        assert tenant == {"open_bytes": 12345}
        assert {e.limit: e.max for e in usage.subject if e.HasField("max")} == {"watches": 6}


@in_memory
@pytest.mark.promise("GetUsage", "INVALID_ARGUMENT")
async def test_a_request_that_cannot_be_decoded_is_refused(world: World) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel:
        failed = await failure(call_raw(channel, "GetUsage", b"\x0a\xff"))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "UNDECODABLE_REQUEST")
