"""Tests how often an upload asks storage, beside the PUTs of its parts."""

import pytest
from partway.v1 import upload_pb2

from tests.support.world import PART, World

COMPLETED = upload_pb2.UPLOAD_STATE_COMPLETED

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)


def asked(world: World) -> list[str]:
    """Return the requests to storage. Presigning is none."""
    return [name for name in world.storage.calls if name != "presigner"]


@in_memory
@pytest.mark.parametrize("count", [2, 100])
async def test_an_upload_in_parts_asks_storage_four_times(world: World, count: int) -> None:
    upload = await world.initialize(count * PART)
    await world.send(upload, range(1, count + 1))
    assert (await world.complete(upload)).state == COMPLETED
    assert asked(world) == ["create", "list_parts", "complete", "head"]


@pytest.mark.usefixtures("single_puts")
async def test_a_file_of_one_put_asks_storage_once(world: World) -> None:
    upload = await world.initialize(100)
    await world.send(upload, [1])
    assert (await world.complete(upload)).state == COMPLETED
    assert asked(world) == ["head"]


@pytest.mark.usefixtures("single_puts")
async def test_named_bytes_of_one_put_are_proved_by_the_same_look(world: World) -> None:
    upload = await world.initialize(100)
    await world.send(upload, [1])
    named = upload_pb2.Part(part_number=1, size_bytes=100)
    assert (await world.complete(upload, parts=[named])).state == COMPLETED
    assert asked(world) == ["head"]
