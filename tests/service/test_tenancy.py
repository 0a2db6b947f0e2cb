"""Tests that nothing but an ID of ours, spelt as it was, opens an Upload; and who calls at all.

Every RPC and every way to have no right to an Upload: test_tenancy_matrix.
"""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.upload_ids import UploadIdCipher

from tests.support.calls import ALL, NAMING, WATCHED, call, naming
from tests.support.clock import FakeClock
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, EVE, PART, SEALING_KEY, World, failure

OTHER_KEY = bytes(reversed(SEALING_KEY))


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    async with a_memory_world(clock) as started:
        yield started


async def refused_alike(world: World, upload_id: str, caller: Any = ALICE) -> None:
    """Check that every call is refused in the same words, without storage being asked."""
    world.storage.calls.clear()
    for name in NAMING:
        failed = await failure(call(world.stub, name, naming(name, upload_id), caller))
        assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
        assert (failed.message, failed.metadata) == ("upload not found", {})
    assert world.storage.calls == []


async def an_upload(world: World) -> upload_pb2.Upload:
    upload = await world.initialize(PART + 7)
    await world.send(upload)
    return upload


@pytest.mark.parametrize("caller", [EVE, (("partway-tenant", "evil"),)])
@pytest.mark.parametrize("finished", [False, True])
async def test_another_tenant_is_told_nothing(world: World, caller: Any, finished: bool) -> None:
    upload = await an_upload(world)
    if finished:
        await world.complete(upload)
    await refused_alike(world, upload.id, caller)
    await world.lose_row(upload)
    await refused_alike(world, upload.id, caller)
    assert await world.state(upload) == ("COMPLETED" if finished else "ACTIVE")


async def test_an_upper_case_caller_is_another(world: World) -> None:
    upload = await an_upload(world)
    shouted = tuple((key, value.upper()) for key, value in ALICE)
    await refused_alike(world, upload.id, shouted)


async def test_a_bit_flipped_anywhere_spoils_an_id(world: World) -> None:
    upload = await an_upload(world)
    sealed = base64.urlsafe_b64decode(upload.id + "=" * (-len(upload.id) % 4))
    for position in [*range(0, len(sealed), 7), len(sealed) - 1]:
        spoilt = bytearray(sealed)
        spoilt[position] ^= 1 << (position % 8)
        text = base64.urlsafe_b64encode(bytes(spoilt)).rstrip(b"=").decode()
        await refused_alike(world, text)


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 20, 100])
async def test_a_truncated_or_longer_id_opens_nothing(world: World, cut: int) -> None:
    upload = await an_upload(world)
    for text in (
        upload.id[:-cut],
        upload.id[cut:],
        upload.id[:cut],
        upload.id + "A" * cut,
        upload.id + "=" * cut,
        " " + upload.id,
        upload.id + "\n",
    ):
        await refused_alike(world, text)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "=",
        "é",
        "\0",
        "💣" * 100,
        "A" * 8192,
        "AQ",
        "AQAAAAA",
        "../../etc/passwd",
        "%00",
        "+/+/",
    ],
)
async def test_no_nonsense_opens_anything(world: World, text: str) -> None:
    await refused_alike(world, text)


async def test_the_other_spelling_of_base64_is_no_id(world: World) -> None:
    for _ in range(20):
        upload = await an_upload(world)
        if "-" in upload.id or "_" in upload.id:
            break
    await refused_alike(world, upload.id.replace("-", "+").replace("_", "/"))


async def test_an_id_of_an_old_key_still_opens_after_rotation(clock: FakeClock) -> None:
    async with a_memory_world(clock) as world:
        upload = await world.initialize(1000)
        old = UploadIdCipher([OTHER_KEY, SEALING_KEY])
        assert old.decrypt(upload.id) == world.grant(upload)


@pytest.mark.parametrize("name", WATCHED)
@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        ((), "partway-tenant"),
        ((("partway-subject", "alice"),), "partway-tenant"),
        ((("partway-tenant", ""),), "partway-tenant"),
        ((("partway-tenant", ".."),), "partway-tenant"),
        ((("partway-tenant", "a/b"),), "partway-tenant"),
        ((("partway-tenant", "a" * 65),), "partway-tenant"),
        ((("partway-tenant", "a%2fb"),), "partway-tenant"),
        ((("partway-tenant-bin", b"acme"),), "partway-tenant"),
        ((("partway-tenant", "acme"), ("partway-subject", "a" * 129)), "partway-subject"),
        (
            (("partway-tenant", "acme"), ("partway-tenant", "evil"), ("partway-subject", "alice")),
            "partway-tenant",
        ),
        (
            (("partway-tenant", "acme"), ("partway-subject", "bob"), ("partway-subject", "alice")),
            "partway-subject",
        ),
    ],
)
async def test_a_call_that_does_not_say_who_makes_it_is_turned_away(
    world: World, name: str, metadata: Any, key: str
) -> None:
    failed = await failure(call(world.stub, name, WATCHED[name], metadata))
    assert (failed.code, failed.reason) == ("UNAUTHENTICATED", "CALLER_UNKNOWN")
    assert failed.metadata == {"key": key}
    assert world.storage.calls == []


async def test_who_calls_is_asked_before_what_is_wrong_with_the_call(world: World) -> None:
    bad = pb.InitializeRequest(size_bytes=-1)
    failed = await failure(call(world.stub, "Initialize", bad, ()))
    assert failed.code == "UNAUTHENTICATED"


async def test_the_longest_names_of_a_caller_are_taken(world: World) -> None:
    longest = (("partway-tenant", "a" * 64), ("partway-subject", "~" * 128))
    answer = await call(world.stub, "Initialize", ALL["Initialize"], longest)
    assert answer.upload.object.key.startswith("a" * 64 + "/")
