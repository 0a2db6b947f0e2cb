"""Tests several backends in one service: each upload lives only in the backend of its policy."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

import pytest
from partway_server.cleanup.report import Action, CleanupRecord
from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import MIB, PartLimits
from partway_server.domain.policy import Policy
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.memory import MEMORY, MemoryStorage
from partway_server.storage.router import StorageRouter

from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, Put, Reply, put_into
from tests.support.world import PART, SEALING_KEY, World, a_world, failure

FAR = Policy("far", "uploads", backend="far")
POOR = replace(
    MEMORY,
    checksums=frozenset({Checksum.MD5}),
    whole_checksum=False,
    limits=PartLimits(min_part_bytes=8 * MIB),
)


@dataclass(slots=True)
class Two:
    """A world over two backends that both have a bucket `uploads`."""

    world: World
    routed: StorageRouter
    near: MemoryStorage
    far: MemoryStorage


@pytest.fixture
async def two(clock: FakeClock) -> AsyncIterator[Two]:
    near, far = MemoryStorage(clock=clock), MemoryStorage(capabilities=POOR, clock=clock)
    routed = StorageRouter({"default": near, "far": far})
    async with contextlib.aclosing(routed):
        async with a_world(
            clock=clock,
            sessions=MemorySessionStore(clock),
            storage=FaultyObjects(routed),
            put=into_either({"near": near, "far": far}),
            policies=[FAR],
        ) as world:
            yield Two(world, routed, near, far)


def into_either(stores: Mapping[str, MemoryStorage]) -> Put:
    """Send a part to the backend that knows its upload; the URLs of both look alike."""

    async def put(url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        replies = [await put_into(store)(url, body, headers) for store in stores.values()]
        return next((reply for reply in replies if reply.status == 200), replies[0])

    return put


@pytest.mark.parametrize("policy", ["default", "far"])
async def test_an_upload_is_in_the_backend_of_its_policy_alone(two: Two, policy: str) -> None:
    own, other = (two.near, two.far) if policy == "default" else (two.far, two.near)
    upload = await two.world.initialize(16 * MIB + 1, policy=policy)
    grant = two.world.grant(upload)
    assert grant.backend == policy
    assert await own.list_multiparts(grant) and not await other.list_multiparts(grant)
    await two.world.send(upload)
    done = await two.world.complete(upload)
    assert (done.object.bucket, done.object.key) in own.objects
    assert not other.objects


async def test_capabilities_are_those_of_the_backend(two: Two) -> None:
    near = await two.world.initialize(checksum_algorithm="CHECKSUM_ALGORITHM_BEST")
    far = await two.world.initialize(policy="far", checksum_algorithm="CHECKSUM_ALGORITHM_BEST")
    assert two.world.grant(near).checksum is Checksum.CRC64NVME
    assert two.world.grant(far).checksum is Checksum.MD5
    assert (near.part_size_bytes, far.part_size_bytes) == (PART, 8 * MIB)


async def test_an_object_in_another_backend_proves_nothing(two: Two) -> None:
    """Use the same bucket, key, token and size, in a backend that is not the upload's."""
    upload = await two.world.initialize(16 * MIB + 1, policy="far")
    await two.world.send(upload)
    await two.world.complete(upload)
    place = upload.object.bucket, upload.object.key
    two.near.objects[place] = two.far.objects.pop(place)
    await two.world.lose_row(upload)
    assert await two.world.state(upload) == "ABORTED"


async def test_calls_to_a_backend_that_is_gone_say_so_until_it_is_back(two: Two) -> None:
    upload = await two.world.initialize(policy="far")
    await two.world.send(upload)
    two.routed.replace({"default": two.near})
    for call in (two.world.presigned(upload), two.world.complete(upload)):
        failed = await failure(call)
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
        assert "backend 'far' is not configured on this replica" in failed.message
    two.routed.replace({"default": two.near, "far": two.far})
    assert (await two.world.complete(upload)).object.key


async def test_the_janitor_keeps_what_is_in_a_backend_that_is_gone(
    two: Two, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    upload = await two.world.initialize(policy="far")
    sid = two.world.grant(upload).sid
    two.routed.replace({"default": two.near})
    clock.advance(7 * 24 * 3600)
    with caplog.at_level("INFO", "partway_server.cleanup.expiry"):
        assert await two.world.service.janitor.sweep() == [sid]
    assert f"upload {sid}: backend 'far' is not configured on this replica" in caplog.text
    row = await two.world.sessions.get(sid)
    assert row is not None
    clock.advance(60)
    assert await two.world.service.janitor.sweep() == []
    two.routed.replace({"default": two.near, "far": two.far})
    clock.advance(3600)
    assert await two.world.service.janitor.sweep() == [sid]
    assert await two.far.list_multiparts(row.grant) == []


async def test_an_id_of_a_backend_that_never_was_tells_its_owner_alone(two: Two) -> None:
    grant = replace(two.world.grant(await two.world.initialize()), backend="other", sid="ab" * 16)
    foreign = replace(grant, caller=replace(grant.caller, tenant="evil"))
    upload_ids = UploadIdCipher([SEALING_KEY])
    upload = await two.world.initialize()
    upload.id = upload_ids.encrypt(grant)
    assert (await failure(two.world.state(upload))).code == "UNAVAILABLE"
    upload.id = upload_ids.encrypt(foreign)
    assert (await failure(two.world.state(upload))).code == "NOT_FOUND"


async def test_the_sweep_looks_into_each_backend_and_touches_what_is_its_own(
    two: Two, clock: FakeClock
) -> None:
    near = await two.world.initialize()
    far = await two.world.initialize(policy="far")
    for upload in (near, far):
        await two.world.lose_row(upload)
    # Someone else's object, in the other backend, at the same key as ours.
    copied = two.world.grant(near)
    await two.far.create(replace(copied, backend="far"), {})
    clock.advance(60 * 24 * 3600)
    found: list[CleanupRecord] = []
    await two.world.service.sweeper.sweep(found.append)
    assert [each.action for each in found] == [Action.ABORT] * 3
    assert [each.error for each in found] == [""] * 3
    for store, upload in ((two.near, near), (two.far, far)):
        assert await store.list_multiparts(two.world.grant(upload)) == []


async def test_one_backend_that_cannot_be_listed_keeps_no_other_from_it(
    two: Two, clock: FakeClock
) -> None:
    near = await two.world.initialize()
    await two.world.lose_row(near)
    clock.advance(60 * 24 * 3600)
    two.routed.replace({"default": two.near})
    found: list[CleanupRecord] = []
    await two.world.service.sweeper.sweep(found.append)
    assert [bool(each.error) for each in found] == [False, True]
    assert "backend 'far'" in found[1].error
