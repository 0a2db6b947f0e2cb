"""Tests that no tenant keeps others out: by calls, by reading nothing, by sending slowly."""

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_server.domain.part_plan import MIB
from partway_server.domain.policy import Policy
from partway_server.rpc.server import MAX_STREAMS

from tests.support.calls import call, call_raw, ranges
from tests.support.clock import FakeClock
from tests.support.processes import until
from tests.support.raw_http2 import RawCaller, raw_caller
from tests.support.storage import Gate
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, EVE, PART, World, content, failure

SECONDS = 20.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC).replace(microsecond=0))


@contextlib.asynccontextmanager
async def raw_callers(world: World, number: int) -> AsyncIterator[list[RawCaller]]:
    async with contextlib.AsyncExitStack() as opened:
        yield [await opened.enter_async_context(raw_caller(world.port)) for _ in range(number)]


async def eves_upload(world: World, **fields: Any) -> upload_pb2.Upload:
    request = pb.InitializeRequest(size_bytes=10_000 * PART, part_size_bytes=PART, **fields)
    return (await world.stub.Initialize(request, metadata=EVE)).upload


async def served(world: World, upload: upload_pb2.Upload) -> None:
    """Check that Alice's calls, of another tenant than Eve's, are answered."""
    for _ in range(5):
        assert await asyncio.wait_for(world.state(upload), SECONDS) == "ACTIVE"
    assert len(await asyncio.wait_for(world.presigned(upload), SECONDS)) == 3


def open_calls(world: World) -> float:
    value = world.service.metrics.registry.get_sample_value("partway_calls_in_progress")
    assert value is not None
    return value


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# ---- readers that read nothing


async def test_streams_that_nobody_reads_keep_no_other_tenant_out(clock: FakeClock) -> None:
    async with a_memory_world(clock, slow_reader_seconds=1e6) as world:
        upload, big = await world.initialize(), await eves_upload(world)
        async with raw_callers(world, 5) as callers:
            for caller in callers:
                for _ in range(104):
                    request = pb.PresignPartsRequest(upload_id=big.id, ranges=ranges((1, 10_000)))
                    caller.call("PresignParts", request, EVE)
            # Every call has been refused, or has sent its first headers.
            await until(lambda: sum(c.headers_received for c in callers) >= 520)
            assert open_calls(world) > 50
            await served(world, upload)


async def test_a_connection_on_which_nobody_reads_is_closed(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_memory_world(clock, slow_reader_seconds=0.1) as world:
        big = await eves_upload(world)
        async with raw_caller(world.port) as caller:
            whole = ranges((1, 10_000))
            for _ in range(20):
                caller.call(
                    "PresignParts", pb.PresignPartsRequest(upload_id=big.id, ranges=whole), EVE
                )
                caller.call("Status", pb.StatusRequest(upload_id=big.id), EVE)
            await asyncio.wait_for(caller.closed.wait(), SECONDS)
            await until(lambda: open_calls(world) == 0)
        assert "closed 1 connections whose peers read no replies" in caplog.text


async def test_a_gateways_connection_is_not_closed_because_of_one_tenant(clock: FakeClock) -> None:
    async with a_memory_world(clock, slow_reader_seconds=0.1) as world:
        upload, big = await world.initialize(), await eves_upload(world)
        async with raw_callers(world, 2) as (gateway, direct):
            for caller in (gateway, direct):
                request = pb.PresignPartsRequest(upload_id=big.id, ranges=ranges((1, 10_000)))
                caller.call("PresignParts", request, EVE)
            gateway.call("Watch", pb.WatchRequest(upload_id=upload.id), ALICE)
            await asyncio.wait_for(direct.closed.wait(), SECONDS)
            assert not gateway.closed.is_set()


async def test_a_reader_that_pauses_is_told_that_its_stream_has_ended(clock: FakeClock) -> None:
    async with a_memory_world(clock, slow_reader_seconds=3) as world:
        upload = await world.initialize(10_000 * PART)
        request = pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges((1, 10_000)))
        value = "partway_slow_readers_ended_total"
        # Otherwise gRPC reads ahead as much as the line can carry, which here is everything.
        options = [("grpc.http2.bdp_probe", 0)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}", options) as channel:
            stream = rpc.UploadServiceStub(channel).PresignParts(request, metadata=ALICE)
            first = await stream.read()
            assert isinstance(first, pb.PresignPartsResponse) and first.parts
            await until(lambda: world.service.metrics.registry.get_sample_value(value) == 1)
            failed = await failure(_rest(stream))
        assert failed.reason == "STREAM_ENDED"
        assert failed.details["RetryInfo"].retry_delay.ToTimedelta().total_seconds() > 0
        await until(lambda: open_calls(world) == 0)


async def _rest(stream: Any) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass


async def test_replies_that_nobody_reads_are_bounded_in_memory(clock: FakeClock) -> None:
    async with a_memory_world(clock, slow_reader_seconds=1e6) as world:
        upload, big = await world.initialize(), await eves_upload(world)
        before = rss_bytes()
        async with raw_callers(world, 8) as callers:
            for caller in callers:
                for _ in range(125):
                    batch = ranges((1, 1000))
                    request = pb.BatchPresignPartsRequest(upload_id=big.id, ranges=batch)
                    caller.call("BatchPresignParts", request, EVE)
            await until(lambda: sum(c.headers_received for c in callers) >= 1000)
            assert rss_bytes() - before < 64 * 2**20
            assert (await failure(call(world.stub, "Status", _status(big), EVE))).reason == (
                "OVERLOADED"
            )
            await served(world, upload)
        await until(lambda: open_calls(world) == 0)
        await call(world.stub, "Status", _status(big), EVE)


def _status(upload: upload_pb2.Upload) -> pb.StatusRequest:
    return pb.StatusRequest(upload_id=upload.id)


# ---- callers that send slowly


async def test_parts_that_drip_keep_no_other_tenant_out(clock: FakeClock) -> None:
    policies = [Policy("open", "uploads", via_service=True)]
    async with a_memory_world(clock, policies=policies, max_via_service=6) as world:
        upload = await world.initialize(PART, policy="open")
        dripped = await eves_upload(world, policy="open")
        async with raw_caller(world.port) as caller:
            header = pb.UploadPartHeader(upload_id=dripped.id, part_number=1)
            for _ in range(20):
                stream = caller.call(
                    "UploadPart", pb.UploadPartRequest(header=header), EVE, end=False
                )
                caller.send(stream, pb.UploadPartRequest(chunk=b"x"))
            await until(lambda: caller.headers_received >= 20 - 4)
            assert open_calls(world) == 4
            part = pb.UploadPartHeader(upload_id=upload.id, part_number=1)
            messages = [
                pb.UploadPartRequest(header=part),
                *(
                    pb.UploadPartRequest(chunk=content(1, PART)[at : at + MIB])
                    for at in range(0, PART, MIB)
                ),
            ]
            answer = await world.stub.UploadPart(iter(messages), metadata=ALICE)
            assert answer.part.size_bytes == PART


# ---- storage that hangs


async def test_calls_that_wait_for_storage_leave_room_for_those_that_do_not(
    clock: FakeClock,
) -> None:
    async with a_memory_world(clock, max_concurrent_calls=16) as world:
        upload, eves = await world.initialize(), await eves_upload(world)
        gate = Gate()
        world.storage.before("list_parts", *[gate] * 100)
        request = pb.ListPartsRequest(upload_id=eves.id)
        waiting = [
            asyncio.create_task(call(world.stub, "ListParts", request, EVE)) for _ in range(60)
        ]
        await until(lambda: sum(task.done() for task in waiting) > 50)
        for caller, asked in ((ALICE, upload), (EVE, eves)):
            for _ in range(10):
                await call(world.stub, "Status", _status(asked), caller)
        progress = pb.StatusRequest(upload_id=eves.id, view=pb.STATUS_VIEW_PROGRESS)
        assert (await failure(call(world.stub, "Status", progress, EVE))).reason == "OVERLOADED"
        gate.open()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        answered = [each for each in ended if isinstance(each, pb.ListPartsResponse)]
        assert 0 < len(answered) <= 6


# ---- refusals


async def test_a_refused_call_is_not_decoded_and_writes_no_line(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_memory_world(clock, max_concurrent_calls=0) as world:
        with caplog.at_level(logging.DEBUG, "partway_server"):
            async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel:
                for name in ("Status", "PresignParts", "Initialize"):
                    failed = await failure(call_raw(channel, name, b"\xff"))
                    assert failed.reason == "OVERLOADED"
        assert not [r for r in caplog.records if r.name.startswith("partway_server.rpc")]


@pytest.mark.parametrize("most", [0, 512])
async def test_calls_that_are_over_do_not_count_on_their_connection(
    clock: FakeClock, most: int
) -> None:
    """They would until the next collection of garbage, if they were part of a reference cycle."""
    async with a_memory_world(clock, max_concurrent_calls=most) as world:
        gc.disable()
        try:
            for _ in range(2 * MAX_STREAMS):
                failed = await failure(call(world.stub, "Status", pb.StatusRequest(upload_id="x")))
                assert failed.reason == ("UPLOAD_NOT_FOUND" if most else "OVERLOADED")
            for _ in range(2 * MAX_STREAMS if most else 0):
                await call(world.stub, "ListUploads", pb.ListUploadsRequest())
        finally:
            gc.enable()


async def test_a_connection_has_a_limit_of_streams(clock: FakeClock) -> None:
    async with a_memory_world(clock, slow_reader_seconds=1e6) as world:
        upload = await world.initialize()
        async with raw_caller(world.port) as caller:
            for _ in range(MAX_STREAMS + 50):
                caller.call("Watch", pb.WatchRequest(upload_id=upload.id), ALICE)
            await until(lambda: caller.headers_received >= MAX_STREAMS)
            await served(world, upload)
            assert caller.headers_received == MAX_STREAMS
