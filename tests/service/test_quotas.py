"""Tests that no tenant and no subject takes more than its limits allow, however it asks."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.events import COMPLETED, INITIALIZED
from partway_server.domain.grant import Caller
from partway_server.domain.policy import Policy
from partway_server.domain.usage import CallerUsage, Usage
from partway_server.redis_client.topology import connect
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.sessions.redis_store import RedisSessionStore
from partway_server.storage.memory import MemoryStorage
from redis.asyncio import Redis

from tests.support.backends import REDIS_PATIENCE
from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, put_into
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, BOB, EVE, PART, Failure, World, a_world, failure, failure_of

DAY = 24 * 3600


def exceeded(failed: Failure) -> tuple[str, str, str, str]:
    """Return the limit, the owner, how much is used and of how much, as a failure says."""
    assert (failed.code, failed.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    [violation] = failed.details["QuotaFailure"].violations
    metadata = failed.metadata
    assert violation.description == f"{metadata['limit']}: {metadata['used']} of {metadata['max']}"
    return metadata["limit"], violation.subject, metadata["used"], metadata["max"]


def retry_seconds(failed: Failure) -> float:
    seconds: float = failed.details["RetryInfo"].retry_delay.ToTimedelta().total_seconds()
    return seconds


async def opened(world: World, caller: Any, size: int = 1, **fields: Any) -> upload_pb2.Upload:
    request = pb.InitializeRequest(size_bytes=size, **fields)
    return (await world.stub.Initialize(request, metadata=caller)).upload


# ---- open uploads


@pytest.mark.parametrize("size", [1, 20 * PART])
async def test_as_many_uploads_as_the_limit_may_be_open(clock: FakeClock, size: int) -> None:
    async with a_memory_world(clock, tenant_open_uploads=3) as world:
        first, second, _ = [await opened(world, caller, size) for caller in (ALICE, BOB, ALICE)]
        failed = await failure(opened(world, BOB, size))
        assert exceeded(failed) == ("open_uploads", "tenant", "4", "3")
        assert "RetryInfo" not in failed.details
        # Other tenants have limits of their own.
        await opened(world, EVE, size)
        await world.abort(first)
        third = await opened(world, ALICE, size)
        await failure(opened(world, ALICE, size))
        await world.send(third)
        await world.complete(third)
        await opened(world, ALICE, size)
        assert (await world.sessions.usage(Caller("acme", "bob"))).subject.open_uploads == 1
        assert second.state == upload_pb2.UPLOAD_STATE_ACTIVE


async def test_a_subject_has_limits_of_its_own(clock: FakeClock) -> None:
    async with a_memory_world(clock, subject_open_uploads=2) as world:
        for caller in (ALICE, BOB):
            await opened(world, caller)
            await opened(world, caller)
            failed = await failure(opened(world, caller))
            assert exceeded(failed) == ("open_uploads", "subject", "3", "2")


async def test_what_was_refused_leaves_nothing(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_open_uploads=1) as world:
        await opened(world, ALICE)
        before = await world.sessions.usage(Caller("acme", "alice"))
        await failure(opened(world, ALICE))
        await failure(opened(world, ALICE, 20 * PART))
        assert await world.sessions.usage(Caller("acme", "alice")) == before
        listed = await world.stub.ListUploads(pb.ListUploadsRequest(), metadata=ALICE)
        assert len(listed.uploads) == 1
        assert "create" not in world.storage.calls


async def test_a_repeat_takes_nothing_new(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_open_uploads=1) as world:
        for size in (1, 20 * PART):
            request_id = str(uuid4())
            first = await opened(world, ALICE, size, request_id=request_id)
            assert await opened(world, ALICE, size, request_id=request_id) == first
            await failure(opened(world, ALICE, size, request_id=str(uuid4())))
            failed = await failure(opened(world, ALICE, size + 1, request_id=request_id))
            assert failed.reason == "REQUEST_ID_REUSED"
            await world.abort(first)


async def test_an_upload_verified_near_a_limit_is_like_any_other(clock: FakeClock) -> None:
    sessions = MemorySessionStore(clock)
    storage = MemoryStorage()
    policy = Policy("shown", "uploads", cache_control="max-age=60")
    async with a_world(
        clock=clock,
        sessions=sessions,
        storage=FaultyObjects(storage),
        put=put_into(storage),
        policies=[policy],
        tenant_open_uploads=2,
    ) as world:
        for size in (1000, 2 * PART):
            upload = await opened(world, ALICE, size, policy="shown", metadata={"title": "one"})
            await world.send(upload)
            done = await world.complete(upload)
            assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
            stored = storage.objects["uploads", done.object.key]
            assert stored.headers["cache-control"] == "max-age=60"
            assert stored.metadata == {"title": "one"}
        assert [event.type for event in sessions.events] == [INITIALIZED, COMPLETED] * 2


async def test_a_repeat_of_what_was_never_confirmed_is_confirmed_first(clock: FakeClock) -> None:
    sessions = Interrupted(clock)
    storage = MemoryStorage()
    async with a_world(
        clock=clock,
        sessions=sessions,
        storage=FaultyObjects(storage),
        put=put_into(storage),
        tenant_open_uploads=1,
    ) as world:
        for size in (1, 20 * PART):
            request_id = str(uuid4())
            sessions.fail_after = 1
            failed = await failure(opened(world, ALICE, size, request_id=request_id))
            assert failed.reason == "SESSIONS_UNAVAILABLE"
            clock.advance(31)
            repeated = await opened(world, ALICE, size, request_id=request_id)
            assert repeated.state == upload_pb2.UPLOAD_STATE_ACTIVE
            await world.abort(repeated)
        # One that someone else has overtaken meanwhile is not opened.
        request_id = str(uuid4())
        sessions.fail_after = 1
        await failure(opened(world, ALICE, request_id=request_id))
        sessions.others = 1
        clock.advance(31)
        failed = await failure(opened(world, ALICE, request_id=request_id))
        assert exceeded(failed) == ("open_uploads", "tenant", "2", "1")


class Interrupted(MemorySessionStore):
    """Fails to read the usage after `fail_after` times; `others` are uploads of other callers."""

    fail_after: int | None = None
    others = 0

    async def usage(self, caller: Caller) -> CallerUsage:
        if self.fail_after == 0:
            self.fail_after = None
            raise SessionsUnavailable
        if self.fail_after is not None:
            self.fail_after -= 1
        usage = await super().usage(caller)
        return CallerUsage(usage.tenant.plus(self.others, 0), usage.subject)


# ---- bytes


async def test_the_declared_bytes_of_open_uploads_have_a_limit(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_open_bytes=100) as world:
        first = await opened(world, ALICE, 60)
        failed = await failure(opened(world, BOB, 41))
        assert exceeded(failed) == ("open_bytes", "tenant", "101", "100")
        assert "RetryInfo" not in failed.details
        await opened(world, BOB, 40)
        await opened(world, BOB, 0)
        await world.abort(first)
        await opened(world, ALICE, 60)


async def test_the_bytes_of_a_day_are_there_again_at_midnight(clock: FakeClock) -> None:
    async with a_memory_world(clock, subject_daily_bytes=100) as world:
        clock.advance(DAY - clock.now().timestamp() % DAY)
        upload = await opened(world, ALICE, 60)
        await world.send(upload)
        await world.complete(upload)
        clock.advance(3600)
        failed = await failure(opened(world, ALICE, 41))
        assert exceeded(failed) == ("daily_bytes", "subject", "101", "100")
        assert retry_seconds(failed) == DAY - 3600
        # What is aborted does not count.
        await world.abort(await opened(world, ALICE, 40))
        await opened(world, ALICE, 40)
        await failure(opened(world, ALICE, 1))
        clock.advance(DAY - 3600)
        await opened(world, ALICE, 100)


async def test_a_composed_object_counts_with_its_size(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_open_bytes=10 * PART) as world:
        source = await world.initialize(6 * PART)
        await world.send(source)
        await world.complete(source)
        sources = [pb.ComposeSource(upload_id=source.id)] * 2
        failed = await failure(
            world.stub.Compose(pb.ComposeRequest(sources=sources), metadata=ALICE)
        )
        assert exceeded(failed) == ("open_bytes", "tenant", str(12 * PART), str(10 * PART))
        request = pb.ComposeRequest(sources=sources[:1])
        made = (await world.stub.Compose(request, metadata=ALICE)).upload
        assert made.state == upload_pb2.UPLOAD_STATE_COMPLETED
        assert (await world.sessions.usage(Caller("acme", "alice"))).tenant.open_uploads == 0


# ---- many at once


@contextlib.asynccontextmanager
async def replicas(
    count: int, clock: FakeClock, redis_url: str, **settings: Any
) -> AsyncIterator[list[World]]:
    """Start so many services over one Redis and one storage."""
    storage = MemoryStorage()
    async with contextlib.AsyncExitStack() as running:
        async with Redis.from_url(redis_url) as redis:
            await redis.flushdb()
        worlds = []
        for _ in range(count):
            sessions = RedisSessionStore(connect(redis_url), clock=clock, patience=REDIS_PATIENCE)
            running.push_async_callback(sessions.aclose)
            world = a_world(
                clock=clock,
                sessions=sessions,
                storage=FaultyObjects(storage),
                put=put_into(storage),
                **settings,
            )
            worlds.append(await running.enter_async_context(world))
        yield worlds


@pytest.mark.redis
@pytest.mark.parametrize("size", [1, 20 * PART])
async def test_at_many_replicas_at_once_no_more_are_opened_than_allowed(
    clock: FakeClock, redis_url: str, size: int
) -> None:
    async with replicas(3, clock, redis_url, tenant_open_uploads=20) as worlds:
        calls = [opened(worlds[n % 3], ALICE if n % 2 else BOB, size) for n in range(200)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        uploads = [a for a in answers if isinstance(a, upload_pb2.Upload)]
        refused = [failure_of(a) for a in answers if isinstance(a, grpc.aio.AioRpcError)]
        # On a machine that is busy, some are refused before their limits are looked at.
        beyond = [failed for failed in refused if failed.reason != "OVERLOADED"]
        assert {exceeded(failed)[0] for failed in beyond} <= {"open_uploads"}
        assert len(uploads) + len(refused) == 200
        # Fewer, or none, where replicas see the uploads of each other, and all step back.
        assert len(uploads) <= 20
        listed = [
            await worlds[0].stub.ListUploads(pb.ListUploadsRequest(page_size=200), metadata=caller)
            for caller in (ALICE, BOB)
        ]
        assert sum(len(page.uploads) for page in listed) == len(uploads)
        # One by one, the rest is there for whoever asks.
        for _ in range(20 - len(uploads)):
            await opened(worlds[0], ALICE, size)
        await failure(opened(worlds[1], ALICE, size))
        usage = await worlds[2].sessions.usage(Caller("acme", "alice"))
        assert usage.tenant == Usage(20, 20 * size, 20 * size)


@pytest.mark.redis
async def test_far_from_the_limit_the_usage_is_read_now_and_then(
    clock: FakeClock, redis_url: str
) -> None:
    async with replicas(1, clock, redis_url, tenant_open_uploads=10_000) as [world]:
        reads = Counter[str]()
        read = world.sessions.usage

        async def counted(caller: Caller) -> CallerUsage:
            reads["usage"] += 1
            return await read(caller)

        world.sessions.usage = counted  # type: ignore[method-assign]
        for _ in range(40):
            await opened(world, ALICE)
        # Twice each: before the record is stored and after.
        assert reads["usage"] <= 6


async def test_many_that_wait_are_refused_by_one_reading(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_open_uploads=1) as world:
        await opened(world, ALICE)
        reads = Counter[str]()
        read = world.sessions.usage

        async def slowly(caller: Caller) -> CallerUsage:
            reads["usage"] += 1
            for _ in range(100):
                await asyncio.sleep(0)
            return await read(caller)

        world.sessions.usage = slowly  # type: ignore[method-assign]
        failures = await asyncio.gather(*(failure(opened(world, ALICE)) for _ in range(60)))
        assert {exceeded(failed)[0] for failed in failures} == {"open_uploads"}
        assert reads["usage"] < 30


# ---- rates


async def test_calls_beyond_the_rate_are_refused_and_let_in_again(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_calls_per_second=5) as world:
        upload = await world.initialize(1)
        for _ in range(4):
            await world.state(upload)
        failed = await failure(world.state(upload))
        assert exceeded(failed) == ("calls_per_second", "tenant", "5", "5")
        assert retry_seconds(failed) == pytest.approx(0.2, abs=0.01)
        await opened(world, EVE)
        clock.advance(0.2)
        await world.state(upload)
        await failure(world.state(upload))


async def test_calls_of_a_subject_do_not_cost_its_tenant_more(clock: FakeClock) -> None:
    async with a_memory_world(
        clock, tenant_calls_per_second=10, subject_calls_per_second=4
    ) as world:
        for _ in range(4):
            await opened(world, ALICE)
        for _ in range(5):
            failed = await failure(opened(world, ALICE))
            assert exceeded(failed)[:2] == ("calls_per_second", "subject")
        for _ in range(4):
            await opened(world, BOB)


async def test_parts_are_presigned_at_a_rate(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_parts_per_minute=30) as world:
        upload = await world.initialize(20 * PART)
        assert len(await world.presigned(upload)) == 20
        failed = await failure(world.presigned(upload))
        assert exceeded(failed) == ("parts_per_minute", "tenant", "30", "30")
        assert retry_seconds(failed) == pytest.approx(20, abs=0.1)
        # An Initialize that asks for URLs opens the upload all the same.
        answer = await world.stub.Initialize(
            pb.InitializeRequest(size_bytes=20 * PART, part_size_bytes=PART, presign_parts=20),
            metadata=ALICE,
        )
        assert (answer.upload.state, len(answer.parts)) == (upload_pb2.UPLOAD_STATE_ACTIVE, 0)
        clock.advance(20)
        assert len(await world.presigned(upload)) == 20


async def test_more_parts_than_the_rate_are_presigned_on_credit(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_parts_per_minute=10) as world:
        upload = await world.initialize(20 * PART)
        assert len(await world.presigned(upload)) == 20
        failed = await failure(world.presigned(upload, [1]))
        assert retry_seconds(failed) == pytest.approx(66, abs=0.1)
        clock.advance(66)
        assert len(await world.presigned(upload, [1])) == 1


async def test_the_bytes_through_the_service_have_a_rate(clock: FakeClock) -> None:
    policy = Policy("open", "uploads", via_service=True)
    async with a_memory_world(
        clock, policies=[policy], tenant_via_service_bytes_per_second=100
    ) as world:
        upload = await opened(world, ALICE, 300, policy="open")
        await send_through(world, upload, b"x" * 300)
        again = await opened(world, ALICE, 10, policy="open")
        failed = await failure(send_through(world, again, b"x" * 10))
        assert exceeded(failed) == ("via_service_bytes_per_second", "tenant", "100", "100")
        assert retry_seconds(failed) == pytest.approx(2.1, abs=0.01)
        clock.advance(2.1)
        await send_through(world, again, b"x" * 10)


async def test_no_rate_is_enforced_while_redis_is_away(clock: FakeClock) -> None:
    class Away(MemorySessionStore):
        asked = 0

        async def take_tokens(self, *_: object) -> tuple[int, float]:
            self.asked += 1
            raise SessionsUnavailable

    storage, sessions = MemoryStorage(), Away(clock)
    async with a_world(
        clock=clock,
        sessions=sessions,
        storage=FaultyObjects(storage),
        put=put_into(storage),
        tenant_calls_per_second=1,
    ) as world:
        upload = await world.initialize(1)
        for _ in range(20):
            await world.state(upload)
        # Nor is each call made to wait for it.
        assert sessions.asked == 1


async def test_nothing_is_asked_where_there_is_no_limit(clock: FakeClock) -> None:
    class Forbidden(MemorySessionStore):
        async def usage(self, caller: Caller) -> CallerUsage:
            raise AssertionError("it was asked")

        async def take_tokens(self, *_: object) -> tuple[int, float]:
            raise AssertionError("it was asked")

    storage = MemoryStorage()
    async with a_world(
        clock=clock,
        sessions=Forbidden(clock),
        storage=FaultyObjects(storage),
        put=put_into(storage),
        tenant_open_uploads=0,
    ) as world:
        await world.send(await world.initialize())


# ---- at a time


async def send_through(world: World, upload: upload_pb2.Upload, body: bytes) -> Any:
    header = pb.UploadPartHeader(upload_id=upload.id, part_number=1)

    async def messages() -> AsyncIterator[pb.UploadPartRequest]:
        yield pb.UploadPartRequest(header=header)
        yield pb.UploadPartRequest(chunk=body)

    return await world.stub.UploadPart(messages(), metadata=ALICE)


async def test_a_tenant_has_its_share_of_the_watches_and_no_more(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_watches=3, subject_watches=2) as world:
        uploads = {caller: await opened(world, caller) for caller in (ALICE, BOB, EVE)}

        async def watching(caller: Any) -> Any:
            request = pb.WatchRequest(upload_id=uploads[caller].id)
            watch = world.stub.Watch(request, metadata=caller)
            await watch.read()
            return watch

        mine = [await watching(ALICE) for _ in range(2)]
        failed = await failure(watching(ALICE))
        assert exceeded(failed) == ("watches", "subject", "2", "2")
        assert retry_seconds(failed) == 1
        theirs = await watching(BOB)
        assert exceeded(await failure(watching(BOB))) == ("watches", "tenant", "3", "3")
        await watching(EVE)
        # Any end makes room: that of the upload, and that of the caller.
        theirs.cancel()
        await until_watched(world, 2)
        theirs = await watching(BOB)
        await world.abort(uploads[ALICE])
        for watch in mine:
            while await watch.read() is not grpc.aio.EOF:
                pass
        await until_watched(world, 1)
        theirs.cancel()


async def until_watched(world: World, count: int) -> None:
    """Wait until the service has noticed that only so many watches of ALICE's tenant are left."""
    async with asyncio.timeout(40):
        while True:
            usage = await world.stub.GetUsage(pb.GetUsageRequest(), metadata=ALICE)
            if next(e.used for e in usage.tenant if e.limit == "watches") == count:
                return
            await asyncio.sleep(0.01)


async def test_streams_that_are_not_read_are_counted(clock: FakeClock) -> None:
    async with a_memory_world(clock, tenant_streams=2) as world:
        upload = await world.initialize(2000 * PART)
        request = pb.PresignPartsRequest(upload_id=upload.id)
        held = [world.stub.PresignParts(request, metadata=ALICE) for _ in range(2)]
        for stream in held:
            await stream.read()
        failed = await failure(world.presigned(upload))
        assert exceeded(failed) == ("streams", "tenant", "2", "2")
        assert await world.state(upload) == "ACTIVE"
        held[0].cancel()
        async with asyncio.timeout(40):
            while True:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    assert len(await world.presigned(upload)) == 2000
                    break
                await asyncio.sleep(0.01)


async def test_parts_through_the_service_are_counted(clock: FakeClock) -> None:
    policy = Policy("open", "uploads", via_service=True)
    async with a_memory_world(clock, policies=[policy], tenant_via_service=1) as world:
        upload, other = [await opened(world, ALICE, 10, policy="open") for _ in range(2)]
        rest = asyncio.Event()

        async def slowly() -> AsyncIterator[pb.UploadPartRequest]:
            header = pb.UploadPartHeader(upload_id=upload.id, part_number=1)
            yield pb.UploadPartRequest(header=header)
            await rest.wait()
            yield pb.UploadPartRequest(chunk=b"x" * 10)

        sending = asyncio.ensure_future(world.stub.UploadPart(slowly(), metadata=ALICE))
        async with asyncio.timeout(40):
            while True:
                usage = await world.stub.GetUsage(pb.GetUsageRequest(), metadata=ALICE)
                if any(e.used for e in usage.tenant if e.limit == "via_service"):
                    break
                await asyncio.sleep(0.01)
        failed = await failure(send_through(world, other, b"x" * 10))
        assert exceeded(failed) == ("via_service", "tenant", "1", "1")
        rest.set()
        await sending
        await send_through(world, other, b"x" * 10)
