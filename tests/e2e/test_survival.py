"""Tests that uploads survive dead services, clients, Redis and storage, and odd callers."""

import asyncio
import contextlib
import os
import resource
import signal
import string
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
import redis
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3, start_seaweedfs
from partway_server.rpc.health_client import serving
from partway_server.runtime.subprocesses import Child, free_port

from tests.support.bucket import Bucket, look_into
from tests.support.files import File
from tests.support.processes import Partway, Ran, Service, ended, start_valkey_at, until
from tests.support.relay_valve import Valve
from tests.support.storage import put_by
from tests.support.world import Failure, content, failure

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(90)]

MIB = 1024 * 1024
PART = 5 * MIB
PARTS = 20
FIRST_URLS = 16
"""How many URLs `partway` has asked for by its eighth part; for more it needs the service."""

URL_SAFE = string.ascii_letters + string.digits + "-_"

numbers = count(1)


@dataclass(frozen=True, slots=True)
class Rig:
    """A service and a bucket for one test, and a valve in front of storage."""

    service: Service
    bucket: Bucket
    valve: Valve
    partway: Partway

    async def upload_half(self, film: File) -> asyncio.subprocess.Process:
        """Start a client that has sent some parts and is stuck halfway through two others."""
        await self.valve.allow(5.5 * PART)
        client = await self.upload(film)
        await until(lambda: self.valve.blocked == 2)
        assert 3 <= len(self.bucket.parts()) < 6
        return client

    async def upload(self, film: File) -> asyncio.subprocess.Process:
        return await self.partway.start(
            *("upload", film.path, "--part-size", "5MiB", "--concurrency", "2", "--json")
        )

    async def until_more_urls_are_needed(self) -> None:
        await self.valve.open()
        await until(lambda: len(self.bucket.parts()) == FIRST_URLS)

    def assert_whole(self, ran: Ran, film: File, resumed: int = 0, cut: int = 0) -> None:
        """Assert that the object is the file, and that only the `cut` parts were sent twice."""
        result = ran.only
        assert self.bucket.sha256(result["key"]) == film.sha256
        assert (result["parts"], result["parts_resumed"]) == (PARTS, resumed)
        assert (result["parts_sent"], result["parts_retried"]) == (PARTS - resumed, 0)
        assert len(self.valve.puts) == PARTS
        assert self.valve.puts.total() == PARTS + cut
        assert self.bucket.unfinished() == 0
        assert "X-Amz-Signature" not in self.service.logged()


@contextlib.asynccontextmanager
async def a_rig(folder: Path, s3: S3, redis_url: str, **settings: Any) -> AsyncIterator[Rig]:
    with look_into(s3, f"survival-{next(numbers)}") as bucket:
        async with Valve(s3.endpoint) as valve:
            settings = {
                "bucket": bucket.name,
                "s3_public_endpoint": valve.url,
                "lease_seconds": 3,
                **settings,
            }
            with Service(folder, s3, redis_url, **settings) as service:
                await asyncio.to_thread(service.start)
                async with Partway(service.address, folder / "state") as partway:
                    yield Rig(service, bucket, valve, partway)


@pytest.fixture
async def rig(tmp_path: Path, s3: S3, redis_url: str) -> AsyncIterator[Rig]:
    async with a_rig(tmp_path, s3, redis_url) as rig:
        yield rig


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Iterator[File]:
    """Return a file of twenty parts, the last of three bytes."""
    file = File.write(tmp_path_factory.mktemp("film") / "film.mp4", (PARTS - 1) * PART + 3)
    yield file
    file.path.unlink()


@pytest.mark.parametrize("lost", [False, True], ids=["with its Redis", "with an empty Redis"])
async def test_a_client_carries_on_when_the_service_was_killed(
    rig: Rig, film: File, redis_url: str, lost: bool
) -> None:
    client = await rig.upload_half(film)
    rig.service.kill()
    if lost:
        with contextlib.closing(redis.Redis.from_url(redis_url)) as sessions:
            assert sessions.flushall()
    await rig.until_more_urls_are_needed()
    assert client.returncode is None
    await asyncio.to_thread(rig.service.start)
    ran = await ended(client)
    rig.assert_whole(ran, film)
    # More than Initialize, one PresignParts and Complete: some failed.
    assert ran.only["rpcs"] > 3


async def test_the_same_command_goes_on_where_a_killed_client_was(rig: Rig, film: File) -> None:
    client = await rig.upload_half(film)
    client.kill()
    await client.communicate()
    await rig.valve.drop()
    await rig.valve.open()
    held = rig.bucket.parts()
    ran = await ended(await rig.upload(film))
    rig.assert_whole(ran, film, resumed=len(held), cut=2)
    assert {rig.valve.puts[number] for number in held} == {1}


@contextlib.contextmanager
def frozen(child: Child) -> Iterator[None]:
    os.kill(child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(child.pid, signal.SIGCONT)


@pytest.mark.parametrize("killed", [False, True], ids=["frozen", "killed"])
async def test_an_upload_outlives_a_redis_that_is_gone_for_a_while(
    tmp_path: Path, s3: S3, film: File, killed: bool
) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        valkey = stack.enter_context(start_valkey_at(port, tmp_path))
        async with a_rig(tmp_path, s3, f"redis://127.0.0.1:{port}/0") as rig:
            client = await rig.upload_half(film)
            upload_id = await any_id(rig.service)
            with contextlib.ExitStack() as outage:
                if killed:
                    os.kill(valkey.pid, signal.SIGKILL)
                    outage.callback(lambda: stack.enter_context(start_valkey_at(port, tmp_path)))
                else:
                    outage.enter_context(frozen(valkey))
                await rig.until_more_urls_are_needed()
                request = pb.StatusRequest(upload_id=upload_id)
                patient = await failure_of_status(rig.service, request, seconds=5)
                assert patient.reason == "SESSIONS_UNAVAILABLE"
                await failure_of_status(rig.service, request, seconds=2)
                assert client.returncode is None
            rig.assert_whole(await ended(client), film)


async def test_an_upload_outlives_a_storage_that_is_gone_for_a_while(
    tmp_path: Path, redis_url: str, film: File
) -> None:
    seaweedfs, s3 = start_seaweedfs(tmp_path, keep=False)
    with seaweedfs:
        async with a_rig(tmp_path, s3, redis_url) as rig:
            client = await rig.upload_half(film)
            upload_id = await any_id(rig.service)
            with frozen(seaweedfs):
                await rig.valve.open()
                request = pb.StatusRequest(upload_id=upload_id, view=pb.STATUS_VIEW_PROGRESS)
                await failure_of_status(rig.service, request, seconds=3)
                # What needs no storage is answered all the while.
                assert await any_id(rig.service) == upload_id
                assert client.returncode is None
            rig.assert_whole(await ended(client), film)


async def any_id(service: Service) -> str:
    """Return the ID of the newest upload."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        listed = await UploadServiceStub(channel).ListUploads(pb.ListUploadsRequest(page_size=1))
    return listed.uploads[0].id


async def failure_of_status(
    service: Service, request: pb.StatusRequest, *, seconds: float
) -> Failure:
    """Return the failure of Status with that deadline; check that it is retryable and in time."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        await channel.channel_ready()
        begun = time.monotonic()
        found = await failure(UploadServiceStub(channel).Status(request, timeout=seconds))
    assert time.monotonic() - begun < seconds
    assert found.code == "UNAVAILABLE"
    assert found.details["RetryInfo"].retry_delay.ToMilliseconds() > 0
    return found


async def test_two_completes_at_the_same_moment_make_one_object(
    service: Service, tmp_path: Path, s3: S3, redis_url: str
) -> None:
    with Service(tmp_path, s3, redis_url) as second:
        await asyncio.to_thread(second.start)
        async with (
            grpc.aio.insecure_channel(service.address) as one,
            grpc.aio.insecure_channel(second.address) as other,
            aiohttp.ClientSession() as http,
        ):
            stubs = (UploadServiceStub(one), UploadServiceStub(other))

            async def race() -> None:
                upload = await sent(stubs[0], http)
                request = pb.CompleteRequest(upload_id=upload.id)
                first, last = await asyncio.gather(*(stub.Complete(request) for stub in stubs))
                assert first.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
                assert first == last

            for _ in range(4):
                await asyncio.gather(*(race() for _ in range(5)))


async def sent(stub: "UploadServiceAsyncStub", http: aiohttp.ClientSession) -> upload_pb2.Upload:
    """Return an upload of two parts that are in storage."""
    opened = await stub.Initialize(
        pb.InitializeRequest(
            file_name="a", size_bytes=PART + 7, part_size_bytes=PART, presign_parts=2
        )
    )
    for part in opened.parts:
        body = content(part.part_number, part.size_bytes)
        assert (await put_by(http)(part.url, body, part.headers)).status == 200
    return opened.upload


async def test_an_id_with_any_character_changed_opens_nothing(
    stub: "UploadServiceAsyncStub",
) -> None:
    opened = await stub.Initialize(pb.InitializeRequest(file_name="a", size_bytes=PART))
    good = opened.upload.id
    others = [
        good[:at] + ("B" if old == "A" else "A") + good[at + 1 :] for at, old in enumerate(good)
    ]
    # The last character may have bits to spare, which a decoder might overlook.
    others += [good[:-1] + last for last in URL_SAFE if last != good[-1]]
    for other in [*others, good[:-1], good + "A", good + "="]:
        found = await failure(stub.Status(pb.StatusRequest(upload_id=other)))
        assert (found.code, found.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")


async def test_a_name_of_three_hundred_emoji_is_a_name(
    partway: Partway, bucket: Bucket, tmp_path: Path
) -> None:
    file = File.write(tmp_path / "film.mp4", 6 * MIB)
    ran = await partway.run("upload", file.path, "--name", "\N{CLAPPER BOARD}" * 300, "--json")
    assert bucket.sha256(ran.only["key"]) == file.sha256


def no_space() -> None:
    """Make every write to a file fail from now on, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize("full", [False, True], ids=["no directory", "no space"])
async def test_without_a_place_to_remember_it_an_upload_has_one_warning_and_finishes(
    service: Service, bucket: Bucket, tmp_path: Path, full: bool
) -> None:
    file = File.write(tmp_path / "film.mp4", 6 * MIB)
    state = tmp_path / "state" if full else file.path / "state"
    async with Partway(service.address, state) as partway:
        before = no_space if full else None
        ran = await partway.run("upload", file.path, "--json", before=before)
    assert bucket.sha256(ran.only["key"]) == file.sha256
    assert ran.messages.count("cannot be remembered") == 1
    assert ran.messages.count("PARTWAY_STATE_DIR") == 1


async def test_a_complete_that_has_begun_ends_before_the_service_does(
    tmp_path: Path, s3: S3, redis_url: str, stub: "UploadServiceAsyncStub"
) -> None:
    async with (
        Valve(s3.endpoint) as control,
        a_rig(tmp_path, s3, redis_url, s3_endpoint=control.url, drain_seconds=0.5) as rig,
        grpc.aio.insecure_channel(rig.service.address) as channel,
        aiohttp.ClientSession() as http,
    ):
        ending = UploadServiceStub(channel)
        waited, left = [await sent(ending, http) for _ in range(2)]
        control.close_at(b"POST /")
        waiting = asyncio.ensure_future(ending.Complete(pb.CompleteRequest(upload_id=waited.id)))
        await control.held.wait()
        leaving = ending.Complete(pb.CompleteRequest(upload_id=left.id))
        await until(lambda: control.blocked == 2)
        leaving.cancel()

        process = rig.service.server.process
        process.send_signal(signal.SIGTERM)
        await until(lambda: not serving(rig.service.address, 1.0))
        assert process.poll() is None
        await control.open()
        assert (await waiting).upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
        assert await asyncio.to_thread(process.wait, 20) == 0
        assert "left unfinished" not in rig.service.logged()

        for upload in (waited, left):
            # Another service over the same Redis.
            found = (await stub.Status(pb.StatusRequest(upload_id=upload.id))).upload
            assert found.state == upload_pb2.UPLOAD_STATE_COMPLETED
            assert rig.bucket.client.head_object(Bucket=rig.bucket.name, Key=upload.object.key)
