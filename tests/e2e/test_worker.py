"""Tests that the example worker processes every upload; the commands show and replay events."""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from click.testing import CliRunner
from partway.v1 import upload_service_pb2 as pb
from partway_server.cli.main import main
from partway_server.devstack.servers import S3
from partway_server.sessions.redis_keys import SHARDS, events_key
from redis import Redis

from tests.support.processes import until
from tests.support.storage import put_by

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

pytestmark = [pytest.mark.redis, pytest.mark.s3]

WORKER = Path(__file__).parents[2] / "examples" / "worker.py"
CLAIM_AFTER = 1.0


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """Return a Redis without events from other tests."""
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        redis.flushall()
        yield redis


class Workers:
    """Workers of one group, which append to one file."""

    def __init__(self, s3: S3, redis_url: str, folder: Path) -> None:
        self.out, self._folder = folder / "results.jsonl", folder
        self._ready = json.dumps({"ready": True, "s3": asdict(s3), "redis": redis_url})
        self._started: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        options = ("--out", self.out, "--claim-after", str(CLAIM_AFTER))
        with (self._folder / f"worker-{len(self._started)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, str(WORKER), *map(str, options)],
                stdin=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._started.append(process)
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(self._ready + "\n")
        return process

    def results(self) -> list[dict[str, Any]]:
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return [json.loads(line) for line in lines]

    def stop(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def workers(s3: S3, redis: Redis, redis_url: str, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(s3, redis_url, tmp_path)
    yield workers
    workers.stop()


async def upload(stub: "UploadServiceAsyncStub", number: int) -> str:
    """Upload an object of that many lines and a few more; return its SHA-256."""
    data = f"line of {number}\n".encode() * (1000 + number)
    opened = await stub.Initialize(
        pb.InitializeRequest(file_name="lines.txt", size_bytes=len(data), presign_parts=1)
    )
    [part] = opened.parts
    async with aiohttp.ClientSession() as http:
        assert (await put_by(http)(part.url, data, part.headers)).status == 200
    await stub.Complete(pb.CompleteRequest(upload_id=opened.upload.id))
    return hashlib.sha256(data).hexdigest()


def held(redis: Redis) -> int:
    """Return how many events were delivered to a worker and not acknowledged."""
    streams = (events_key(shard) for shard in range(SHARDS))
    present = [stream for stream in streams if redis.exists(stream)]
    return sum(redis.xpending(stream, "measure")["pending"] for stream in present)


async def test_a_worker_that_is_killed_leaves_nothing_undone(
    stub: "UploadServiceAsyncStub", workers: Workers, redis: Redis
) -> None:
    sums = {await upload(stub, number) for number in range(3)}
    # At worst, an event is left that was delivered to a dead worker.
    for stream in (events_key(shard) for shard in range(SHARDS)):
        redis.xgroup_create(stream, "measure", id="0", mkstream=True)
        redis.xreadgroup("measure", "dead", {stream: ">"}, count=1)
    assert held(redis) > 0
    first = workers.start()
    await until(lambda: bool(workers.results()))
    first.kill()
    first.wait()
    sums |= {await upload(stub, number) for number in range(3, 5)}
    workers.start()
    await until(lambda: {r["sha256"] for r in workers.results()} == sums and not held(redis))
    # The one that was killed may have left a result twice, but under the same id.
    assert len({result["id"] for result in workers.results()}) == 5


async def test_what_is_told_again_is_known_by_its_id(
    stub: "UploadServiceAsyncStub", workers: Workers, redis: Redis, redis_url: str
) -> None:
    events = partial(asyncio.to_thread, run_events, redis_url)
    await upload(stub, 1)
    opened = await stub.Initialize(pb.InitializeRequest(file_name="half", size_bytes=10**7))
    await stub.Abort(pb.AbortRequest(upload_id=opened.upload.id))
    workers.start()
    await until(lambda: len(workers.results()) == 1 and not held(redis))
    [result] = workers.results()

    shown = (await events("tail")).splitlines()
    assert [line.split()[2] for line in shown] == [
        "upload.initialized",
        "upload.completed",
        "upload.initialized",
        "upload.aborted",
    ]
    assert result["uri"] in shown[1] and "REQUESTED" in shown[3]
    [event] = (await events("tail", "--json", "--type", "upload.completed")).splitlines()
    printed = json.loads(event)
    assert printed["id"] == result["id"] and printed["data"]["etag"] == result["etag"]
    assert opened.upload.id not in event

    of_one = ("--upload", printed["subject"])
    dry = (await events("replay", *of_one, "--dry-run")).splitlines()
    assert dry == [*shown[:2], "2 would be replayed"]
    assert (await events("tail")).splitlines() == shown
    assert await events("replay", *of_one) == "2 replayed\n"
    assert await events("replay", "--since", "1h") == "4 replayed\n"
    again = (await events("tail", "--json", "--since", "1h", *of_one)).splitlines()
    assert again.count(event) == 3 and len(again) == 6
    await until(lambda: not held(redis) and delivered(redis) == 10)
    assert workers.results() == [result]


async def test_tail_follows(stub: "UploadServiceAsyncStub", redis: Redis, redis_url: str) -> None:
    following = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "partway_server", "events", "tail"),
        *("--follow", "--json", "--redis-url", redis_url),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await upload(stub, 1)
        assert following.stdout is not None
        lines = [await following.stdout.readline() for _ in range(2)]
        printed = [json.loads(line)["type"] for line in lines]
        assert printed == ["upload.initialized", "upload.completed"]
    finally:
        following.kill()
        await following.communicate()


def run_events(redis_url: str, *arguments: str) -> str:
    """Return the output of `partway-server events`."""
    ran = CliRunner().invoke(main, ["events", *arguments, "--redis-url", redis_url])
    assert ran.exit_code == 0, ran.output
    return ran.output


def delivered(redis: Redis) -> int:
    """Return how many entries were delivered to the group."""
    streams = (events_key(shard) for shard in range(SHARDS))
    return sum(group["entries-read"] or 0 for s in streams for group in redis.xinfo_groups(s))
