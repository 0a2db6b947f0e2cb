"""Tests that GetCapabilities describes the policies of its caller, and no others."""

from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import GIB, MIB
from partway_server.domain.policy import Policy

from tests.support.calls import call_raw
from tests.support.clock import FakeClock
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, EVE, World, failure

PHOTOS = Policy(
    "photos",
    "uploads",
    tenants=("acme", "acme-*"),
    key_template="{tenant}/{metadata.album}/{date}/{sid}",
    key_metadata=("album",),
    required_metadata=("title",),
    min_size_bytes=1,
    max_size_bytes=50 * MIB,
    content_types=("image/png", "image/jpeg"),
    extensions={"png": ("image/*",), "jpg": ("image/jpeg",)},
    checksums=(Checksum.SHA256, Checksum.CRC64NVME),
    min_part_size_bytes=6 * MIB + 1,
    max_part_size_bytes=GIB,
    upload_seconds=3600,
    max_upload_seconds=7200,
    url_seconds=120,
    max_url_seconds=240,
    via_service=True,
)


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    async with a_memory_world(clock, policies=[PHOTOS]) as started:
        yield started


async def capabilities(world: World, caller: Any = ALICE) -> pb.GetCapabilitiesResponse:
    return await world.stub.GetCapabilities(pb.GetCapabilitiesRequest(), metadata=caller)


async def test_everything_that_a_policy_allows_is_described(world: World) -> None:
    found = await capabilities(world)
    assert found.version == version("partway-server")
    limits = found.max_batch_uploads, found.max_batch_parts, found.max_compose_sources
    assert limits == (100, 1000, 32)
    default, photos = found.policies
    assert default.name == "default"
    assert photos == pb.PolicyCapabilities(
        name="photos",
        min_size_bytes=1,
        max_size_bytes=50 * MIB,
        content_types=["image/png", "image/jpeg"],
        extensions=[
            pb.AllowedExtension(extension="png", content_types=["image/png", "image/jpeg"]),
            pb.AllowedExtension(extension="jpg", content_types=["image/jpeg"]),
        ],
        required_metadata=["album", "title"],
        checksum_algorithms=[
            upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME,
            upload_pb2.CHECKSUM_ALGORITHM_SHA256,
        ],
        default_checksum_algorithm=upload_pb2.CHECKSUM_ALGORITHM_UNSPECIFIED,
        min_part_size_bytes=7 * MIB,
        default_part_size_bytes=16 * MIB,
        max_part_size_bytes=GIB,
        single_put_max_bytes=16 * MIB,
        upload_lifetime=Duration(seconds=3600),
        max_upload_lifetime=Duration(seconds=7200),
        url_lifetime=Duration(seconds=120),
        max_url_lifetime=Duration(seconds=240),
        via_service=True,
    )


async def test_the_policies_of_others_are_not_described(world: World) -> None:
    assert [policy.name for policy in (await capabilities(world, EVE)).policies] == ["default"]
    world.policies.replace({"photos": PHOTOS})
    assert not (await capabilities(world, EVE)).policies
    assert [policy.name for policy in (await capabilities(world)).policies] == ["photos"]


async def test_the_longest_lifetime_is_what_an_extension_gives(world: World) -> None:
    upload = await world.initialize(100)
    [allowed] = [p for p in (await capabilities(world)).policies if p.name == upload.policy]
    request = pb.ExtendUploadRequest(upload_id=upload.id)
    request.expire_time.seconds = upload.create_time.seconds + allowed.max_upload_lifetime.seconds
    extended = await world.stub.ExtendUpload(request, metadata=ALICE)
    assert extended.upload.expire_time == request.expire_time
    request.expire_time.seconds += 1
    assert (await failure(world.stub.ExtendUpload(request, metadata=ALICE))).code == (
        "INVALID_ARGUMENT"
    )


async def test_the_holder_of_a_token_may_not_ask(world: World) -> None:
    request = pb.InitializeRequest(size_bytes=1, upload_token=pb.UploadTokenSpec())
    token = (await world.stub.Initialize(request, metadata=ALICE)).upload_token.token
    holder = (("authorization", f"Partway {token}"),)
    failed = await failure(capabilities(world, holder))
    assert (failed.code, failed.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")


@pytest.mark.promise("GetCapabilities", "INVALID_ARGUMENT")
async def test_a_request_that_cannot_be_decoded_is_refused(world: World) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.port}") as channel:
        failed = await failure(call_raw(channel, "GetCapabilities", b"\xff\xff"))
    assert failed.code == "INVALID_ARGUMENT"
