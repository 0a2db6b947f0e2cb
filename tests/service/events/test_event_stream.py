"""Tests the events of uploads, from Initialize to the end, and after Redis loses its data."""

import json
from typing import Any

import pytest
from partway_server.events.event_stream import EventStreams, places_at
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.sessions.redis_store import RedisSessionStore

from tests.support.clock import FakeClock
from tests.support.twins import a_memory_world
from tests.support.upload_situations import EXPIRY_SECONDS
from tests.support.world import PART, World, failure

DAY_SECONDS = 24 * 3600
TWO_PARTS = PART + 7

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)
both_kinds = pytest.mark.parametrize("size", [1000, TWO_PARTS], ids=["put", "multipart"])


async def published(world: World) -> list[dict[str, Any]]:
    """Return the published events, in order."""
    sessions = world.sessions
    if isinstance(sessions, MemorySessionStore):
        return [json.loads(event.text) for event in sessions.events]
    assert isinstance(sessions, RedisSessionStore)
    read = EventStreams(sessions._topology).read(places_at(None))
    return [json.loads(entry.event.text) async for entry in read]


async def types(world: World) -> list[str]:
    return [event["type"].removeprefix("upload.") for event in await published(world)]


@both_kinds
async def test_an_upload_is_told_from_its_beginning_to_its_end(world: World, size: int) -> None:
    upload = await world.initialize(size, metadata={"camera": "7"}, fingerprint="film 1")
    await world.send(upload)
    done = await world.complete(upload)
    await world.complete(upload)
    opened, completed = await published(world)
    assert [opened["type"], completed["type"]] == ["upload.initialized", "upload.completed"]
    data = completed["data"]
    assert (data["key"], data["uri"]) == (done.object.key, done.object.uri)
    assert (data["etag"], data["size_bytes"]) == (done.object.etag, size)
    for event in (opened, completed):
        assert event["subject"] == world.grant(upload).sid
        assert event["data"]["metadata"] == {"camera": "7"}
        assert event["data"]["fingerprint"] == "film 1"


@both_kinds
async def test_an_outcome_that_redis_lost_is_told_again_when_it_is_asked_for(
    world: World, size: int
) -> None:
    upload = await world.initialize(size, metadata={"camera": "7"})
    await world.send(upload)
    await world.complete(upload)
    await world.lose_row(upload)
    assert await world.state(upload) == "COMPLETED"
    assert await world.state(upload) == "COMPLETED"
    assert await types(world) == ["initialized", "completed", "completed"]
    _, first, again = await published(world)
    assert first["id"] == again["id"]
    assert again["data"] == first["data"]


@in_memory
async def test_an_upload_that_ended_long_ago_is_not_told_again(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await world.send(upload)
    await world.complete(upload)
    world.clock.advance(EXPIRY_SECONDS + DAY_SECONDS)
    await world.lose_row(upload)
    assert await world.state(upload) == "COMPLETED"
    assert await types(world) == ["initialized", "completed"]


@in_memory
async def test_an_abort_is_told_once(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await world.abort(upload)
    await world.abort(upload)
    assert await types(world) == ["initialized", "aborted"]


@in_memory
async def test_an_end_that_nobody_asked_for_says_why(world: World) -> None:
    await world.initialize(TWO_PARTS)
    world.clock.advance(EXPIRY_SECONDS + 1)
    await world.service.janitor.sweep()
    lost = await world.initialize(TWO_PARTS)
    await world.storage.abort(world.grant(lost))
    await failure(world.complete(lost))
    assert await types(world) == ["initialized", "expired", "initialized", "failed"]
    assert (await published(world))[-1]["data"]["abort_reason"] == "LOST"


@in_memory
async def test_a_complete_that_is_refused_tells_nothing(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    assert (await failure(world.complete(upload))).reason == "PARTS_MISSING"
    await world.send(upload)
    await world.complete(upload)
    assert await types(world) == ["initialized", "completed"]


async def test_nothing_that_authorizes_is_told(clock: FakeClock) -> None:
    async with a_memory_world(clock) as world:
        upload = await world.initialize(TWO_PARTS)
        await world.send(upload)
        await world.complete(upload)
        text, grant = json.dumps(await published(world)), world.grant(upload)
        for secret in (upload.id, grant.write_token, grant.multipart_id):
            assert secret not in text
