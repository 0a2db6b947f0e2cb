"""Tests server reflection, by its messages, in both versions of the protocol."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2
from partway.v1 import upload_service_pb2 as pb

from tests.support.clock import FakeClock
from tests.support.twins import a_memory_world

VERSIONS = ["v1", "v1alpha"]


@pytest.fixture
async def channel(clock: FakeClock) -> AsyncIterator[grpc.aio.Channel]:
    async with (
        a_memory_world(clock, reflection=True) as world,
        grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as opened,
    ):
        yield opened


async def ask(channel: grpc.aio.Channel, version: str, **asked: str) -> Any:
    """Return the answer to one request. The versions have the same messages on the wire."""
    rpc: Any = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    [answer] = [each async for each in rpc(iter([reflection_pb2.ServerReflectionRequest(**asked)]))]
    return answer


def files(answer: Any) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    sent = answer.file_descriptor_response.file_descriptor_proto
    found = [descriptor_pb2.FileDescriptorProto.FromString(each) for each in sent]
    return {file.name: file for file in found}


@pytest.mark.parametrize("version", VERSIONS)
async def test_services_are_listed(channel: grpc.aio.Channel, version: str) -> None:
    answer = await ask(channel, version, list_services="")
    assert {service.name for service in answer.list_services_response.service} == {
        "partway.v1.UploadService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("partway.v1.UploadService", "partway/v1/upload_service.proto"),
        ("partway.v1.UploadService.Initialize", "partway/v1/upload_service.proto"),
        ("partway.v1.UploadService.Watch", "partway/v1/upload_service.proto"),
        ("partway.v1.Upload", "partway/v1/upload.proto"),
        ("partway.v1.Upload.id", "partway/v1/upload.proto"),
        ("google.rpc.ErrorInfo", "google/rpc/error_details.proto"),
        ("grpc.health.v1.Health.Check", "grpc_health/v1/health.proto"),
        ("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"),
        ("grpc.reflection.v1.ServerReflectionRequest", "grpc/reflection/v1/reflection.proto"),
    ],
)
async def test_symbols_are_found(
    channel: grpc.aio.Channel, version: str, symbol: str, file: str
) -> None:
    answer = await ask(channel, version, file_containing_symbol=symbol)
    assert file in files(answer)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "symbol", ["partway.v1.Nothing", "partway.v1.UploadService.Nothing", "partway", ""]
)
async def test_what_is_not_there_is_not_found(
    channel: grpc.aio.Channel, version: str, symbol: str
) -> None:
    answer = await ask(channel, version, file_containing_symbol=symbol)
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_names_in_json_are_those_of_the_contract(channel: grpc.aio.Channel) -> None:
    answer = await ask(channel, "v1", file_containing_symbol="partway.v1.UploadService")
    found = files(answer)["partway/v1/upload_service.proto"]
    [request] = [each for each in found.message_type if each.name == "InitializeRequest"]
    expected = {field.name: field.json_name for field in pb.InitializeRequest.DESCRIPTOR.fields}
    assert {field.name: field.json_name for field in request.field} == expected
    assert expected["size_bytes"] == "sizeBytes"


async def test_files_can_be_asked_for_by_name(channel: grpc.aio.Channel) -> None:
    name = "google/rpc/error_details.proto"
    assert name in files(await ask(channel, "v1", file_by_filename=name))
