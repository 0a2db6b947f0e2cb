"""Tests that the clients' fake service answers as the real one does, where it answers at all."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_client.testing import FakeService

from tests.support.calls import call
from tests.support.storage import put_by
from tests.support.world import PART, World, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)
SIZE = PART + 7
REQUEST_ID = "0e3a7b52-8f0e-4b43-9d43-0a2ab5b1fd9f"


@pytest.fixture
async def fake() -> AsyncIterator[Any]:
    with FakeService(part_size_bytes=PART) as service:
        async with grpc.aio.insecure_channel(service.address) as channel:
            yield UploadServiceStub(channel)


@in_memory
async def test_both_say_the_same_of_the_life_of_an_upload(world: World, fake: Any) -> None:
    assert await life(fake, None) == await life(world.stub, world)


async def life(stub: Any, world: World | None) -> list[object]:
    """Take uploads through their states; return the answers, and the errors where they belong."""
    said: list[object] = []

    async def hear(rpc: str, request: Any) -> Any:
        try:
            answer = await call(stub, rpc, request)
        except grpc.aio.AioRpcError as error:
            found = await failure(_raising(error))
            said.append((found.code, found.reason, found.metadata.get("state")))
            return None
        said.append(_facts(answer))
        return answer

    def opening(**more: Any) -> pb.InitializeRequest:
        fields = {"file_name": "film.mp4", "size_bytes": SIZE, "request_id": REQUEST_ID}
        fields["part_size_bytes"] = PART
        none = upload_pb2.CHECKSUM_ALGORITHM_NONE
        return pb.InitializeRequest(**{"checksum_algorithm": none, **fields, **more})

    opened = await hear("Initialize", opening())
    upload_id = opened.upload.id
    again = await hear("Initialize", opening())
    said.append(again.upload.id == upload_id)
    await hear("Initialize", opening(size_bytes=SIZE + 1))
    await hear("Initialize", pb.InitializeRequest(file_name="film.mp4"))
    await hear("Complete", pb.CompleteRequest(upload_id=upload_id))
    ranges = [upload_pb2.PartRange(first=1, last=3)]
    beyond = pb.BatchPresignPartsRequest(upload_id=upload_id, ranges=ranges)
    await hear("BatchPresignParts", beyond)
    urls = await hear("BatchPresignParts", pb.BatchPresignPartsRequest(upload_id=upload_id))
    for part in urls.parts:
        await _put(part, world)
    await hear("ListParts", pb.ListPartsRequest(upload_id=upload_id))
    parts = [upload_pb2.Part(part_number=1), upload_pb2.Part(part_number=2)]
    await hear("ReportParts", pb.ReportPartsRequest(upload_id=upload_id, parts=parts[:1]))
    wrong = [upload_pb2.Part(part_number=1, etag="0" * 32), parts[1]]
    await hear("Complete", pb.CompleteRequest(upload_id=upload_id, parts=wrong))
    for request in (pb.CompleteRequest(upload_id=upload_id),) * 2:
        await hear("Complete", request)
    await hear("Abort", pb.AbortRequest(upload_id=upload_id))
    await hear("ListParts", pb.ListPartsRequest(upload_id=upload_id))
    await hear("Status", pb.StatusRequest(upload_id=upload_id))
    other = await hear("Initialize", opening(request_id=""))
    for _ in range(2):
        await hear("Abort", pb.AbortRequest(upload_id=other.upload.id))
    await hear("Complete", pb.CompleteRequest(upload_id=other.upload.id))
    await hear("Status", pb.StatusRequest(upload_id=other.upload.id))
    await hear("Status", pb.StatusRequest(upload_id="x" * 100))
    return said


async def _put(part: upload_pb2.PresignedPart, world: World | None) -> None:
    body = bytes(part.size_bytes)
    if world is not None:
        await world.put(part.url, body, part.headers)
        return
    async with aiohttp.ClientSession() as http:
        assert (await put_by(http)(part.url, body, dict(part.headers))).status == 200


async def _raising(error: grpc.aio.AioRpcError) -> None:
    raise error


def _facts(answer: Any) -> object:
    """Return what an answer says that does not depend on the installation."""
    upload = getattr(answer, "upload", None)
    if upload is None:
        parts = getattr(answer, "parts", getattr(answer, "results", ()))
        return [(part.part_number, getattr(part, "size_bytes", None)) for part in parts]
    state = upload_pb2.UploadState.Name(upload.state)
    plan = (upload.size_bytes, upload.part_count, upload.part_size_bytes)
    return (
        state,
        upload.abort_reason,
        *plan,
        upload.last_part_size_bytes,
        upload.object.size_bytes,
    )
