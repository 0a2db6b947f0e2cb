"""Tests ten thousand parts: all of them, in order, in messages too small to slow down anyone."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.part_plan import GIB, MIB
from partway_server.storage.memory import MemoryStorage

from tests.support.calls import call, ranges
from tests.support.clock import FakeClock
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, PART, World, failure

MOST = 10_000


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
async def world(clock: FakeClock, storage: MemoryStorage) -> AsyncIterator[World]:
    async with a_memory_world(clock, storage=storage) as started:
        yield started


async def messages(
    world: World, upload: upload_pb2.Upload, *runs: tuple[int, int]
) -> list[pb.PresignPartsResponse]:
    request = pb.PresignPartsRequest(upload_id=upload.id, ranges=ranges(*runs))
    return [message async for message in world.stub.PresignParts(request, metadata=ALICE)]


@pytest.mark.parametrize("runs", [[], [(1, MOST)]])
async def test_all_parts_come_in_order_and_are_counted_down(
    world: World, runs: list[tuple[int, int]]
) -> None:
    upload = await world.initialize(MOST * PART)
    found = await messages(world, upload, *runs)
    assert [p.part_number for m in found for p in m.parts] == list(range(1, MOST + 1))
    assert all(32 <= len(message.parts) <= 64 for message in found[:-1])
    assert 1 <= len(found[-1].parts) <= 64
    left = MOST
    for message in found:
        left -= len(message.parts)
        assert message.remaining_count == left
    assert left == 0
    assert all(message.ByteSize() < 256 * 1024 for message in found)


@pytest.mark.parametrize("count", [1, 31, 32, 33, 47, 48, 49, 64, 65, 96, 97, 1000])
async def test_the_last_message_says_that_nothing_remains(world: World, count: int) -> None:
    upload = await world.initialize(1000 * PART)
    found = await messages(world, upload, (1, count))
    assert sum(len(message.parts) for message in found) == count
    assert found[-1].remaining_count == 0
    assert all(message.remaining_count > 0 and message.parts for message in found[:-1])


async def test_offsets_and_sizes_cover_the_file(world: World) -> None:
    size = 48 * 1024 * GIB // 10 + 12_345
    upload = await world.initialize(size, part_size_bytes=0)
    parts = [part for message in await messages(world, upload) for part in message.parts]
    assert parts[0].offset_bytes == 0
    for first, second in pairwise(parts):
        assert second.offset_bytes == first.offset_bytes + first.size_bytes
    assert parts[-1].offset_bytes + parts[-1].size_bytes == size
    assert len(parts) <= MOST and parts[0].size_bytes % MIB == 0


async def test_a_file_of_10_000_parts_is_completed(world: World, storage: MemoryStorage) -> None:
    upload = await world.initialize(MOST * PART - 1)
    for message in await messages(world, upload):
        for part in message.parts:
            storage.put(part.url, part.size_bytes, part.headers)
    answer = await call(world.stub, "ListParts", pb.ListPartsRequest(upload_id=upload.id))
    assert (len(answer.parts), bool(answer.next_page_token)) == (1000, True)
    done = await world.complete(upload)
    assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert done.object.size_bytes == MOST * PART - 1
    assert done.object.etag.endswith("-10000")


async def test_naming_all_10_000_parts_completes_them_too(
    world: World, storage: MemoryStorage
) -> None:
    upload = await world.initialize(MOST * PART)
    named = []
    for message in await messages(world, upload):
        for part in message.parts:
            etag = storage.put(part.url, part.size_bytes, part.headers)
            named.append(
                upload_pb2.Part(
                    part_number=part.part_number, etag=f'"{etag}"', size_bytes=part.size_bytes
                )
            )
    done = await world.complete(upload, parts=named[::-1])
    assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert (await world.complete(upload, parts=named)).object == done.object


async def test_progress_tells_what_is_missing_as_runs(world: World, storage: MemoryStorage) -> None:
    upload = await world.initialize(MOST * PART)
    for message in await messages(world, upload, (1, 10), (500, 600), (MOST, MOST)):
        for part in message.parts:
            storage.put(part.url, part.size_bytes, part.headers)
    request = pb.StatusRequest(upload_id=upload.id, view=pb.STATUS_VIEW_PROGRESS)
    progress = (await call(world.stub, "Status", request)).progress
    assert (progress.parts_stored, progress.bytes_stored) == (112, 112 * PART)
    assert list(progress.missing) == ranges((11, 499), (601, MOST - 1))


async def test_very_many_gaps_are_told_in_part(world: World, storage: MemoryStorage) -> None:
    upload = await world.initialize(MOST * PART)
    for message in await messages(world, upload):
        for part in message.parts:
            if part.part_number % 2:
                storage.put(part.url, part.size_bytes, part.headers)
    request = pb.StatusRequest(upload_id=upload.id, view=pb.STATUS_VIEW_PROGRESS)
    progress = (await call(world.stub, "Status", request)).progress
    assert progress.parts_stored == 5000
    assert list(progress.missing) == ranges(*((n, n) for n in range(2, 2002, 2)))
    failed = await failure(world.complete(upload))
    assert failed.metadata["missing_count"] == "5000"
    assert len(failed.details["PreconditionFailure"].violations) == 50
    left = [part.part_number for m in await messages(world, upload) for part in m.parts]
    assert left == list(range(2, MOST + 1, 2))


async def test_small_calls_are_answered_beside_long_streams(world: World) -> None:
    upload = await world.initialize(MOST * PART)
    streams = [asyncio.create_task(messages(world, upload)) for _ in range(4)]
    answered = 0
    while not any(stream.done() for stream in streams):
        await world.state(upload)
        answered += 1
    await asyncio.gather(*streams)
    assert answered > 20
