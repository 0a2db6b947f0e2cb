"""A service over real stores, with a relay in each of its connections.

Faults are on the wire only; `bucket` bypasses every relay.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import grpc
import pytest
from partway.v1 import upload_pb2
from partway_server.devstack.servers import S3
from partway_server.domain.policy import Policy
from partway_server.redis_client.topology import connect
from partway_server.sessions.redis_store import RedisSessionStore
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.s3 import S3Storage
from redis.asyncio import Redis

from tests.support.bucket import Bucket
from tests.support.clock import FakeClock
from tests.support.relay import End, Fault, Relay
from tests.support.storage import FaultyObjects, put_by
from tests.support.upload_situations import LEASE
from tests.support.world import World, a_world, failure_of

T = TypeVar("T")

CREATE = rb"\APOST /\S*\?uploads "
LIST_MULTIPARTS = rb"\AGET /\S*\?uploads&"
LIST_PARTS = rb"\AGET /\S*[?&]uploadId="
COMPLETE = rb"\APOST /\S*\?uploadId="
HEAD = rb"\AHEAD /"
ABORT = rb"\ADELETE /\S*\?uploadId="
PUT = rb"\APUT /"
EVERY = rb"\A[A-Z]+ /"
"""The requests that storage gets, as the AWS SDK, and callers, write them."""

PATIENT = 10.0
HASTY = 1.0
"""How long the service waits for storage that is silent, in seconds, and Redis half of it."""

MULTIPART = "multipart"
"""A policy under which the smallest file is a multipart upload."""

TENDED = 8
"""Janitor runs, two days apart, after which every tombstone and session record has expired."""


@dataclass(frozen=True, slots=True)
class Wired:
    """One service. `storage`, `redis`: its own connections; `public`, `front`: its callers'."""

    world: World
    storage: Relay
    redis: Relay
    public: Relay
    front: Relay
    bucket: Bucket
    patience: float

    async def answered(
        self, attempt: Callable[[], Awaitable[T]], *, failures: int = 1, wait: float = 0
    ) -> T:
        """Return the answer of a call; retry it up to that many times, if each failure allows it.

        The retry comes when the service asks for it, or after `wait` seconds if that is later.
        """
        for _ in range(failures):
            try:
                return await attempt()
            except grpc.aio.AioRpcError as error:
                self.world.clock.advance(max(retry_delay_of(error), wait))
        return await attempt()

    async def completed(self, upload: upload_pb2.Upload, failures: int = 1) -> upload_pb2.Upload:
        """Return Complete's answer; retry as asked, and a lease later while undecided."""
        attempt = partial(self.world.complete, upload)
        answer = await self.answered(attempt, failures=failures)
        if answer.state == upload_pb2.UPLOAD_STATE_COMPLETING:
            self.world.clock.advance(LEASE.total_seconds() + 1)
            answer = await self.answered(attempt, failures=failures)
        return answer

    async def multipart(self, **fields: Any) -> upload_pb2.Upload:
        """Open an Upload of one part of 100 bytes."""
        return await self.world.initialize(100, policy=MULTIPART, **fields)

    async def sent(self, **fields: Any) -> upload_pb2.Upload:
        """Open such an Upload and send its part."""
        upload = await self.multipart(**fields)
        await self.world.send(upload)
        return upload

    def assert_stored(self, upload: upload_pb2.Upload) -> None:
        """Assert that the answer is COMPLETED, and that storage has the object."""
        assert upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
        head = self.bucket.client.head_object(Bucket=self.bucket.name, Key=upload.object.key)
        reported = upload.object
        assert (head["ETag"].strip('"'), head["ContentLength"]) == (
            reported.etag,
            reported.size_bytes,
        )
        assert head["ContentLength"] == upload.size_bytes

    async def tended(self) -> None:
        """Run the janitor until nothing is due, with no faults on the wire."""
        for relay in (self.storage, self.redis):
            relay.spare()
        for _ in range(TENDED):
            self.world.clock.advance(2 * 24 * 3600)
            await self.world.service.janitor.sweep()

    async def assert_left(self, *uploads: upload_pb2.Upload) -> None:
        """Run the janitor; assert that only the objects of these Uploads are left in storage."""
        await self.tended()
        assert keys_in(self.bucket) == sorted(upload.object.key for upload in uploads)
        assert self.bucket.unfinished() == 0


def in_ways(ways: Mapping[str, Fault]) -> pytest.MarkDecorator:
    """Run the test in each `way`, over a `wired` world that gives up on silence soon.

    Elsewhere its timeouts are long, because a busy machine is slow, too.
    """
    cases = [(HASTY if way.end is End.SILENCE else PATIENT, way) for way in ways.values()]
    return pytest.mark.parametrize(("wired", "way"), cases, ids=ways, indirect=["wired"])


def retry_delay_of(error: grpc.aio.AioRpcError) -> float:
    """Return the seconds after which the caller is to retry; fail if it is not asked to."""
    found = failure_of(error)
    assert (found.code, found.reason) in (
        ("UNAVAILABLE", "STORAGE_UNAVAILABLE"),
        ("UNAVAILABLE", "SESSIONS_UNAVAILABLE"),
        ("ABORTED", "UPLOAD_BUSY"),
    ), found
    seconds: float = found.details["RetryInfo"].retry_delay.ToTimedelta().total_seconds()
    assert seconds > 0
    return seconds


@contextlib.asynccontextmanager
async def a_wired_world(
    s3: S3, redis_url: str, bucket: Bucket, patience: float
) -> AsyncIterator[Wired]:
    """Start a service over empty stores."""
    empty(bucket)
    clock = FakeClock(datetime.now(UTC).replace(microsecond=0))
    async with (
        relay_to(s3.endpoint) as storage_relay,
        relay_to(s3.endpoint) as public,
        relay_to(redis_url) as between,
        aiohttp.ClientSession() as http,
    ):
        async with Redis.from_url(redis_url) as redis:
            await redis.flushdb()
        servers = connect(f"redis://{between.address}/0?socket_timeout={patience / 2}")
        storage = await S3Storage.open(
            name="default",
            capabilities=KNOWN["seaweedfs"],
            region=s3.region,
            endpoint_url=f"http://{storage_relay.address}",
            public_endpoint_url=f"http://{public.address}",
            access_key=s3.access_key,
            secret_key=s3.secret_key,
            call_seconds=patience,
            complete_seconds=patience,
        )
        async with (
            contextlib.aclosing(storage),
            contextlib.aclosing(
                RedisSessionStore(servers, clock=clock, patience=PATIENT)
            ) as sessions,
            a_world(
                clock=clock,
                sessions=sessions,
                storage=FaultyObjects(storage),
                put=put_by(http),
                bucket=bucket.name,
                policies=[Policy(MULTIPART, bucket.name, single_put_max_bytes=0)],
            ) as world,
            Relay("127.0.0.1", world.port) as front,
        ):
            yield Wired(world, storage_relay, between, public, front, bucket, patience)


def relay_to(url: str) -> Relay:
    where = urlsplit(url)
    assert where.hostname is not None and where.port is not None
    return Relay(where.hostname, where.port)


def keys_in(bucket: Bucket) -> list[str]:
    """Return the keys of all objects, in order."""
    pages = bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def empty(bucket: Bucket) -> None:
    """Remove every object and every unfinished upload."""
    client, name = bucket.client, bucket.name
    for key in keys_in(bucket):
        client.delete_object(Bucket=name, Key=key)
    for left in client.list_multipart_uploads(Bucket=name).get("Uploads", []):
        client.abort_multipart_upload(Bucket=name, Key=left["Key"], UploadId=left["UploadId"])
