"""Tests that a composition outlives the process that was copying for it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3

from tests.support.bucket import Bucket, look_into
from tests.support.processes import Partway, Service, until
from tests.support.relay import End, Fault, Relay
from tests.support.wired import relay_to

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(90)]

MIB = 1024 * 1024
COPY = rb"x-amz-copy-source:"
NEVER_ANSWERED = Fault(end=End.SILENCE)

numbers = count(1)


@dataclass(frozen=True, slots=True)
class Rig:
    """A service with a relay to storage that can do harm, the command, and a view of storage."""

    service: Service
    storage: Relay
    bucket: Bucket
    partway: Partway


@pytest.fixture
async def rig(tmp_path: Path, s3: S3, redis_url: str) -> AsyncIterator[Rig]:
    with look_into(s3, f"composing-{next(numbers)}") as bucket:
        async with relay_to(s3.endpoint) as storage:
            relayed = replace(s3, endpoint=f"http://{storage.address}")
            settings = {
                "bucket": bucket.name,
                "s3_public_endpoint": s3.endpoint,
                "lease_seconds": 3,
                "janitor_seconds": 1,
            }
            with Service(tmp_path, relayed, redis_url, **settings) as service:
                await asyncio.to_thread(service.start)
                async with Partway(service.address, tmp_path / "state") as partway:
                    yield Rig(service, storage, bucket, partway)


async def test_a_janitor_finishes_what_a_killed_process_was_copying(
    rig: Rig, tmp_path: Path
) -> None:
    bodies = [bytes([n]) * (5 * MIB + n) for n in range(1, 9)]
    paths = [tmp_path / f"file-{n}" for n in range(len(bodies))]
    for path, body in zip(paths, bodies, strict=True):
        path.write_bytes(body)
    sent = await rig.partway.run("upload", "--json", *paths)
    ids = [reported["upload_id"] for reported in sent.printed]
    # Four are copied at a time: some are done, and the others hear nothing.
    rig.storage.on(COPY, NEVER_ANSWERED, skip=2, times=100)
    command = ("compose", "--json", "--name", "whole.bin", "--delete-sources", *ids)
    waiting = await rig.partway.start(*command)
    await until(lambda: rig.storage.struck >= 3)
    rig.service.kill()
    waiting.kill()
    await waiting.communicate()
    rig.storage.spare()
    held = rig.bucket.parts()
    assert 2 <= len(held) < len(bodies)
    await asyncio.to_thread(rig.service.start)

    made = await completed(rig.service)

    assert made.source_count == len(bodies)
    assert rig.bucket.body(made.object.key) == b"".join(bodies)
    assert rig.bucket.unfinished() == 0
    left = rig.bucket.client.list_objects_v2(Bucket=rig.bucket.name)["Contents"]
    assert [found["Key"] for found in left] == [made.object.key]


async def completed(service: Service) -> upload_pb2.Upload:
    """Return the composed upload once it is complete."""
    async with grpc.aio.insecure_channel(service.address) as channel, asyncio.timeout(40):
        while True:
            listed = await UploadServiceStub(channel).ListUploads(pb.ListUploadsRequest())
            [made] = [upload for upload in listed.uploads if upload.source_count]
            if made.state == upload_pb2.UPLOAD_STATE_COMPLETED:
                return made
            # A janitor of another process does it, in its own time.
            await asyncio.sleep(0.1)
