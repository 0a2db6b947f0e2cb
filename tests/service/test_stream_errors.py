"""Tests how a stream says that it failed: by its status, or, for a gateway, by its last message."""

import logging
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc

from tests.support.calls import ranges
from tests.support.clock import FakeClock
from tests.support.processes import until
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, PART, World, failure

BY_MESSAGE = (("partway-stream-errors", "message"),)


def reason(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    [packed] = [each for each in status.details if each.Is(info.DESCRIPTOR)]
    packed.Unpack(info)
    return str(info.reason)


async def token_of(world: World, upload: upload_pb2.Upload) -> Any:
    spec = pb.UploadTokenSpec(lifetime=Duration(seconds=60))
    request = pb.CreateUploadTokenRequest(upload_id=upload.id, spec=spec)
    token = (await world.stub.CreateUploadToken(request, metadata=ALICE)).upload_token
    return (("authorization", f"Partway {token.token}"),)


async def next_of(stream: Any) -> Any:
    """Return the next message."""
    return await stream.read()


async def rest(stream: Any) -> list[Any]:
    """Return the messages that are left of a stream."""
    found = []
    while (message := await stream.read()) is not grpc.aio.EOF:
        found.append(message)
    return found


async def test_an_error_after_the_first_message_is_the_last_message(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with a_memory_world(clock) as world:
        upload = await world.initialize(10_000 * PART)
        request = pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges((1, 10_000)))
        holder = await token_of(world, upload)
        stream = world.stub.PresignParts(request, metadata=(*holder, *BY_MESSAGE))
        first = await next_of(stream)
        assert first.parts and not first.HasField("status")
        clock.advance(61)
        *messages, last = await rest(stream)
        assert await stream.code() is grpc.StatusCode.OK
        assert not [message for message in messages if message.HasField("status")]
        assert last.status.code == grpc.StatusCode.UNAUTHENTICATED.value[0]
        assert reason(last.status) == "ERROR_REASON_UPLOAD_TOKEN_EXPIRED"
        assert not last.parts and last.remaining_count == 0
        assert "PresignParts UploadTokenExpired" in caplog.text


@pytest.mark.parametrize("metadata", [(), (("partway-stream-errors", "status"),)])
async def test_otherwise_it_is_the_status_of_the_call(clock: FakeClock, metadata: Any) -> None:
    async with a_memory_world(clock) as world:
        upload = await world.initialize(10_000 * PART)
        request = pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges((1, 10_000)))
        holder = await token_of(world, upload)
        stream = world.stub.PresignParts(request, metadata=(*holder, *metadata))
        assert (await next_of(stream)).parts
        clock.advance(61)
        assert (await failure(rest(stream))).reason == "UPLOAD_TOKEN_EXPIRED"


async def test_an_error_before_the_first_message_is_the_status_of_the_call(
    clock: FakeClock,
) -> None:
    async with a_memory_world(clock) as world:
        for stream in (
            world.stub.Watch(pb.WatchRequest(upload_id="x"), metadata=(*ALICE, *BY_MESSAGE)),
            world.stub.PresignParts(
                pb.PresignPartsRequest(upload_id="x"), metadata=(*ALICE, *BY_MESSAGE)
            ),
        ):
            failed = await failure(next_of(stream))
            assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")


async def test_a_watch_ends_with_a_message_when_the_service_stops(clock: FakeClock) -> None:
    async with a_memory_world(clock) as world:
        upload = await world.initialize()
        request = pb.WatchRequest(upload_id=upload.id)
        stream = world.stub.Watch(request, metadata=(*ALICE, *BY_MESSAGE))
        assert (await next_of(stream)).upload.id
        await world.service.server.leave()
        [last] = await rest(stream)
        assert await stream.code() is grpc.StatusCode.OK
        assert reason(last.status) == "ERROR_REASON_STOPPING"
        assert not last.HasField("upload")


async def test_a_reader_that_pauses_is_told_by_a_message_that_its_stream_has_ended(
    clock: FakeClock,
) -> None:
    async with a_memory_world(clock, slow_reader_seconds=3) as world:
        upload = await world.initialize(10_000 * PART)
        request = pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges((1, 10_000)))
        ended = "partway_slow_readers_ended_total"
        # Otherwise gRPC reads ahead as much as the line can carry, which here is everything.
        options = [("grpc.http2.bdp_probe", 0)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}", options) as channel:
            stub = rpc.UploadServiceStub(channel)
            stream = stub.PresignParts(request, metadata=(*ALICE, *BY_MESSAGE))
            assert (await next_of(stream)).parts
            registry = world.service.metrics.registry
            await until(lambda: registry.get_sample_value(ended) == 1)
            *_, last = await rest(stream)
            assert await stream.code() is grpc.StatusCode.OK
            assert reason(last.status) == "ERROR_REASON_STREAM_ENDED"
