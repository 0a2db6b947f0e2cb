"""Tests what load balancers and callers see when the service starts and stops."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from partway.v1 import upload_pb2
from partway_server.observability.metrics import Metrics
from partway_server.runtime import app
from partway_server.runtime.wiring import Service

from tests.support.clock import FakeClock
from tests.support.storage import Gate
from tests.support.twins import a_memory_world
from tests.support.world import World, failure

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICES = ["", "partway.v1.UploadService"]


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    async with a_memory_world(clock) as started:
        yield started


@pytest.fixture
async def health(world: World) -> AsyncIterator[health_pb2_grpc.HealthStub]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)


async def status(health: health_pb2_grpc.HealthStub, service: str) -> int:
    reply = await health.Check(health_pb2.HealthCheckRequest(service=service))
    found: int = reply.status
    return found


@pytest.mark.parametrize("service", SERVICES)
async def test_health_says_when_to_look_elsewhere(
    world: World, health: health_pb2_grpc.HealthStub, service: str
) -> None:
    assert await status(health, service) == SERVING
    await world.service.server.leave()
    assert await status(health, service) == NOT_SERVING
    upload = await world.initialize()
    assert upload.state == upload_pb2.UPLOAD_STATE_ACTIVE


@pytest.mark.parametrize("service", SERVICES)
async def test_readiness_comes_and_goes_and_can_be_watched(
    world: World, health: health_pb2_grpc.HealthStub, service: str
) -> None:
    watch = health.Watch(health_pb2.HealthCheckRequest(service=service))
    assert (await watch.read()).status == SERVING
    await world.service.server.set_ready(False)
    assert (await watch.read()).status == NOT_SERVING
    assert await status(health, "liveness") == SERVING
    await world.service.server.set_ready(True)
    assert (await watch.read()).status == SERVING
    watch.cancel()


async def test_one_that_leaves_does_not_come_back_and_is_alive(
    world: World, health: health_pb2_grpc.HealthStub
) -> None:
    await world.service.server.leave()
    await world.service.server.set_ready(True)
    assert [await status(health, service) for service in SERVICES] == [NOT_SERVING] * 2
    assert await status(health, "liveness") == SERVING


@pytest.mark.parametrize("service", SERVICES)
async def test_health_can_be_watched(
    world: World, health: health_pb2_grpc.HealthStub, service: str
) -> None:
    watch = health.Watch(health_pb2.HealthCheckRequest(service=service))
    assert (await watch.read()).status == SERVING
    await world.service.server.leave()
    assert (await watch.read()).status == NOT_SERVING
    watch.cancel()


async def test_the_health_of_an_unknown_service_is_not_found(
    health: health_pb2_grpc.HealthStub,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await status(health, "nope")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_is_told_however_many_calls_are_in_progress(clock: FakeClock) -> None:
    async with (
        a_memory_world(clock, max_concurrent_calls=0) as world,
        grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel,
    ):
        assert (await failure(world.initialize())).reason == "OVERLOADED"
        assert await status(health_pb2_grpc.HealthStub(channel), "") == SERVING


async def test_a_call_in_progress_is_finished(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    gate = Gate()
    world.storage.before("complete", gate)
    completing = asyncio.create_task(world.complete(upload))
    await gate.reached.wait()
    stopping = asyncio.create_task(world.service.server.stop(30))
    while True:
        try:
            await world.state(upload)
        except grpc.aio.AioRpcError as error:
            # CANCELLED if the call was in flight when the server closed.
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            break
    assert not stopping.done()
    gate.open()
    assert (await completing).state == upload_pb2.UPLOAD_STATE_COMPLETED
    await stopping


async def test_work_that_outlives_its_call_is_drained(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    gate = Gate()
    world.storage.before("complete", gate)
    completing = asyncio.create_task(world.complete(upload))
    await gate.reached.wait()
    await world.service.server.stop(0)
    with pytest.raises(grpc.aio.AioRpcError):
        await completing
    draining = asyncio.create_task(world.service.tasks.drain(30))
    await asyncio.sleep(0)
    assert not draining.done()
    gate.open()
    await draining
    row = await world.sessions.get(world.grant(upload).sid)
    assert row is not None and row.state == "completed"


async def test_a_call_that_lasts_as_long_as_the_grace_is_told_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The whole grace period is left for the answer, so that a slow machine does not matter.
    monkeypatch.setattr("partway_server.rpc.server.LAST_SECONDS", 30)
    upload = await world.initialize()
    await world.send(upload)
    gate = Gate()
    world.storage.before("complete", gate)
    completing = asyncio.create_task(failure(world.complete(upload)))
    await gate.reached.wait()
    await world.service.server.stop(30)
    reported = await completing
    assert (reported.code, reported.reason) == ("UNAVAILABLE", "TIMED_OUT")
    gate.open()
    await world.service.tasks.drain(30)
    row = await world.sessions.get(world.grant(upload).sid)
    assert row is not None and row.state == "completed"


class Stopping:
    """A server, or tasks, that takes some seconds to stop and records how many it was given."""

    def __init__(self, clock: list[float], takes: float) -> None:
        self._clock = clock
        self._takes = takes
        self.given: list[float] = []

    async def stop(self, seconds: float) -> None:
        self.given.append(seconds)
        self._clock[0] += self._takes

    drain = stop


@pytest.mark.parametrize(("calls_take", "left"), [(7.0, 13.0), (20.0, 0.0), (20.5, 0.0)])
async def test_calls_and_detached_work_share_one_grace(calls_take: float, left: float) -> None:
    clock = [1000.0]
    server: Any = Stopping(clock, calls_take)
    tasks: Any = Stopping(clock, 0)
    unused: Any = None
    service = Service(server, unused, unused, tasks, Metrics(), unused, unused, unused, unused)
    await app.finish(service, 20, lambda: clock[0])
    assert (server.given, tasks.given) == ([20], [left])


async def test_reflection_is_off_unless_it_is_asked_for(clock: FakeClock) -> None:
    method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    for reflection, code in ((False, grpc.StatusCode.UNIMPLEMENTED), (True, None)):
        async with (
            a_memory_world(clock, reflection=reflection) as world,
            grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel,
        ):
            multi: Any = channel.stream_stream(method)
            if code is None:
                # list_services = "": field 7 of ServerReflectionRequest.
                stream = multi(iter([b"\x3a\x00"]))
                assert b"partway.v1.UploadService" in await stream.read()
                continue
            # Without a message: if the status arrives during a write, grpc.aio reports its own.
            assert await multi().code() is code
