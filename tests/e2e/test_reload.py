"""Tests SIGHUP: a running service reloads the policy file."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3

from tests.support.bucket import Bucket, look_into
from tests.support.processes import Service, until
from tests.support.storage import put_by
from tests.support.world import PART, content, failure

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

pytestmark = [pytest.mark.redis, pytest.mark.s3]

FIRST = """
[policy.default]
single_put_max_bytes = 0
"""
SECOND = """
[backend.archive]
kind = "seaweedfs"
endpoint = "{endpoint}"
access_key_env = "ARCHIVE_ACCESS_KEY"
secret_key_env = "ARCHIVE_SECRET_KEY"

[policy.default]
max_size_bytes = 1000

[policy.films]
backend = "archive"
bucket = "{bucket}"
"""
BAD = """
[policy.default]
colour = "red"

[policy.films]
bucket = "there-is-none"
url_seconds = 1
"""
NO_BUCKET = """
[policy.default]
[policy.films]
bucket = "there-is-none"
"""


@pytest.fixture(scope="module")
def archive(s3: S3) -> Iterator[Bucket]:
    with look_into(s3, "archive") as bucket:
        yield bucket


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "policies.toml"
    file.write_text(FIRST)
    return file


@pytest.fixture
def second(s3: S3, archive: Bucket) -> str:
    return SECOND.format(endpoint=s3.endpoint, bucket=archive.name)


@asynccontextmanager
async def running(
    tmp_path: Path, s3: S3, redis_url: str, file: Path, early: bool = False, **settings: object
) -> AsyncIterator[tuple[Service, "UploadServiceAsyncStub"]]:
    secrets = {"ARCHIVE_ACCESS_KEY": s3.access_key, "ARCHIVE_SECRET_KEY": s3.secret_key}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in secrets.items():
            environment.setenv(name, value)
        with Service(tmp_path, s3, redis_url, policy_file=file, **settings) as service:
            starting = asyncio.create_task(asyncio.to_thread(service.start))
            if early:
                # As soon as there are workers, which then listen for nothing yet.
                await until(lambda: service.started and bool(service.server.children()))
                service.server.process.send_signal(signal.SIGHUP)
            await starting
            async with grpc.aio.insecure_channel(service.address) as channel:
                yield service, UploadServiceStub(channel)


async def initialized(
    stub: "UploadServiceAsyncStub", size: int, policy: str = ""
) -> upload_pb2.Upload:
    request = pb.InitializeRequest(policy=policy, file_name="a.mp4", size_bytes=size)
    request.part_size_bytes = PART
    return (await stub.Initialize(request)).upload


async def send(stub: "UploadServiceAsyncStub", upload: upload_pb2.Upload, *numbers: int) -> None:
    ranges = [upload_pb2.PartRange(first=n, last=n) for n in numbers]
    request = pb.BatchPresignPartsRequest(upload_id=upload.id, ranges=ranges)
    async with aiohttp.ClientSession() as http:
        for part in (await stub.BatchPresignParts(request)).parts:
            body = content(part.part_number, part.size_bytes)
            assert (await put_by(http)(part.url, body, part.headers)).status == 200


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def reloaded(service: Service, words: str, times: int = 1) -> None:
    """Send the signal, and wait until the log contains the words that many times."""
    service.server.process.send_signal(signal.SIGHUP)
    # Another process does it, so it is looked for again and again.
    await until(lambda: service.logged().count(words) >= times)


async def test_a_new_file_is_in_force_and_an_upload_goes_on(
    tmp_path: Path, s3: S3, redis_url: str, file: Path, second: str, archive: Bucket
) -> None:
    async with running(tmp_path, s3, redis_url, file) as (service, stub):
        upload = await initialized(stub, PART + 7)
        await send(stub, upload, 1)
        asking, asked = True, 0

        async def ask() -> None:
            nonlocal asked
            while asking:
                await stub.Status(pb.StatusRequest(upload_id=upload.id))
                asked += 1

        calls = asyncio.create_task(ask())
        write(file, second)
        words = "policies reloaded: policy default changed, policy films new, backend archive new"
        await reloaded(service, words)
        # It has been larger than its policy allows since.
        await send(stub, upload, 2)
        done = (await stub.Complete(pb.CompleteRequest(upload_id=upload.id))).upload
        assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
        asking = False
        await calls
        assert asked > 1
        assert (await failure(initialized(stub, PART))).code == "INVALID_ARGUMENT"
        film = await initialized(stub, 1000, "films")
        await send(stub, film, 1)
        done = (await stub.Complete(pb.CompleteRequest(upload_id=film.id))).upload
        assert done.object.bucket == archive.name
        assert archive.body(done.object.key) == content(1, 1000)
        assert s3.secret_key not in service.logged()
        assert service.server.stop() == 0


FAULTS = [
    (BAD, [":3: policy.default.colour: unknown rule", ":7: policy.films.url_seconds: is"]),
    (NO_BUCKET, ["bucket 'there-is-none': the bucket does not exist"]),
    ("[backend.x]\nregion = 'a b'\n" + FIRST, ["storage cannot be used", "[backend.x]"]),
    (
        "[backend.x]\naccess_key_env = 'NO_KEY'\nsecret_key_env = 'NO_SECRET'\n" + FIRST,
        ["backend.x.access_key_env: the variable NO_KEY is not set", "NO_SECRET"],
    ),
]


async def test_a_file_with_a_problem_changes_nothing_and_is_reported(
    tmp_path: Path, s3: S3, redis_url: str, file: Path, second: str
) -> None:
    write(file, second)
    async with running(tmp_path, s3, redis_url, file) as (service, stub):
        for times, (wrong, printed) in enumerate(FAULTS, 1):
            write(file, wrong)
            await reloaded(
                service, "policies: not reloaded; the previous policies stay in force", times
            )
            assert not [words for words in printed if words not in service.logged()]
        upload = await initialized(stub, 1000, "films")
        await send(stub, upload, 1)
        assert (await failure(initialized(stub, PART))).code == "INVALID_ARGUMENT"


async def test_every_worker_reads_it_and_none_dies(
    tmp_path: Path, s3: S3, redis_url: str, file: Path, second: str
) -> None:
    """Check that a signal during their start kills none either."""
    async with running(tmp_path, s3, redis_url, file, early=True, workers=2) as (service, _):
        await until(lambda: service.logged().count("serving on") == 2)
        workers = service.server.children()
        write(file, second)
        await reloaded(service, "policies reloaded: policy default changed", times=2)
        assert service.server.children() == workers
        assert "ended with code" not in service.logged()
