"""Tests Compose: storage copies several sources into one object, verified to the end."""

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.devstack.servers import S3
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.part_plan import PartLimits
from partway_server.domain.policy import Policy
from partway_server.domain.upload import State
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.storage.base import CompleteRefused, StoredPart
from partway_server.storage.memory import MEMORY, MemoryStorage

from tests.support.clock import FakeClock
from tests.support.storage import Gate, failing
from tests.support.stores import reader
from tests.support.twins import a_memory_world
from tests.support.upload_situations import EXPIRY_SECONDS, LEASE
from tests.support.uploads import an_upload
from tests.support.world import ALICE, BOB, EVE, PART, SEALING_KEY, World, content, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

COMPLETED = upload_pb2.UPLOAD_STATE_COMPLETED
ACTIVE = upload_pb2.UPLOAD_STATE_ACTIVE
ABORTED = upload_pb2.UPLOAD_STATE_ABORTED


async def source(world: World, size: int = PART, **fields: Any) -> upload_pb2.Upload:
    """Return a completed upload of that size."""
    upload = await world.initialize(size, **fields)
    await world.send(upload)
    return await world.complete(upload)


def request(sources: Sequence[upload_pb2.Upload], **fields: Any) -> pb.ComposeRequest:
    named = [pb.ComposeSource(upload_id=each.id) for each in sources]
    return pb.ComposeRequest(**{"file_name": "whole.bin", "sources": named, **fields})


async def compose(
    world: World, *sources: upload_pb2.Upload, caller: Any = ALICE, **fields: Any
) -> upload_pb2.Upload:
    response = await world.stub.Compose(request(sources, **fields), metadata=caller)
    return response.upload


async def status(world: World, upload: upload_pb2.Upload) -> pb.StatusResponse:
    asked = pb.StatusRequest(upload_id=upload.id, view=pb.STATUS_VIEW_PROGRESS)
    return await world.stub.Status(asked, metadata=ALICE)


async def exists(world: World, upload: upload_pb2.Upload) -> bool:
    return await world.storage.head(world.grant(upload)) is not None


async def sweep(world: World, after: float = 0) -> None:
    """Run a janitor sweep to its end, after some seconds."""
    world.clock.advance(after)
    await world.service.janitor.sweep()
    await world.service.tasks.drain(10)


async def listed(world: World) -> list[upload_pb2.Upload]:
    return list((await world.stub.ListUploads(pb.ListUploadsRequest(), metadata=ALICE)).uploads)


async def composed(world: World) -> upload_pb2.Upload:
    """Return the only upload that was or is to be composed."""
    [made] = [each for each in await listed(world) if each.source_count]
    return made


async def go_on() -> None:
    """Do nothing: a placeholder fault for a call before the one that is to fail."""


@contextlib.asynccontextmanager
async def small_copies(clock: FakeClock, **options: Any) -> AsyncIterator[World]:
    """Yield a world whose storage takes parts of at most 10 MiB, so that sources are cut."""
    limits = PartLimits(max_part_bytes=2 * PART)
    storage = MemoryStorage(capabilities=replace(MEMORY, limits=limits, **options))
    async with a_memory_world(clock, storage=storage) as world:
        yield world


# ---- the composed object


async def test_one_object_is_made_of_several_in_order(world: World) -> None:
    first, second, third = [await source(world, size) for size in (PART + 1, 2 * PART, 7)]
    made = await compose(world, first, second, third, content_type="video/mp4")
    assert made.state == COMPLETED
    assert (made.size_bytes, made.source_count, made.part_count) == (3 * PART + 8, 3, 3)
    assert (made.part_size_bytes, made.last_part_size_bytes) == (2 * PART, 7)
    assert made.object.size_bytes == 3 * PART + 8
    assert made.object.uri == f"s3://{made.object.bucket}/{made.object.key}"
    assert made.content_type == "video/mp4"
    found = await status(world, made)
    assert found.upload == made
    assert (found.progress.parts_stored, found.progress.bytes_stored) == (3, 3 * PART + 8)
    assert all([await exists(world, each) for each in (first, second, third)])


@in_memory
async def test_a_composed_object_can_be_a_source(world: World) -> None:
    first = await source(world)
    twice = await compose(world, first, first)
    made = await compose(world, twice, first)
    assert (made.state, made.object.size_bytes) == (COMPLETED, 3 * PART)


@pytest.mark.redis
@pytest.mark.s3
@pytest.mark.parametrize("world", ["real"], indirect=True)
async def test_the_bytes_are_those_of_the_sources(world: World, s3: S3) -> None:
    sizes = [PART + 12_345, PART, 2 * PART + 1, 999]
    sources = [await source(world, size) for size in sizes]
    made = await compose(world, *sources, metadata={"origin": "camera 4"})
    client = reader(s3)
    found = client.get_object(Bucket=made.object.bucket, Key=made.object.key)
    assert found["Metadata"]["origin"] == "camera 4"
    bodies = [
        client.get_object(Bucket=each.object.bucket, Key=each.object.key)["Body"].read()
        for each in sources
    ]
    assert [len(body) for body in bodies] == sizes
    assert (
        hashlib.sha256(found["Body"].read()).digest() == hashlib.sha256(b"".join(bodies)).digest()
    )


async def test_thirty_two_sources_are_joined(world: World) -> None:
    each = await source(world)
    made = await compose(world, *[each] * 32)
    assert (made.state, made.source_count, made.part_count) == (COMPLETED, 32, 32)
    assert made.object.size_bytes == 32 * PART


@in_memory
@pytest.mark.parametrize("size", [1, PART])
async def test_a_single_source_is_a_copy(world: World, size: int) -> None:
    only = await source(world, size)
    made = await compose(world, only)
    assert (made.state, made.object.size_bytes) == (COMPLETED, size)
    assert made.object.key != only.object.key


@in_memory
async def test_an_empty_source_adds_nothing(world: World) -> None:
    full, empty = await source(world), await source(world, 0)
    made = await compose(world, empty, full, empty)
    assert (made.state, made.source_count, made.part_count) == (COMPLETED, 3, 1)


async def test_large_sources_are_cut_into_parts(clock: FakeClock) -> None:
    async with small_copies(clock) as world:
        large, small = await source(world, 5 * PART), await source(world, PART)
        made = await compose(world, large, small)
        assert (made.state, made.part_count) == (COMPLETED, 4)
        # 25 MiB are cut into three parts, each a third of it.
        assert made.part_size_bytes == -(-5 * PART // 3)
        assert made.object.size_bytes == 6 * PART


@in_memory
async def test_a_colleague_may_compose_what_the_tenant_owns(world: World) -> None:
    each = await source(world)
    made = await compose(world, each, caller=BOB)
    assert made.state == COMPLETED


# ---- refusals


@pytest.mark.promise("Compose", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"sources": []}, "sources"),
        ({"sources": [pb.ComposeSource(upload_id="x")] * 33}, "sources"),
        ({"sources": [pb.ComposeSource()]}, "sources[0].upload_id"),
        ({"policy": "No!"}, "policy"),
        ({"request_id": "1"}, "request_id"),
        ({"content_type": "?"}, "content_type"),
        ({"metadata": {"PARTWAY": "x"}}, "metadata"),
        ({"fingerprint": "é"}, "fingerprint"),
        ({"file_name": "n" * 1025}, "file_name"),
    ],
)
@in_memory
async def test_fields_out_of_bounds_are_refused(
    world: World, fields: dict[str, Any], wrong: str
) -> None:
    valid = {"sources": [pb.ComposeSource(upload_id="x")]}
    asked = pb.ComposeRequest(**{**valid, **fields})
    failed = await failure(world.stub.Compose(asked, metadata=ALICE))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == [wrong]


async def test_the_policy_is_that_of_what_is_made(clock: FakeClock) -> None:
    strict = Policy("strict", "other", max_size_bytes=2 * PART, content_types=("image/*",))
    async with a_memory_world(clock, policies=[strict]) as world:
        each = await source(world)
        failed = await failure(compose(world, each, each, each, policy="strict"))
        wrong = [v.field for v in failed.details["BadRequest"].field_violations]
        assert wrong == ["sources", "content_type"]
        made = await compose(world, each, each, policy="strict", content_type="image/png")
        assert (made.object.bucket, made.policy) == ("other", "strict")


@pytest.mark.promise("Compose", "NOT_FOUND")
async def test_a_foreign_or_unknown_source_touches_no_storage(world: World) -> None:
    own = await source(world)
    foreign = pb.InitializeRequest(size_bytes=10)
    foreign_upload = (await world.stub.Initialize(foreign, metadata=EVE)).upload
    before = list(world.storage.calls)
    for other in (foreign_upload, upload_pb2.Upload(id="x" * 100)):
        failed = await failure(compose(world, own, other))
        assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
    assert world.storage.calls == before


@in_memory
async def test_a_source_on_another_backend_is_refused(world: World) -> None:
    own = await source(world)
    elsewhere = an_upload().grant
    other = upload_pb2.Upload(id=UploadIdCipher([SEALING_KEY]).encrypt(elsewhere))
    failed = await failure(compose(world, own, other))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "SOURCES_NOT_JOINABLE")
    assert failed.metadata["source"] == "1"


@in_memory
async def test_a_policy_that_moves_to_another_backend_meanwhile_opens_nothing(
    world: World,
) -> None:
    own = await source(world)

    async def move() -> None:
        world.policies.replace({"default": Policy("default", "uploads", backend="elsewhere")})

    creates = world.storage.calls.count("create")
    world.storage.before("head", move)
    failed = await failure(compose(world, own))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "SOURCES_NOT_JOINABLE")
    assert world.storage.calls.count("create") == creates


@in_memory
@pytest.mark.promise("Compose", "FAILED_PRECONDITION")
async def test_a_source_that_is_not_completed_is_refused(world: World) -> None:
    own, active = await source(world), await world.initialize()
    await world.send(active)
    creates = world.storage.calls.count("create")
    failed = await failure(compose(world, own, active))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "SOURCE_UNUSABLE")
    assert failed.metadata["source"] == "1" and "not completed" in failed.metadata["problem"]
    assert world.storage.calls.count("create") == creates


async def test_a_source_that_is_gone_is_refused(world: World) -> None:
    own, other = await source(world), await source(world)
    grant = world.grant(other)
    head = await world.storage.head(grant)
    assert head is not None
    await world.storage.delete(grant, head)
    failed = await failure(compose(world, own, other))
    assert (failed.reason, failed.metadata["source"]) == ("SOURCE_UNUSABLE", "1")
    assert "gone" in failed.metadata["problem"]


@in_memory
@pytest.mark.parametrize("change", [{"write_token": "0" * 32}, {"size_bytes": 1}])
async def test_an_object_in_the_place_of_a_source_is_refused(
    world: World, change: dict[str, Any]
) -> None:
    own = await source(world)
    memory: Any = world.storage._storage
    place = own.object.bucket, own.object.key
    there = memory.objects[place]
    memory.objects[place] = replace(there, head=replace(there.head, **change))
    failed = await failure(compose(world, own))
    assert (failed.reason, failed.metadata["source"]) == ("SOURCE_UNUSABLE", "0")
    assert "replaced" in failed.metadata["problem"]


@pytest.mark.parametrize("sizes", [(PART, 7, PART), (7, PART), (PART, PART - 1, 0, 5)])
async def test_a_small_source_before_the_last_is_refused(
    world: World, sizes: tuple[int, ...]
) -> None:
    sources = [await source(world, size) for size in sizes]
    creates = world.storage.calls.count("create")
    failed = await failure(compose(world, *sources))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "SOURCES_NOT_JOINABLE")
    place = next(str(n) for n, size in enumerate(sizes) if size < PART)
    assert failed.metadata["source"] == place
    assert failed.message.startswith(
        f"the sources cannot be joined, because of source {place}: storage requires at least"
    )
    assert str(PART) in failed.metadata["problem"]
    assert world.storage.calls.count("create") == creates


@in_memory
async def test_nothing_is_made_of_nothing(world: World) -> None:
    empty = await source(world, 0)
    failed = await failure(compose(world, empty, empty))
    assert (failed.reason, failed.metadata["problem"]) == (
        "SOURCES_NOT_JOINABLE",
        "all sources are empty",
    )


async def test_storage_that_asks_for_equal_parts_gets_them(clock: FakeClock) -> None:
    async with small_copies(clock, equal_parts=True) as world:
        first, same, other = [await source(world, s) for s in (2 * PART, 2 * PART, PART + 1)]
        assert (await compose(world, first, same, other)).state == COMPLETED
        failed = await failure(compose(world, first, other, same))
        assert (failed.reason, failed.metadata["source"]) == ("SOURCES_NOT_JOINABLE", "1")


@in_memory
async def test_callers_send_no_parts_of_what_is_composed(world: World) -> None:
    first = await source(world)
    world.storage.before("copy_part", *[failing(StorageUnavailable())] * 4)
    failed = await failure(compose(world, first))
    assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    made = await composed(world)
    failed = await failure(world.presigned(made))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert "no parts to send" in failed.message
    # Complete works, and reports what is missing until the copies exist.
    assert (await failure(world.complete(made))).reason == "PARTS_MISSING"
    await sweep(world, LEASE.total_seconds() + 1)
    assert (await world.complete(made)).state == COMPLETED


# ---- once, however often it is requested


@in_memory
async def test_a_repeat_returns_the_first_upload(world: World) -> None:
    first, request_id = await source(world), str(uuid4())
    made = await compose(world, first, first, request_id=request_id)
    calls = list(world.storage.calls)
    assert await compose(world, first, first, request_id=request_id) == made
    assert world.storage.calls == calls
    assert len(await listed(world)) == 2


@in_memory
async def test_a_repeat_with_another_order_is_refused(world: World) -> None:
    first, second, request_id = await source(world), await source(world), str(uuid4())
    await compose(world, first, second, request_id=request_id)
    for other in (
        compose(world, second, first, request_id=request_id),
        compose(world, first, second, request_id=request_id, delete_sources=True),
        world.initialize(request_id=request_id),
    ):
        failed = await failure(other)
        assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


@pytest.mark.promise("Compose", "ABORTED")
async def test_two_at_once_open_one_upload(world: World) -> None:
    first, request_id, gate = await source(world), str(uuid4()), Gate()
    world.storage.before("create", gate)
    one = asyncio.create_task(compose(world, first, request_id=request_id))
    await gate.reached.wait()
    failed = await failure(compose(world, first, request_id=request_id))
    assert (failed.code, failed.reason) == ("ABORTED", "UPLOAD_BUSY")
    gate.open()
    made = await one
    assert await compose(world, first, request_id=request_id) == made


@in_memory
async def test_a_repeat_joins_the_work_that_goes_on(world: World) -> None:
    first, request_id, gate = await source(world), str(uuid4()), Gate()
    world.storage.before("copy_part", gate)
    one = asyncio.create_task(compose(world, first, request_id=request_id))
    await gate.reached.wait()
    asked = request([first], request_id=request_id)
    two = await world.stub.Compose(asked, metadata=ALICE, timeout=3)
    assert two.upload.state == upload_pb2.UPLOAD_STATE_ACTIVE
    gate.open()
    assert (await one).id == two.upload.id
    assert world.storage.calls.count("copy_part") == 1


async def test_a_repeat_goes_on_after_redis_lost_the_row(world: World) -> None:
    first, request_id = await source(world), str(uuid4())
    world.storage.before("copy_part", failing(StorageRefused("UploadPartCopy", "AccessDenied")))
    failed = await failure(compose(world, first, first, request_id=request_id, delete_sources=True))
    assert (failed.code, failed.reason) == ("INTERNAL", "STORAGE_REFUSED")
    made = await composed(world)
    await world.lose_row(made)
    # A query rebuilds the session record, which no longer knows the sources.
    assert await world.state(made) == "ACTIVE"
    other = await failure(compose(world, first, request_id=request_id, delete_sources=True))
    assert other.reason == "REQUEST_ID_REUSED"
    done = await compose(world, first, first, request_id=request_id, delete_sources=True)
    assert (done.state, done.id) == (COMPLETED, made.id)
    assert await exists(world, first)


# ---- long copies


@in_memory
async def test_the_answer_comes_when_the_caller_has_no_more_time(world: World) -> None:
    first, gate = await source(world), Gate()
    world.storage.before("copy_part", gate)
    response = await world.stub.Compose(request([first]), metadata=ALICE, timeout=3)
    made = response.upload
    assert made.state == upload_pb2.UPLOAD_STATE_ACTIVE
    assert (await status(world, made)).progress.parts_stored == 0
    gate.open()
    await world.service.tasks.drain(10)
    assert await world.state(made) == "COMPLETED"


async def test_progress_shows_what_is_copied(clock: FakeClock) -> None:
    async with small_copies(clock) as world:
        large, gate = await source(world, 5 * PART), Gate()
        world.storage.before("copy_part", go_on, go_on, gate)
        work = asyncio.create_task(compose(world, large))
        await gate.reached.wait()
        progress = (await status(world, await composed(world))).progress
        assert (progress.parts_stored, list(progress.missing)) == (
            2,
            [upload_pb2.PartRange(first=3, last=3)],
        )
        gate.open()
        assert (await work).state == COMPLETED


@in_memory
async def test_a_copy_is_tried_again(world: World) -> None:
    first = await source(world)
    world.storage.before("copy_part", *[failing(StorageUnavailable())] * 3)
    assert (await compose(world, first)).state == COMPLETED


@in_memory
async def test_parts_that_another_worker_replaces_meanwhile_are_joined_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await source(world), await source(world, 10)
    listings, list_parts = itertools.count(1), world.storage.list_parts

    async def without_a_part(*args: Any, **options: Any) -> Sequence[StoredPart]:
        listed = await list_parts(*args, **options)
        # The second listing belongs to the join.
        return listed[1:] if next(listings) == 2 else listed

    monkeypatch.setattr(world.storage, "list_parts", without_a_part)
    world.storage.before("complete", failing(CompleteRefused("InvalidPart")))

    made = await compose(world, first, second)

    assert made.state == COMPLETED
    assert world.storage.calls.count("complete") == 2


@in_memory
async def test_parts_that_storage_refuses_for_good_are_told(world: World) -> None:
    first = await source(world)
    world.storage.before("complete", *[failing(CompleteRefused("EntityTooSmall"))] * 4)
    failed = await failure(compose(world, first))
    assert (failed.reason, failed.metadata["storage_code"]) == ("PARTS_REFUSED", "EntityTooSmall")
    assert (await status(world, await composed(world))).upload.state == ACTIVE


async def test_abort_stops_the_copying(clock: FakeClock) -> None:
    async with small_copies(clock) as world:
        large, gate = await source(world, 20 * PART), Gate()
        world.storage.before("copy_part", gate)
        work = asyncio.create_task(compose(world, large))
        await gate.reached.wait()
        made = await composed(world)
        assert (await world.abort(made)).state == ABORTED
        gate.open()
        failed = await failure(work)
        assert (failed.reason, failed.metadata["abort_reason"]) == (
            "UPLOAD_NOT_ACTIVE",
            "ABORT_REASON_REQUESTED",
        )
        assert await exists(world, large)
        assert await world.storage.list_multiparts(world.grant(made)) == []


@in_memory
async def test_an_abort_that_wins_against_the_joining_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, gate, claim = await source(world), Gate(), world.sessions.claim
    aborting: list[asyncio.Task[upload_pb2.Upload]] = []
    world.storage.before("abort", gate)

    async def abort_first(sid: str, *others: Any, **named: Any) -> Any:
        monkeypatch.undo()
        aborting.append(asyncio.create_task(world.abort(await composed(world))))
        await gate.reached.wait()
        return await claim(sid, *others, **named)

    monkeypatch.setattr(world.sessions, "claim", abort_first)
    failed = await failure(compose(world, first))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    gate.open()
    assert (await aborting[0]).state == ABORTED


@in_memory
async def test_an_upload_past_its_deadline_is_not_copied_on(world: World) -> None:
    first = await source(world)
    world.storage.before("copy_part", failing(StorageRefused("UploadPartCopy", "AccessDenied")))
    assert (await failure(compose(world, first))).reason == "STORAGE_REFUSED"
    made = await composed(world)
    await sweep(world, EXPIRY_SECONDS + 1)
    found = (await status(world, made)).upload
    assert found.abort_reason == upload_pb2.ABORT_REASON_EXPIRED


# ---- sources that change


async def test_a_source_that_goes_while_it_is_copied_ends_the_upload(world: World) -> None:
    stays, goes = await source(world), await source(world)

    async def remove() -> None:
        head = await world.storage.head(world.grant(goes))
        assert head is not None
        await world.storage.delete(world.grant(goes), head)

    world.storage.after("create", remove)
    failed = await failure(compose(world, stays, goes))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "SOURCE_UNUSABLE")
    assert failed.metadata["source"] == "1"
    made = await composed(world)
    assert made.abort_reason == upload_pb2.ABORT_REASON_SOURCE_CHANGED
    assert await world.storage.list_multiparts(world.grant(made)) == []


@pytest.mark.redis
@pytest.mark.s3
@pytest.mark.parametrize("world", ["real"], indirect=True)
async def test_a_source_that_is_replaced_while_it_is_copied_ends_the_upload(
    world: World, s3: S3
) -> None:
    stays, changes = await source(world), await source(world)

    async def put_another() -> None:
        client, place = reader(s3), {"Bucket": s3.bucket, "Key": changes.object.key}
        token = client.head_object(**place)["Metadata"]
        client.put_object(**place, Body=content(2, PART), Metadata=token)

    world.storage.after("create", put_another)
    failed = await failure(compose(world, stays, changes, request_id=(named := str(uuid4()))))
    assert (failed.reason, failed.metadata["source"]) == ("SOURCE_UNUSABLE", "1")
    again = await compose(world, stays, changes, request_id=named)
    assert (again.state, again.abort_reason) == (
        ABORTED,
        upload_pb2.ABORT_REASON_SOURCE_CHANGED,
    )


@in_memory
async def test_a_source_that_changed_under_a_store_without_conditions_is_seen(
    world: World,
) -> None:
    first = await source(world)

    async def remove() -> None:
        head = await world.storage.head(world.grant(first))
        assert head is not None
        await world.storage.delete(world.grant(first), head)

    world.storage.after("copy_part", remove)
    failed = await failure(compose(world, first))
    assert failed.reason == "SOURCE_UNUSABLE"


# ---- workers that die in the middle


async def test_a_janitor_takes_up_what_was_left_and_copies_only_the_rest(world: World) -> None:
    first = await source(world)
    copied = asyncio.Semaphore(0)

    async def count() -> None:
        copied.release()

    async def refuse_after_two() -> None:
        # Or the other two would be cancelled, and storage might finish them nevertheless.
        for _ in range(2):
            await copied.acquire()
        raise StorageRefused("UploadPartCopy", "AccessDenied")

    world.storage.before("copy_part", go_on, go_on, refuse_after_two)
    world.storage.after("copy_part", count, count)
    assert (await failure(compose(world, *[first] * 3))).reason == "STORAGE_REFUSED"
    made = await composed(world)
    assert (await status(world, made)).progress.parts_stored == 2
    copies = world.storage.calls.count("copy_part")
    await sweep(world, LEASE.total_seconds() + 1)
    assert await world.state(made) == "COMPLETED"
    assert world.storage.calls.count("copy_part") - copies == 1


@in_memory
async def test_a_compose_that_died_before_it_was_open_is_taken_up(world: World) -> None:
    first, request_id = await source(world), str(uuid4())
    world.storage.after("create", failing(RuntimeError("the worker dies here")))
    assert (await failure(compose(world, first, request_id=request_id))).code == "INTERNAL"
    await sweep(world, 4 * LEASE.total_seconds() + 1)
    await sweep(world, LEASE.total_seconds() + 1)
    made = await compose(world, first, request_id=request_id)
    assert made.state == COMPLETED
    assert world.storage.calls.count("create") <= 2


async def test_a_repeat_takes_up_what_was_left(world: World) -> None:
    first, request_id = await source(world), str(uuid4())
    world.storage.before("copy_part", failing(RuntimeError("the worker dies here")))
    assert (await failure(compose(world, first, request_id=request_id))).code == "INTERNAL"
    assert (await compose(world, first, request_id=request_id)).state == COMPLETED


@in_memory
async def test_work_that_goes_on_is_put_off_and_not_forgotten(world: World) -> None:
    first, gate = await source(world), Gate()
    world.storage.before("copy_part", failing(StorageRefused("UploadPartCopy", "AccessDenied")))
    assert (await failure(compose(world, first))).reason == "STORAGE_REFUSED"
    sid = world.grant(await composed(world)).sid
    world.storage.before("copy_part", gate)
    world.clock.advance(LEASE.total_seconds() + 1)
    sweeping = asyncio.create_task(world.service.janitor.sweep())
    await gate.reached.wait()
    assert await world.sessions.peek_due(10) == []
    # A janitor gets a session record to itself for five minutes; a worker that copies, for a lease.
    world.clock.advance(LEASE.total_seconds())
    assert await world.sessions.peek_due(10) == [sid]
    gate.open()
    assert await sweeping == [sid]
    assert await world.state(await composed(world)) == "COMPLETED"


@in_memory
async def test_an_upload_that_is_being_composed_is_extended_and_goes_on(world: World) -> None:
    first, gate = await source(world), Gate()
    world.storage.before("copy_part", gate)
    composing = asyncio.create_task(compose(world, first))
    await gate.reached.wait()
    active = await composed(world)
    request = pb.ExtendUploadRequest(upload_id=active.id)
    request.expire_time.seconds = active.create_time.seconds + 10 * 24 * 3600
    extended = (await world.stub.ExtendUpload(request, metadata=ALICE)).upload
    assert extended.expire_time == request.expire_time
    # Its worker goes on postponing it, and a janitor that takes over has the later deadline, too.
    assert await world.sessions.peek_due(10) == []
    world.clock.advance(LEASE.total_seconds() + 1)
    assert await world.sessions.peek_due(10) == [world.grant(active).sid]
    gate.open()
    made = await composing
    assert (made.state, made.id) == (COMPLETED, extended.id)


# ---- removal of the sources


async def test_sources_are_removed_once_the_object_is_proven(world: World) -> None:
    first, second = await source(world), await source(world)
    made = await compose(world, first, second, first, delete_sources=True)
    assert made.state == COMPLETED
    assert not await exists(world, first) and not await exists(world, second)
    assert await exists(world, made)


@in_memory
async def test_a_repeat_finds_the_object_though_its_sources_are_gone(world: World) -> None:
    first, request_id = await source(world), str(uuid4())
    made = await compose(world, first, delete_sources=True, request_id=request_id)
    assert await compose(world, first, delete_sources=True, request_id=request_id) == made


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_death_around_the_removal_is_made_good(world: World, moment: str) -> None:
    first, second = await source(world), await source(world)
    dies = failing(RuntimeError("the worker dies here"))
    getattr(world.storage, moment)("delete", dies)
    failed = await failure(compose(world, first, second, delete_sources=True))
    assert failed.code == "INTERNAL"
    made = await composed(world)
    assert made.state == upload_pb2.UPLOAD_STATE_COMPLETING
    assert await exists(world, made)
    await sweep(world, LEASE.total_seconds() + 10)
    assert await world.state(made) == "COMPLETED"
    assert not await exists(world, first) and not await exists(world, second)


@in_memory
async def test_a_source_that_was_replaced_since_is_not_removed(world: World) -> None:
    first = await source(world)

    async def put_another() -> None:
        memory: Any = world.storage._storage
        place = first.object.bucket, first.object.key
        there = memory.objects[place]
        memory.objects[place] = replace(there, head=replace(there.head, etag="another"))

    world.storage.after("complete", put_another)
    made = await compose(world, first, delete_sources=True)
    assert made.state == COMPLETED
    assert await exists(world, first)


@in_memory
async def test_sources_that_may_not_be_removed_withhold_nothing(world: World) -> None:
    first = await source(world)
    world.storage.before("delete", failing(StorageRefused("DeleteObject", "AccessDenied")))
    made = await compose(world, first, delete_sources=True)
    assert made.state == COMPLETED
    assert await exists(world, first)


@in_memory
async def test_nothing_is_removed_before_the_proof(world: World) -> None:
    first = await source(world)
    world.storage.after("complete", failing(StorageUnavailable()))
    failed = await failure(compose(world, first, delete_sources=True))
    assert failed.reason == "STORAGE_UNAVAILABLE"
    assert await exists(world, first)
    assert "delete" not in world.storage.calls
    await sweep(world, LEASE.total_seconds() + 10)
    assert not await exists(world, first)


async def test_the_row_tells_its_sources_from_the_first_to_the_last(world: World) -> None:
    first = await source(world)
    made = await compose(world, first, first)
    row = await world.sessions.get(world.grant(made).sid)
    assert row is not None and row.state is State.COMPLETED
    assert [each.key for each in row.sources] == [first.object.key] * 2
    assert row.grant.plan.cuts == (PART, PART)


@contextlib.asynccontextmanager
async def shared(clock: FakeClock) -> AsyncIterator[World]:
    """Yield a world with a policy whose objects every subject of the tenant may remove."""
    policies = [Policy("shared", "uploads", compose_delete="tenant")]
    async with a_memory_world(clock, policies=policies) as world:
        yield world


async def test_another_subjects_source_is_not_removed(clock: FakeClock) -> None:
    async with shared(clock) as world:
        mine, theirs = await source(world), await source(world)
        world.storage.calls.clear()
        # Bob removes nothing of Alice's, whatever policy he composes by.
        for policy in ("default", "shared"):
            failed = await failure(
                compose(world, mine, theirs, caller=BOB, policy=policy, delete_sources=True)
            )
            assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
            [violation] = failed.details["BadRequest"].field_violations
            assert violation.field == "delete_sources"
            assert "source 0" in violation.description
        assert world.storage.calls == []
        asked = await world.stub.ListUploads(pb.ListUploadsRequest(), metadata=BOB)
        assert list(asked.uploads) == []
        made = await compose(world, mine, theirs, caller=BOB)
        assert made.state == COMPLETED
        assert await exists(world, mine) and await exists(world, theirs)


async def test_another_subjects_source_is_removed_if_its_policy_says_so(clock: FakeClock) -> None:
    async with shared(clock) as world:
        open_to_all = await source(world, policy="shared")
        made = await compose(world, open_to_all, caller=BOB, delete_sources=True)
        assert made.state == COMPLETED
        assert not await exists(world, open_to_all)


async def test_each_source_goes_by_its_own_policy(clock: FakeClock) -> None:
    async with shared(clock) as world:
        open_to_all, private = await source(world, policy="shared"), await source(world)
        failed = await failure(
            compose(world, open_to_all, private, caller=BOB, delete_sources=True)
        )
        assert "source 1" in failed.details["BadRequest"].field_violations[0].description
        assert await exists(world, open_to_all)


async def test_a_source_whose_policy_is_gone_is_its_callers_alone(clock: FakeClock) -> None:
    async with shared(clock) as world:
        open_to_all = await source(world, policy="shared")
        world.policies.replace({"default": world.policies["default"]})
        failed = await failure(compose(world, open_to_all, caller=BOB, delete_sources=True))
        assert failed.code == "INVALID_ARGUMENT"
        made = await compose(world, open_to_all, delete_sources=True)
        assert made.state == COMPLETED
