"""Tests that real storage keeps what a policy says about an object."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qsl

import aiohttp
import pytest
from partway_server.devstack.servers import S3
from partway_server.domain.clock import SystemClock
from partway_server.domain.policy import Policy
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.router import StorageRouter

from tests.support.bucket import Bucket, look_into
from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, put_by
from tests.support.stores import open_s3
from tests.support.world import PART, World, a_world

pytestmark = pytest.mark.s3

TAGS = {"team": "film = photo + sound", "place": "a/b é"}
DISPOSITION = "inline; filename*=UTF-8''film.mp4"


@pytest.fixture(scope="module")
def second(s3: S3) -> Iterator[Bucket]:
    with look_into(s3, "headers") as bucket:
        yield bucket


@pytest.fixture
async def world(s3: S3, second: Bucket) -> AsyncIterator[World]:
    """Yield two backends, one of which has its own bucket and adds more to an object."""
    rich = Policy(
        "rich",
        second.name,
        backend="far",
        content_disposition=DISPOSITION,
        cache_control="private, max-age=60",
        storage_class="STANDARD_IA",
        tags=TAGS,
    )
    async with contextlib.AsyncExitStack() as opened:
        near, far = await open_s3(s3), await open_s3(s3, capabilities=KNOWN["seaweedfs"])
        routed = await opened.enter_async_context(
            contextlib.aclosing(StorageRouter({"default": near, "far": far}))
        )
        http = await opened.enter_async_context(aiohttp.ClientSession())
        # Real storage uses the real time.
        clock = FakeClock(SystemClock().now())
        yield await opened.enter_async_context(
            a_world(
                clock=clock,
                sessions=MemorySessionStore(clock),
                storage=FaultyObjects(routed),
                put=put_by(http),
                bucket=s3.bucket,
                policies=[rich],
            )
        )


@pytest.mark.parametrize("size", [1000, PART + 7])
async def test_all_of_it_is_on_the_object_and_a_put_must_send_it(
    world: World, second: Bucket, size: int
) -> None:
    upload = await world.initialize(size, policy="rich", metadata={"camera": "x"})
    if size == 1000:
        [part] = await world.presigned(upload)
        assert dict(parse_qsl(part.headers["x-amz-tagging"], strict_parsing=True)) == TAGS
        for dropped in ("x-amz-tagging", "x-amz-storage-class", "cache-control"):
            fewer = {name: value for name, value in part.headers.items() if name != dropped}
            assert (await world.put(part.url, b"x" * size, fewer)).status == 403
    await world.send(upload)
    done = await world.complete(upload)
    assert done.object.bucket == second.name
    place = {"Bucket": second.name, "Key": done.object.key}
    head = second.client.head_object(**place)
    assert (head["CacheControl"], head["StorageClass"]) == ("private, max-age=60", "STANDARD_IA")
    assert head["ContentDisposition"] == DISPOSITION
    assert head["Metadata"]["camera"] == "x"
    reported = second.client.get_object_tagging(**place)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in reported} == TAGS


async def test_without_rules_an_object_is_as_it_was(world: World, s3: S3) -> None:
    upload = await world.initialize(1000)
    [part] = await world.presigned(upload)
    assert not [name for name in part.headers if name.startswith("x-amz-") and "meta" not in name]
    assert part.headers["content-disposition"] == "attachment"
    assert len(upload.id) < 700
