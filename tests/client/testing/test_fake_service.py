"""Tests the fake service with our own clients, as the tests of an application use it."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_client import (
    QuotaExceeded,
    Route,
    State,
    SyncUploadClient,
    UploadClient,
    UploadNotActive,
    UploadNotFound,
    ViaServiceOff,
)
from partway_client.testing import FakeObject, FakeService

from tests.client.pacing import Slept, pace
from tests.support.documents import ROOT

PART = 64 * 1024


@pytest.fixture
async def stub(service: FakeService) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        yield UploadServiceStub(channel)


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService(part_size_bytes=PART, via_service=True) as service:
        yield service


@pytest.fixture
async def client(service: FakeService, tmp_path: Path) -> AsyncIterator[UploadClient]:
    made = UploadClient(service.address, state_dir=tmp_path / "state", pace=pace(Slept()))
    async with made as client:
        yield client


@pytest.mark.parametrize("size", [0, 1, PART, 3 * PART + 7])
async def test_an_upload_becomes_an_object(
    service: FakeService, client: UploadClient, size: int
) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    done = await client.upload_file(
        content, name="film.mp4", content_type="video/mp4", metadata={"year": "1927"}
    )
    assert service.objects == {
        done.key: FakeObject(done.key, content, "video/mp4", {"year": "1927"})
    }
    assert (done.size_bytes, done.uri) == (size, f"s3://{done.bucket}/{done.key}")
    found = await client.status(done.upload_id)
    assert (found.state, found.etag) == (State.COMPLETED, done.etag)


async def test_parts_may_go_through_the_service(service: FakeService, client: UploadClient) -> None:
    done = await client.upload_file(b"x" * (PART + 1), name="file", route=Route.SERVICE)
    assert done.bytes_via_service == PART + 1
    assert [name for name, _ in service.calls].count("UploadPart") == 2


async def test_parts_do_not_go_through_a_service_that_does_not_allow_it(tmp_path: Path) -> None:
    with FakeService() as service:
        async with UploadClient(service.address, state_dir=tmp_path) as client:
            with pytest.raises(ViaServiceOff):
                await client.upload_file(b"x", name="file", route=Route.SERVICE)


async def test_a_failed_part_is_sent_again(service: FakeService, client: UploadClient) -> None:
    service.fail_part(503, "SlowDown", times=2)
    done = await client.upload_file(b"x" * (PART + 1), name="file")
    assert (done.parts_retried, done.parts_sent) == (2, 2)


async def test_an_arranged_refusal_is_the_error_of_its_reason(
    service: FakeService, client: UploadClient
) -> None:
    service.fail("Initialize", "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "open_uploads is used up")
    with pytest.raises(QuotaExceeded, match="open_uploads is used up"):
        await client.upload_file(b"x", name="file")
    assert (await client.upload_file(b"x", name="file")).completed


async def test_what_may_be_repeated_is_repeated(service: FakeService, client: UploadClient) -> None:
    service.fail("Complete", "UNAVAILABLE", "STORAGE_UNAVAILABLE", times=3)
    assert (await client.upload_file(b"x", name="file")).completed
    assert [name for name, _ in service.calls].count("Complete") == 4


class TestBegun:
    """An upload that a test began by a stub, as a backend does."""

    async def test_it_is_listed_watched_extended_and_aborted(
        self, service: FakeService, client: UploadClient, stub: Any
    ) -> None:
        upload_id = await begun(stub, 2 * PART)
        assert [found.upload_id for found in await client.list_uploads()] == [upload_id]
        later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
        assert (await client.extend(upload_id, later)).expire_time == later
        states: list[State] = []

        async def watch() -> None:
            async for upload in client.watch(upload_id):
                states.append(upload.state)
                if upload.state is State.ACTIVE:
                    await client.abort(upload_id)

        await asyncio.wait_for(watch(), 20)
        assert states == [State.ACTIVE, State.ABORTED]
        with pytest.raises(UploadNotActive):
            await client.parts(upload_id)

    async def test_its_progress_is_what_was_sent(self, client: UploadClient, stub: Any) -> None:
        upload_id = await begun(stub, 2 * PART)
        found = await client.status(upload_id, progress=True)
        assert found.progress is not None and found.progress.missing == ((1, 2),)

    async def test_it_expires_when_a_test_says_so(
        self, service: FakeService, client: UploadClient, stub: Any
    ) -> None:
        upload_id = await begun(stub, 1)
        service.expire(upload_id)
        found = await client.status(upload_id)
        assert (found.state, found.abort_reason) == (State.ABORTED, "expired")


async def begun(stub: Any, size: int) -> str:
    """Begin an upload as a backend does for its users; return its ID."""
    request = pb.InitializeRequest(file_name="file", size_bytes=size)
    return str((await stub.Initialize(request)).upload.id)


def test_the_blocking_client_uses_it_as_well(service: FakeService, tmp_path: Path) -> None:
    file = tmp_path / "movie.mp4"
    file.write_bytes(b"content")
    with SyncUploadClient(service.address, state_dir=tmp_path) as client:
        first, second = client.upload_file(file), client.upload_file(b"more", name="more")
        composed = client.compose([first.upload_id, second.upload_id], name="whole")
        assert client.capabilities().policies[0].via_service
        assert client.usage().tenant[0].used == 0
    assert service.objects[composed.key].content == b"contentmore"


def test_two_services_have_nothing_in_common() -> None:
    with FakeService() as one, FakeService() as other:
        assert one.address != other.address
        with SyncUploadClient(one.address) as client:
            done = client.upload_file(b"x", name="file", resume=False)
        with SyncUploadClient(other.address) as client, pytest.raises(UploadNotFound):
            client.status(done.upload_id)
        assert (len(one.objects), len(other.objects)) == (1, 0)


def test_the_example_of_the_readme_passes(tmp_path: Path) -> None:
    readme = (ROOT / "clients/python/README.md").read_text()
    [example] = [
        code for code in re.findall(r"```python\n(.*?)```", readme, re.S) if "def test" in code
    ]
    (tmp_path / "test_readme.py").write_text(example)
    assert_passes(tmp_path)


def test_pytest_has_it_as_a_fixture(tmp_path: Path) -> None:
    plugin = "partway_client.testing.pytest_plugin"
    (tmp_path / "conftest.py").write_text(f'pytest_plugins = ["{plugin}"]')
    (tmp_path / "test_mine.py").write_text(
        "from partway_client import SyncUploadClient\n"
        "def test_mine(partway_service):\n"
        "    with SyncUploadClient(partway_service.address) as client:\n"
        "        client.upload_file(b'content', name='file')\n"
        "    [stored] = partway_service.objects.values()\n"
        "    assert stored.content == b'content'\n"
    )
    assert_passes(tmp_path)


def assert_passes(folder: Path) -> None:
    """Run pytest in a folder that has one test."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null"]
    done = subprocess.run([*command, folder], cwd=folder, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
