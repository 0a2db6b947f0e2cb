"""Uploads whose Complete storage carries out, and of which the service never gets the reply.

    python -m tests.chaos.replies --uploads 1000

A service of its own over real Redis and real storage, with a relay before storage: a third of the
replies to CompleteMultipartUpload is lost by a close, a third by a reset, and a third is cut after
its first bytes. Each caller repeats Complete until it is answered.

An upload is good if the answer is COMPLETED, its ETag and size are those that storage has of the
object, past the relay, and a repeated Complete gets the same answer. At the end there must be one
object for each upload, and nothing unfinished.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import grpc
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3, start_seaweedfs, start_valkey

from tests.support.bucket import Bucket, look_into
from tests.support.processes import Service
from tests.support.relay import End, Fault, Relay
from tests.support.storage import put_by
from tests.support.wired import COMPLETE, keys_in, relay_to

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

AT_ONCE = 16
SIZE_BYTES = 100
POLICIES = "[policy.default]\nsingle_put_max_bytes = 0\n"
"""The smallest file is a multipart upload, of one part."""

WAYS = (Fault(end=End.CLOSE), Fault(end=End.RESET), Fault(reply_bytes=20))

MOST_TRIES = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """How the uploads ended; times are of the last Complete of each, in milliseconds."""

    uploads: int
    replies_lost: int
    good: int
    first_answers: int
    objects: int
    unfinished: int
    complete_ms_median: float
    complete_ms_p99: float
    seconds: float

    @property
    def all_good(self) -> bool:
        return {self.good, self.replies_lost, self.objects} == {
            self.uploads
        } and not self.unfinished


@dataclass(frozen=True, slots=True)
class Done:
    """One upload: whether it is good, how often Complete was called, how long the last took."""

    good: bool
    calls: int
    milliseconds: float


async def lose_replies(
    uploads: int, *, folder: Path, s3: S3, redis_url: str, bucket: Bucket
) -> Figures:
    """Run that many uploads into `bucket`, which is empty, and lose a Complete reply of each."""
    begun = time.monotonic()
    async with (
        a_service(folder, s3, redis_url, bucket) as (stub, relay),
        aiohttp.ClientSession() as http,
    ):
        for nth, way in enumerate(WAYS):
            relay.on(COMPLETE, way, times=len(range(nth, uploads, len(WAYS))))
        slots = asyncio.Semaphore(AT_ONCE)

        async def one() -> Done:
            async with slots:
                return await complete(stub, http, bucket)

        done = await asyncio.gather(*(one() for _ in range(uploads)))
    times = sorted(each.milliseconds for each in done)
    return Figures(
        uploads=uploads,
        replies_lost=relay.struck,
        good=sum(each.good for each in done),
        first_answers=sum(each.calls == 1 for each in done),
        objects=len(keys_in(bucket)),
        unfinished=bucket.unfinished(),
        complete_ms_median=round(statistics.median(times), 1),
        complete_ms_p99=round(times[len(times) * 99 // 100], 1),
        seconds=round(time.monotonic() - begun, 1),
    )


async def complete(
    stub: "UploadServiceAsyncStub", http: aiohttp.ClientSession, bucket: Bucket
) -> Done:
    """Upload once, and repeat Complete until it is answered."""
    opened = await stub.Initialize(
        pb.InitializeRequest(file_name="a", size_bytes=SIZE_BYTES, presign_parts=1)
    )
    [part] = opened.parts
    assert (await put_by(http)(part.url, bytes(SIZE_BYTES), part.headers)).status == 200
    request = pb.CompleteRequest(upload_id=opened.upload.id)
    for calls in range(1, MOST_TRIES + 1):
        begun = time.monotonic()
        try:
            answer = await stub.Complete(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                return Done(False, calls, 0)
            await asyncio.sleep(1)  # As the service asks: it is a process, and its time is real.
            continue
        milliseconds = (time.monotonic() - begun) * 1000
        good = await asyncio.to_thread(agrees, bucket, answer.upload)
        return Done(good and await stub.Complete(request) == answer, calls, milliseconds)
    return Done(False, MOST_TRIES, 0)


def agrees(bucket: Bucket, upload: upload_pb2.Upload) -> bool:
    """Return whether the upload is complete and agrees with HEAD of its object."""
    head = bucket.client.head_object(Bucket=bucket.name, Key=upload.object.key)
    return (
        upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
        and head["ETag"].strip('"') == upload.object.etag
        and head["ContentLength"] == upload.object.size_bytes == SIZE_BYTES
    )


@asynccontextmanager
async def a_service(
    folder: Path, s3: S3, redis_url: str, bucket: Bucket
) -> AsyncIterator[tuple["UploadServiceAsyncStub", Relay]]:
    """Start a service process; yield its stub and the relay before its storage."""
    policies = folder / "policies.toml"
    policies.write_text(POLICIES)
    async with relay_to(s3.endpoint) as relay:
        with Service(
            folder,
            s3,
            redis_url,
            bucket=bucket.name,
            s3_endpoint=f"http://{relay.address}",
            s3_public_endpoint=s3.endpoint,
            policy_file=policies,
            log_level="info",
        ) as service:
            await asyncio.to_thread(service.start)
            async with grpc.aio.insecure_channel(service.address) as channel:
                yield UploadServiceStub(channel), relay


def table(figures: Figures) -> str:
    percent = 100 * figures.good / figures.uploads
    rows = (
        ("uploads", figures.uploads),
        ("Complete replies lost", figures.replies_lost),
        ("completed, with the ETag of HEAD", f"{figures.good} ({percent:g} %)"),
        ("answered by the first call", figures.first_answers),
        ("objects in the bucket", figures.objects),
        ("unfinished uploads left", figures.unfinished),
        ("Complete, median", f"{figures.complete_ms_median:g} ms"),
        ("Complete, p99", f"{figures.complete_ms_p99:g} ms"),
        ("the whole", f"{figures.seconds:g} s"),
    )
    return "\n".join(f"{name:34}{value}" for name, value in rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.replies")
    parser.add_argument("--uploads", type=int, default=1000)
    uploads = parser.parse_args().uploads
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        valkey, redis_url = start_valkey(folder, keep=False)
        with valkey:
            seaweedfs, s3 = start_seaweedfs(folder, keep=False)
            with seaweedfs, look_into(s3) as bucket:
                figures = asyncio.run(
                    lose_replies(uploads, folder=folder, s3=s3, redis_url=redis_url, bucket=bucket)
                )
    print(table(figures))
    print(json.dumps(asdict(figures)))
    return 0 if figures.all_good else 1


if __name__ == "__main__":
    sys.exit(main())
