"""Tests what a policy allows, as callers of Initialize see it: each rule and the field it names."""

from dataclasses import replace
from datetime import UTC
from typing import Any
from uuid import uuid4

import pytest
from partway.v1 import upload_pb2
from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import MIB
from partway_server.domain.policy import Policy
from partway_server.storage.memory import MEMORY, MemoryStorage

from tests.support.clock import FakeClock
from tests.support.twins import a_memory_world
from tests.support.world import PART, World, failure

PHOTOS = Policy(
    "photos",
    "uploads",
    key_template="photos/{tenant}/{metadata.album}/{date}/{sid}.{extension}",
    key_metadata=("album",),
    required_metadata=("camera",),
    min_size_bytes=10,
    max_size_bytes=MIB,
    content_types=("image/*",),
    extensions={"jpg": ("image/jpeg",), "raw": ("image/x-*",)},
    checksums=(Checksum.SHA256, Checksum.CRC32C),
)
GOOD: dict[str, Any] = {
    "policy": "photos",
    "file_name": "a.JPG",
    "content_type": "image/jpeg; q=1",
    "metadata": {"album": "At/the ../sea", "camera": "x"},
}


async def initialized(world: World, size: int = 100, **fields: Any) -> upload_pb2.Upload:
    return await world.initialize(size, **{**GOOD, **fields})


@pytest.mark.promise("Initialize", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("fields", "violations"),
    [
        ({"size": 9}, ["size_bytes"]),
        ({"size": MIB + 1}, ["size_bytes"]),
        ({"content_type": "video/mp4"}, ["content_type", "content_type"]),
        ({"content_type": "image/png"}, ["content_type"]),
        ({"file_name": "a.png"}, ["file_name"]),
        ({"file_name": "a.jpg.exe"}, ["file_name"]),
        ({"file_name": "jpg"}, ["file_name"]),
        ({"file_name": ""}, ["file_name"]),
        ({"file_name": "a.raw"}, ["content_type"]),
        ({"metadata": {"album": "sea"}}, ["metadata"]),
        ({"metadata": {"camera": "x"}}, ["metadata"]),
        ({"metadata": {"album": "", "camera": ""}}, ["metadata", "metadata"]),
        ({"checksum_algorithm": "CHECKSUM_ALGORITHM_CRC64NVME"}, ["checksum_algorithm"]),
        ({"checksum_algorithm": "CHECKSUM_ALGORITHM_UNSPECIFIED"}, ["checksum_algorithm"]),
        ({"size": 1, "file_name": "b", "metadata": {}}, ["size_bytes", "file_name", "metadata"]),
    ],
)
async def test_what_a_rule_does_not_allow_is_refused_by_its_field(
    clock: FakeClock, fields: dict[str, Any], violations: list[str]
) -> None:
    best: dict[str, Any] = {"checksum_algorithm": "CHECKSUM_ALGORITHM_BEST"}
    async with a_memory_world(clock, policies=[PHOTOS]) as world:
        failed = await failure(initialized(world, **{**best, **fields}))
        assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
        found = [v.field for v in failed.details["BadRequest"].field_violations]
        assert sorted(set(found)) == sorted(set(violations))
        assert world.storage.calls == []


async def test_the_best_checksum_is_the_best_of_those_that_are_allowed(clock: FakeClock) -> None:
    async with a_memory_world(clock, policies=[PHOTOS]) as world:
        best = await initialized(world, checksum_algorithm="CHECKSUM_ALGORITHM_BEST")
        assert best.checksum_algorithm == upload_pb2.CHECKSUM_ALGORITHM_CRC32C
        named = await initialized(world, checksum_algorithm="CHECKSUM_ALGORITHM_SHA256")
        assert named.checksum_algorithm == upload_pb2.CHECKSUM_ALGORITHM_SHA256


async def test_who_names_no_checksum_gets_that_of_the_policy(clock: FakeClock) -> None:
    policy = replace(PHOTOS, default_checksum=Checksum.CRC32C)
    async with a_memory_world(clock, policies=[policy]) as world:
        unnamed = await initialized(world)
        assert unnamed.checksum_algorithm == upload_pb2.CHECKSUM_ALGORITHM_CRC32C
        failed = await failure(initialized(world, checksum_algorithm="CHECKSUM_ALGORITHM_NONE"))
        [violation] = failed.details["BadRequest"].field_violations
        assert violation.field == "checksum_algorithm"


async def test_none_is_a_choice_where_the_policy_has_a_default(clock: FakeClock) -> None:
    policy = Policy("p", "uploads", default_checksum=Checksum.SHA256)
    request_id = "0b5a9a3e-1111-4222-8333-444455556666"
    async with a_memory_world(clock, policies=[policy]) as world:
        none: dict[str, Any] = {"checksum_algorithm": "CHECKSUM_ALGORITHM_NONE"}
        named = await world.initialize(policy="p", request_id=request_id, **none)
        assert named.checksum_algorithm == upload_pb2.CHECKSUM_ALGORITHM_NONE
        failed = await failure(world.initialize(policy="p", request_id=request_id))
        assert failed.reason == "REQUEST_ID_REUSED"


async def test_the_key_is_made_of_harmless_forms_of_what_the_caller_says(clock: FakeClock) -> None:
    best: dict[str, Any] = {"checksum_algorithm": "CHECKSUM_ALGORITHM_BEST"}
    async with a_memory_world(clock, policies=[PHOTOS]) as world:
        upload = await initialized(world, **best)
        prefix, _, rest = upload.object.key.partition("/2026/")
        assert prefix == "photos/acme/At_the._sea"
        assert rest.endswith(".jpg")


async def test_a_key_without_an_extension_says_bin(clock: FakeClock) -> None:
    policy = Policy("p", "uploads", key_template="{tenant}/{date}/{sid}.{extension}")
    async with a_memory_world(clock, policies=[policy]) as world:
        for name in ("README", ".env", "a." + "x" * 30, ""):
            assert (await world.initialize(policy="p", file_name=name)).object.key.endswith(".bin")


async def test_for_other_tenants_there_is_no_such_policy(clock: FakeClock) -> None:
    policies = [
        Policy("ours", "uploads", tenants=("acm?", "b*")),
        Policy("theirs", "uploads", tenants=("beta", "acme-*")),
    ]
    async with a_memory_world(clock, policies=policies) as world:
        assert (await world.initialize(policy="ours")).policy == "ours"
        not_ours = await failure(world.initialize(policy="theirs"))
        nobodys = await failure(world.initialize(policy="nobodys"))
        assert str(not_ours) == str(nobodys)
        [violation] = not_ours.details["BadRequest"].field_violations
        assert (violation.field, violation.description) == ("policy", "there is no such policy")


@pytest.mark.parametrize(
    ("wanted", "size", "part"),
    [
        (0, 100 * MIB, 20 * MIB),
        (PART, 100 * MIB, 8 * MIB),
        (10 * MIB, 100 * MIB, 10 * MIB),
        (1000 * MIB, 100 * MIB, 32 * MIB),
        (0, 300_000 * MIB, 30 * MIB),
    ],
)
async def test_parts_stay_between_the_bounds(
    clock: FakeClock, wanted: int, size: int, part: int
) -> None:
    bounded = Policy(
        "p",
        "uploads",
        max_size_bytes=320_000 * MIB,
        part_size_bytes=20 * MIB,
        min_part_size_bytes=8 * MIB,
        max_part_size_bytes=32 * MIB,
        single_put_max_bytes=0,
    )
    async with a_memory_world(clock, policies=[bounded]) as world:
        upload = await world.initialize(size, policy="p", part_size_bytes=wanted)
        assert upload.part_size_bytes == part


async def test_what_is_encrypted_carries_no_md5(clock: FakeClock) -> None:
    """Cover encryption, under which an ETag is not an MD5 and would contradict an intact part."""
    can = replace(MEMORY, checksums=frozenset({Checksum.MD5}))
    policy = Policy("p", "uploads", encryption="aws:kms")
    async with a_memory_world(
        clock, storage=MemoryStorage(capabilities=can), policies=[policy]
    ) as world:
        md5 = "CHECKSUM_ALGORITHM_MD5"
        failed = await failure(world.initialize(policy="p", checksum_algorithm=md5))
        [violation] = failed.details["BadRequest"].field_violations
        assert violation.field == "checksum_algorithm"
        best = await world.initialize(policy="p", checksum_algorithm="CHECKSUM_ALGORITHM_BEST")
        assert best.checksum_algorithm == upload_pb2.CHECKSUM_ALGORITHM_NONE
        plain = await world.initialize(checksum_algorithm=md5)
        assert plain.checksum_algorithm == upload_pb2.CHECKSUM_ALGORITHM_MD5


@pytest.mark.parametrize("size", [1000, PART + 7])
async def test_an_upload_keeps_the_headers_it_began_with(clock: FakeClock, size: int) -> None:
    storage = MemoryStorage()
    before = Policy("p", "uploads", cache_control="no-store", tags={"a": "b c"})
    async with a_memory_world(clock, storage=storage, policies=[before]) as world:
        upload = await world.initialize(size, policy="p")
        world.policies.replace({"p": replace(before, cache_control="max-age=1", tags={})})
        await world.send(upload)
        done = await world.complete(upload)
        stored = storage.objects["uploads", done.object.key]
        assert stored.headers == {"cache-control": "no-store", "x-amz-tagging": "a=b%20c"}
        assert stored.disposition == "attachment"
        later = await world.initialize(size, policy="p")
        await world.send(later)
        await world.complete(later)
        assert storage.objects["uploads", later.object.key].headers == {
            "cache-control": "max-age=1"
        }


async def test_an_upload_goes_on_without_its_policy(clock: FakeClock) -> None:
    week = Policy("week", "uploads", max_url_seconds=7 * 24 * 3600)
    async with a_memory_world(clock, policies=[week]) as world:
        upload = await world.initialize(policy="week")
        world.policies.replace({"default": Policy("default", "uploads")})
        await world.send(upload)
        assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
        failed = await failure(world.initialize(policy="week"))
        assert failed.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("after", ["gone", "stricter"])
async def test_a_repeat_returns_the_first_upload_whatever_is_allowed_by_then(
    clock: FakeClock, after: str
) -> None:
    before = Policy("p", "uploads")
    now = {"default": Policy("default", "uploads")}
    if after == "stricter":
        now["p"] = replace(before, max_size_bytes=PART)
    async with a_memory_world(clock, policies=[before]) as world:
        asked: dict[str, Any] = {"policy": "p", "request_id": str(uuid4())}
        upload = await world.initialize(**asked)
        world.policies.replace(now)
        assert await world.initialize(**asked) == upload
        # A different request is subject to the new policy, even with the request_id of the first.
        others: list[dict[str, Any]] = [{"request_id": str(uuid4())}, {"content_type": "a/b"}]
        for other in others:
            failed = await failure(world.initialize(**{**asked, **other}))
            assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_a_tombstone_outlasts_the_urls_of_uploads_without_a_policy(
    clock: FakeClock,
) -> None:
    """Cover URLs that work for a quarter of an hour, whatever is configured."""
    short = Policy("default", "uploads", url_seconds=120, max_url_seconds=120)
    storage = MemoryStorage()
    async with a_memory_world(
        clock, storage=storage, policies=[short, replace(short, name="p")]
    ) as world:
        upload = await world.initialize(policy="p")
        world.policies.replace({"default": short})
        [first, *_] = await world.presigned(upload)
        lifetime = first.expire_time.ToDatetime(UTC) - clock.now()
        await world.abort(upload)
        clock.advance(lifetime.total_seconds() + 12 * 3600 - 1)
        assert await world.service.janitor.sweep() == []
        clock.advance(1)
        assert await world.service.janitor.sweep() == [world.grant(upload).sid]


async def test_a_tombstone_outlasts_the_urls_of_policies_that_are_gone(clock: FakeClock) -> None:
    """Cover a URL that may have been signed for a week, just before its policy was removed."""
    week = Policy("week", "uploads", max_url_seconds=7 * 24 * 3600)
    storage = MemoryStorage()
    async with a_memory_world(clock, storage=storage, policies=[week]) as world:
        upload = await world.initialize(policy="week")
        world.policies.replace({"default": Policy("default", "uploads")})
        await world.abort(upload)
        clock.advance(7 * 24 * 3600)
        assert await world.service.janitor.sweep() == []
        clock.advance(13 * 3600)
        assert await world.service.janitor.sweep() == [world.grant(upload).sid]
