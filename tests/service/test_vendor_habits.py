"""Tests whole uploads on servers with the habits of vendors: see tests/support/vendors.py."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from botocore.exceptions import ClientError
from partway.v1 import upload_pb2
from partway_client import UploadClient
from partway_server.devstack.servers import S3
from partway_server.domain.policy import Policy
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.s3 import S3Storage
from partway_server.storage.s3_lean_calls import LeanCalls

from tests.support.bucket import Bucket, look_into
from tests.support.client_world import client_world
from tests.support.clock import FakeClock
from tests.support.vendors import B2, R2, VENDORS, Played, playing
from tests.support.wired import empty, keys_in
from tests.support.world import PART, World

pytestmark = pytest.mark.s3


@dataclass(frozen=True, slots=True)
class Stand:
    """A service and a client over a vendor that is played. `bucket` bypasses it."""

    world: World
    client: UploadClient
    played: Played
    bucket: Bucket

    def assert_only(self, *keys: str) -> None:
        """Assert that these objects are in storage and no upload, and what was sent was known."""
        assert keys_in(self.bucket) == sorted(keys)
        assert self.bucket.unfinished() == 0
        assert self.played.refused == []


@pytest.fixture(scope="module")
def own_bucket(s3: S3) -> Iterator[Bucket]:
    with look_into(s3, "vendors") as found:
        yield found


@pytest.fixture(params=VENDORS)
async def stand(
    request: pytest.FixtureRequest, s3: S3, own_bucket: Bucket, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[Stand]:
    vendor, name = VENDORS[request.param], own_bucket.name
    empty(own_bucket)
    async with contextlib.AsyncExitStack() as stack:
        played = await stack.enter_async_context(playing(vendor, s3))
        storage = await S3Storage.open(
            name="default",
            capabilities=KNOWN[vendor.kind],
            region=s3.region,
            endpoint_url=played.url,
            access_key=s3.access_key,
            secret_key=s3.secret_key,
        )
        assert isinstance(storage._calls, LeanCalls)
        storage._calls._sleep = no_sleep
        world, client = await stack.enter_async_context(
            client_world(
                storage,
                clock=clock,
                state=tmp_path / "state",
                bucket=name,
                policies=[Policy("default", name)],
            )
        )
        yield Stand(world, client, played, own_bucket)


async def no_sleep(seconds: float) -> None:
    assert 0 <= seconds <= 2


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", [0, 1000, 2 * PART + 7], ids=["empty", "small", "three parts"])
async def test_an_upload_arrives_whole(stand: Stand, tmp_path: Path, size: int) -> None:
    content = some_bytes(size)
    file = tmp_path / "film.bin"
    file.write_bytes(content)
    uploaded = await stand.client.upload_file(file, part_size=PART)
    assert stand.bucket.body(uploaded.key) == content
    stand.assert_only(uploaded.key)


async def test_an_upload_goes_on_and_complete_may_be_repeated(stand: Stand) -> None:
    stand.played.take_every_put()
    world = stand.world
    upload = await world.initialize()
    await world.send(upload, [2])
    assert [part.part_number for part in await world.presigned(upload)] == [1, 3]
    await world.send(upload)
    first = await world.complete(upload)
    assert first.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert await world.complete(upload) == first
    await world.lose_row(upload)
    assert await world.state(upload) == "COMPLETED"
    stand.assert_only(first.object.key)


async def test_an_abort_leaves_nothing(stand: Stand) -> None:
    stand.played.take_every_put()
    upload = await stand.world.initialize()
    await stand.world.send(upload, [1])
    aborted = await stand.world.abort(upload)
    assert aborted.state == upload_pb2.UPLOAD_STATE_ABORTED
    stand.assert_only()


async def test_the_janitor_ends_what_was_left(stand: Stand) -> None:
    stand.played.take_every_put()
    upload = await stand.world.initialize()
    await stand.world.send(upload, [1])
    for _ in range(3):
        stand.world.clock.advance(timedelta(days=6).total_seconds())
        await stand.world.service.janitor.sweep()
    stand.assert_only()


async def test_the_sweep_ends_what_no_record_knows(stand: Stand) -> None:
    upload = await stand.world.initialize()
    await stand.world.lose_row(upload)
    assert stand.bucket.unfinished() == 1
    stand.world.clock.advance(timedelta(days=30).total_seconds())
    await stand.world.service.sweeper.sweep()
    stand.assert_only()


async def test_what_is_played_bites(s3: S3, own_bucket: Bucket) -> None:
    def unequal_parts(url: str) -> str:
        with look_into(replace(s3, endpoint=url, bucket=own_bucket.name)) as seen:
            place = {"Bucket": own_bucket.name, "Key": "unequal"}
            place["UploadId"] = seen.client.create_multipart_upload(**place)["UploadId"]
            parts = [
                {
                    "PartNumber": number,
                    "ETag": seen.client.upload_part(**place, PartNumber=number, Body=body)["ETag"],
                }
                for number, body in enumerate((bytes(PART), bytes(PART + 1), b"."), start=1)
            ]
            try:
                with pytest.raises(ClientError) as failed:
                    seen.client.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
            finally:
                seen.client.abort_multipart_upload(**place)
            return str(failed.value.response["Error"]["Code"])

    async with playing(replace(R2, once={}), s3) as played:
        assert await asyncio.to_thread(unequal_parts, played.url) == "InvalidPart"
    async with playing(B2, s3) as played, aiohttp.ClientSession() as http:
        sent = {"x-amz-checksum-mode": "ENABLED"}
        async with http.get(f"{played.url}/{own_bucket.name}/key", headers=sent) as answer:
            assert answer.status == 400
            assert "<Code>InvalidArgument</Code>" in await answer.text()
        assert len(played.refused) == 1
