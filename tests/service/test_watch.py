"""Tests that Watch sends what Status would return, now and after each change."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_server.rpc.server import MAX_STREAMS
from partway_server.runtime.subprocesses import free_port
from partway_server.storage.memory import MemoryStorage
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.support.calls import call, ranges
from tests.support.clock import FakeClock
from tests.support.processes import start_valkey_at
from tests.support.storage import Gate
from tests.support.twins import a_memory_world, a_redis_world
from tests.support.upload_situations import EXPIRY_SECONDS, Situation, bring_to
from tests.support.world import ALICE, BOB, PART, World, failure_of

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

SECONDS = 20
"""How long a message may take on a busy machine: a watch polls every 15."""


class Watched:
    """The messages of one Watch, as they arrive."""

    def __init__(self, world: World, upload: upload_pb2.Upload, caller: Any = ALICE) -> None:
        self.call = world.stub.Watch(pb.WatchRequest(upload_id=upload.id), metadata=caller)

    async def next(self) -> pb.WatchResponse:
        async with asyncio.timeout(SECONDS):
            message: Any = await self.call.read()
        assert message is not grpc.aio.EOF, "it ended"
        assert isinstance(message, pb.WatchResponse)
        return message

    async def until(self, state: str) -> list[pb.WatchResponse]:
        """Return the messages up to the first with that state."""
        found = [await self.next()]
        while state_of(found[-1]) != state:
            found.append(await self.next())
        return found

    async def ended(self) -> str:
        """Return how the Watch ends, with no further message: OK, or the code and the reason."""
        async with asyncio.timeout(SECONDS):
            try:
                assert await self.call.read() is grpc.aio.EOF
                code = await self.call.code()
            except grpc.aio.AioRpcError as error:
                found = failure_of(error)
                return f"{found.code} {found.reason}"
        return str(code.name)


def state_of(message: pb.WatchResponse) -> str:
    return upload_pb2.UploadState.Name(message.upload.state).removeprefix("UPLOAD_STATE_")


async def report(world: World, upload: upload_pb2.Upload, *numbers: int) -> None:
    sizes = {1: PART, 2: PART, 3: 7}
    parts = [upload_pb2.Part(part_number=n, size_bytes=sizes[n]) for n in numbers]
    request = pb.ReportPartsRequest(upload_id=upload.id, parts=parts)
    await call(world.stub, "ReportParts", request)


# ---- reports


async def test_it_tells_what_status_would_and_ends_with_the_object(world: World) -> None:
    upload = await world.initialize(fingerprint="abc")
    watched = Watched(world, upload)
    first = await watched.next()
    status = await call(world.stub, "Status", pb.StatusRequest(upload_id=upload.id))
    assert (first.upload, first.reported) == (status.upload, status.reported)
    assert first.upload == upload and first.reported.missing == ranges((1, 3))
    await report(world, upload, 1, 3)
    second = await watched.next()
    assert second.upload == upload and second.reported.missing == ranges((2, 2))
    await world.send(upload)
    done = await world.complete(upload)
    last = (await watched.until("COMPLETED"))[-1]
    assert last.upload == done and not last.HasField("reported")
    assert await watched.ended() == "OK"


async def test_it_ends_with_an_abort(world: World) -> None:
    upload = await world.initialize()
    watched = Watched(world, upload)
    await watched.next()
    aborted = await world.abort(upload)
    assert (await watched.until("ABORTED"))[-1].upload == aborted
    assert await watched.ended() == "OK"


@in_memory
@pytest.mark.parametrize("situation", [Situation.COMPLETED, Situation.ABORTED])
async def test_of_an_upload_that_is_over_there_is_one_message(
    world: World, situation: Situation
) -> None:
    upload = await bring_to(world, situation, PART + 7)
    watched = Watched(world, upload)
    assert state_of(await watched.next()) == situation.name
    assert await watched.ended() == "OK"


@in_memory
async def test_a_complete_under_way_is_told(world: World) -> None:
    upload = await world.initialize()
    watched = Watched(world, upload)
    await watched.next()
    await world.send(upload)
    gate = Gate()
    world.storage.before("complete", gate)
    completing = asyncio.create_task(world.complete(upload))
    assert (await watched.until("COMPLETING"))[-1].HasField("reported")
    gate.open()
    await watched.until("COMPLETED")
    assert await watched.ended() == "OK"
    await completing


@in_memory
async def test_a_deadline_shows_when_the_janitor_comes(world: World) -> None:
    upload = await world.initialize()
    watched = Watched(world, upload)
    await watched.next()
    world.clock.advance(EXPIRY_SECONDS + 1)
    await world.service.janitor.sweep()
    last = (await watched.until("ABORTED"))[-1]
    assert last.upload.abort_reason == upload_pb2.ABORT_REASON_EXPIRED
    assert await watched.ended() == "OK"


@in_memory
async def test_the_first_message_is_the_truth_of_storage_where_the_row_is_lost(
    world: World,
) -> None:
    upload = await world.initialize()
    await world.send(upload)
    done = await world.complete(upload)
    await world.lose_row(upload)
    watched = Watched(world, upload)
    assert (await watched.next()).upload.object == done.object
    assert await watched.ended() == "OK"


# ---- permissions and limits


@in_memory
@pytest.mark.promise("Watch", "NOT_FOUND")
async def test_another_callers_upload_is_not_found_and_nobody_hears_of_it(world: World) -> None:
    upload = await world.initialize()
    before = list(world.storage.calls)
    for caller, watched in ((BOB, upload), (ALICE, upload_pb2.Upload(id="x" * 100))):
        assert await Watched(world, watched, caller).ended() == "NOT_FOUND UPLOAD_NOT_FOUND"
    assert world.storage.calls == before


@in_memory
@pytest.mark.promise("Watch", "INVALID_ARGUMENT")
@pytest.mark.parametrize("upload_id", ["", "x" * 8193])
async def test_the_limit_of_the_id_is_where_the_contract_says(world: World, upload_id: str) -> None:
    watched = Watched(world, upload_pb2.Upload(id=upload_id))
    assert await watched.ended() == "INVALID_ARGUMENT INVALID_REQUEST"


async def test_watches_have_room_of_their_own(clock: FakeClock) -> None:
    async with a_memory_world(clock, max_concurrent_calls=1, max_watchers=2) as world:
        upload = await world.initialize()
        watches = [Watched(world, upload) for _ in range(2)]
        for watched in watches:
            await watched.next()
        assert await Watched(world, upload).ended() == "RESOURCE_EXHAUSTED OVERLOADED"
        assert await world.state(upload) == "ACTIVE"
        watches[0].call.cancel()
        # The server notices the cancellation a little later.
        async with asyncio.timeout(SECONDS):
            while (found := await first_word(world, upload)) != "ACTIVE":
                assert found == "RESOURCE_EXHAUSTED OVERLOADED"


async def first_word(world: World, upload: upload_pb2.Upload) -> str:
    """Return the state in a Watch's first message, or how it ends without one."""
    watched = Watched(world, upload)
    try:
        return state_of(await watched.next())
    except grpc.aio.AioRpcError as error:
        failed = failure_of(error)
        return f"{failed.code} {failed.reason}"


async def test_watches_that_fill_a_connection_leave_room_on_another(clock: FakeClock) -> None:
    """The next call of the same connection waits for one of them to end."""
    async with a_memory_world(clock) as world:
        upload = await world.initialize()
        watches = [Watched(world, upload) for _ in range(MAX_STREAMS)]
        for watched in watches:
            await watched.next()
        waiting = asyncio.create_task(world.state(upload))
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}", options) as channel:
            stub = rpc.UploadServiceStub(channel)
            request = pb.StatusRequest(upload_id=upload.id)
            answer = await stub.Status(request, metadata=ALICE, timeout=SECONDS)
            assert answer.upload.state == upload_pb2.UPLOAD_STATE_ACTIVE
            assert not waiting.done()
            await stub.Abort(pb.AbortRequest(upload_id=upload.id), metadata=ALICE)
        assert {await watched.ended() async for watched in at_their_end(watches)} == {"OK"}
        assert await asyncio.wait_for(waiting, SECONDS) == "ABORTED"


async def at_their_end(watches: list[Watched]) -> AsyncIterator[Watched]:
    for watched in watches:
        await watched.until("ABORTED")
        yield watched


# ---- the end of a Watch


@in_memory
@pytest.mark.promise("Watch", "UNAVAILABLE")
async def test_all_end_when_the_service_is_about_to_stop_and_none_begins(world: World) -> None:
    upload = await world.initialize()
    watches = [Watched(world, upload) for _ in range(20)]
    for watched in watches:
        await watched.next()
    await world.service.server.leave()
    for watched in (*watches, Watched(world, upload)):
        assert await watched.ended() == "UNAVAILABLE STOPPING"
    assert await world.state(upload) == "ACTIVE"


@in_memory
async def test_a_stop_without_warning_does_not_wait_for_them(world: World) -> None:
    upload = await world.initialize()
    watched = Watched(world, upload)
    await watched.next()
    began = time.monotonic()
    await world.service.server.stop(60)
    assert time.monotonic() - began < 30
    assert await watched.ended() == "UNAVAILABLE STOPPING"


# ---- with Redis


@pytest.mark.redis
async def test_what_one_service_changes_is_told_by_another(
    clock: FakeClock, redis_url: str
) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    storage = MemoryStorage()
    async with (
        a_redis_world(redis_url, clock, storage=storage) as one,
        a_redis_world(redis_url, clock, storage=storage) as other,
    ):
        upload = await one.initialize()
        watched = Watched(other, upload)
        await watched.next()
        began = time.monotonic()
        await report(one, upload, 2)
        assert (await watched.next()).reported.parts_stored == 1
        await one.send(upload)
        done = await one.complete(upload)
        assert (await watched.until("COMPLETED"))[-1].upload == done
        assert await watched.ended() == "OK"
        # By notifications, and not by the poll every 15 s.
        assert time.monotonic() - began < 10


@contextlib.asynccontextmanager
async def a_redis_at(port: int, folder: Path) -> AsyncIterator[str]:
    """Run a Redis for this test alone, which persists its writes; yield its URL."""
    with start_valkey_at(port, folder) as child:
        await asyncio.to_thread(child.wait, lambda: answers(port))
        yield f"redis://127.0.0.1:{port}/0"


def answers(port: int) -> bool:
    with contextlib.closing(SyncRedis(port=port)) as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False


@pytest.mark.redis
async def test_watches_live_through_a_restart_of_redis(clock: FakeClock, tmp_path: Path) -> None:
    port = free_port()
    async with contextlib.AsyncExitStack() as opened:
        async with a_redis_at(port, tmp_path) as url:
            world = await opened.enter_async_context(a_redis_world(url, clock))
            upload, other = await world.initialize(), await world.initialize()
            watches = [Watched(world, upload), Watched(world, other)]
            for watched in watches:
                await watched.next()
            await report(world, upload, 1)
            assert (await watches[0].next()).reported.parts_stored == 1
            await world.send(other)
            grant = world.grant(other)
            parts = await world.storage.list_parts(grant)
        # While no one is notified, storage carries out the join that a lost worker had requested.
        await world.storage.complete(grant, parts)
        async with a_redis_at(port, tmp_path):
            # The session record says ACTIVE; whoever notices the restart learns that it may be old.
            await watches[1].until("COMPLETED")
            await report(world, upload, 2)
            assert (await watches[0].next()).reported.parts_stored == 2
            await world.abort(upload)
            await watches[0].until("ABORTED")
            assert [await watched.ended() for watched in watches] == ["OK", "OK"]
            await opened.aclose()
