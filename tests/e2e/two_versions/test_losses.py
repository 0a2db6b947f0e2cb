"""Tests that one version takes over when the other is killed, or Redis loses everything."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.devstack.servers import S3, start_valkey
from redis import Redis

from tests.support.bucket import Bucket
from tests.support.previous_version import (
    VERSIONS,
    assert_no_traceback,
    both_versions,
    common_settings,
)
from tests.support.processes import until
from tests.support.relay import End, Fault, Relay
from tests.support.storage import Put
from tests.support.version_sides import (
    ABORTED,
    ACTIVE,
    COMPLETED,
    SMALL,
    TWO_PARTS,
    Side,
    completed,
    refusal,
    sha256,
    sides,
)
from tests.support.wired import COMPLETE, relay_to

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(90)]

UNHEARD = Fault(request_bytes=0, end=End.SILENCE)
UNANSWERED = Fault(end=End.SILENCE)


@pytest.fixture(params=VERSIONS)
async def fragile(
    request: pytest.FixtureRequest,
    previous: Path,
    tmp_path: Path,
    s3: S3,
    bucket: Bucket,
    put: Put,
    tenant: str,
) -> AsyncIterator["Fragile"]:
    """Run both versions over a Redis of their own, the first with a relay to storage."""
    valkey, redis_url = start_valkey(tmp_path, keep=False)
    with valkey:
        async with relay_to(s3.endpoint) as storage:
            of_one = {request.param: {"s3_endpoint": f"http://{storage.address}"}}
            settings: dict[str, Any] = {
                **common_settings(tmp_path, bucket),
                "s3_public_endpoint": s3.endpoint,
            }
            running = both_versions(previous, tmp_path, s3, redis_url, of_one=of_one, **settings)
            # They ask storage at their start, through the relay: so the loop must go on meanwhile.
            services = await asyncio.to_thread(running.__enter__)
            try:
                async with sides(services, request.param, put, tenant) as pair:
                    yield Fragile(*pair, storage, redis_url)
            finally:
                await asyncio.to_thread(running.__exit__, None, None, None)
            assert_no_traceback(services)


@dataclass(frozen=True, slots=True)
class Fragile:
    """Two versions that may be harmed. `storage` is the relay from the first to storage."""

    first: Side
    other: Side
    storage: Relay
    redis_url: str


async def test_the_other_takes_over_when_one_is_killed(fragile: Fragile, bucket: Bucket) -> None:
    first, other, storage = fragile.first, fragile.other, fragile.storage
    opened = await first.initialize(**TWO_PARTS)
    half = await first.initialize(**TWO_PARTS)
    await first.report(half, *await first.send(half, 1))
    completing, calls = [], []
    for fault in (UNHEARD, UNANSWERED):
        upload = await first.initialize(**TWO_PARTS)
        await first.send(upload)
        storage.on(COMPLETE, fault)
        completing.append(upload)
        calls.append(asyncio.ensure_future(attempt(first, upload)))
        await until(lambda: storage.struck == len(calls))

    await asyncio.to_thread(first.service.kill)
    storage.spare()
    storage.drop()
    for upload in (opened, half):
        missing = await other.send(upload)
        assert [part.part_number for part in missing] == ([1, 2] if upload is opened else [2])
    finished = {u.id: await other.complete(u) for u in (opened, half, *completing)}
    await asyncio.gather(*calls)

    await asyncio.to_thread(first.service.start)
    for upload in (opened, half, *completing):
        done = finished[upload.id]
        assert done.state == COMPLETED
        assert (await first.status(upload)).upload == done
        assert await first.complete(upload) == done
        assert bucket.sha256(done.object.key) == sha256(upload)
        assert bucket.unfinished(done.object.key) == 0


async def attempt(side: Side, upload: upload_pb2.Upload) -> None:
    """Complete it at a service that is about to be killed."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        await side.stub.Complete(pb.CompleteRequest(upload_id=upload.id), metadata=side.caller)


async def test_each_rebuilds_the_ids_of_the_other_when_redis_is_emptied(
    fragile: Fragile, bucket: Bucket
) -> None:
    first, other = fragile.first, fragile.other
    half = await first.initialize(**TWO_PARTS)
    await first.send(half, 1)
    small = await first.initialize(**SMALL)
    done = await completed(first, **TWO_PARTS)
    aborted = await first.abort(await first.initialize(**TWO_PARTS))

    def forget() -> None:
        with Redis.from_url(fragile.redis_url) as redis:
            assert redis.flushall()

    retold = []
    for one, two in ((other, first), (first, other)):
        forget()
        for upload in (half, small):
            found = (await one.status(upload)).upload
            assert (found.state, found.object) == (ACTIVE, upload.object)
        over = ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
        assert await refusal(one.complete(aborted)) == over
        assert (await one.status(aborted)).upload.state == ABORTED
        assert await one.complete(done) == (await one.status(done)).upload
        for upload in (half, small, done, aborted):
            assert (await two.status(upload)).upload == (await one.status(upload)).upload
        assert (await two.status(done)).upload.object == done.object
        assert (await one.listed()).uploads == (await two.listed()).uploads
        retold.append(event_ids(fragile.redis_url))
    # What each repeats has the same id, so that a receiver recognizes it.
    assert retold[0] == retold[1]
    assert len(retold[0]) >= 4

    assert [part.part_number for part in await other.send(half)] == [2]
    await other.send(small)
    for upload in (half, small):
        finished = await other.complete(upload)
        forget()
        assert await first.complete(upload) == finished
        assert bucket.sha256(finished.object.key) == sha256(upload)


def event_ids(redis_url: str) -> dict[tuple[bytes, bytes], bytes]:
    """Return the ID of each event in Redis, by its upload and its type."""
    with Redis.from_url(redis_url) as redis:
        streams = [redis.xrange(key) for key in redis.scan_iter("partway:{*}:events")]
    events = [fields for stream in streams for _, fields in stream]
    return {(event[b"upload"], event[b"type"]): event[b"id"] for event in events}
