"""Tests continuing an upload on another machine: `partway` with other state directories."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from partway_client._upload.fingerprint import samples
from partway_server.devstack.servers import S3

from tests.support.bucket import Bucket, look_into
from tests.support.files import File
from tests.support.processes import Partway, Service, ended, until
from tests.support.relay_valve import Valve

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(90)]

PART = 5 * 1024 * 1024
PARTS = 10

numbers = count(1)


@dataclass(frozen=True, slots=True)
class Rig:
    """A service, a valve in front of its storage, and two machines that call it."""

    bucket: Bucket
    valve: Valve
    one: Partway
    other: Partway

    async def upload(self, machine: Partway, film: Path) -> asyncio.subprocess.Process:
        return await machine.start(
            *("upload", film, "--part-size", "5MiB", "--concurrency", "2", "--json")
        )


@pytest.fixture
async def rig(tmp_path: Path, s3: S3, redis_url: str) -> AsyncIterator[Rig]:
    async with contextlib.AsyncExitStack() as stack:
        bucket = stack.enter_context(look_into(s3, f"machines-{next(numbers)}"))
        valve = await stack.enter_async_context(Valve(s3.endpoint))
        service = stack.enter_context(
            Service(tmp_path, s3, redis_url, bucket=bucket.name, s3_public_endpoint=valve.url)
        )
        await asyncio.to_thread(service.start)
        machines = [
            await stack.enter_async_context(Partway(service.address, tmp_path / name))
            for name in ("state of one", "state of the other")
        ]
        yield Rig(bucket, valve, *machines)


@pytest.fixture
def film(tmp_path: Path) -> Iterator[File]:
    """Return a file of ten parts, the last of three bytes."""
    file = File.write(tmp_path / "film.mp4", (PARTS - 1) * PART + 3)
    yield file
    file.path.unlink()


@pytest.fixture
def copy(tmp_path: Path, film: File) -> Iterator[Path]:
    """Copy the file elsewhere, with another modification time."""
    path = tmp_path / "elsewhere" / film.path.name
    path.parent.mkdir()
    shutil.copy(film.path, path)
    os.utime(path, ns=(1, 1))
    yield path
    path.unlink()


def change_first_part(path: Path) -> None:
    """Change a byte where no sample is taken, so that the fingerprint stays the same."""
    (_, first_sample), *_ = samples(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(first_sample)
        byte = file.read(1)
        file.seek(first_sample)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("differs", [False, True], ids=["the same file", "but for one byte"])
async def test_what_a_killed_client_left_goes_on_from_another_machine(
    rig: Rig, film: File, copy: Path, differs: bool
) -> None:
    await rig.valve.allow(5.5 * PART)
    client = await rig.upload(rig.one, film.path)
    await until(lambda: rig.valve.blocked == 2)
    client.kill()
    await client.communicate()
    await rig.valve.drop()
    await rig.valve.open()
    held = rig.bucket.parts()
    assert 3 <= len(held) < 6 and 1 in held
    sent_before = rig.valve.puts.copy()
    if differs:
        change_first_part(copy)
    wanted = File.of(copy)

    result = (await ended(await rig.upload(rig.other, copy))).only

    assert rig.bucket.sha256(result["key"]) == wanted.sha256
    again = rig.valve.puts - sent_before
    not_again = held - {1} if differs else held
    if differs and again[1] == 2:
        # Where both sendings of a part fall into one second, SeaweedFS may list the first; then
        # Complete, which names the entity tags, has it sent once more.
        again[1] = 1
    assert not_again.isdisjoint(again)
    assert again == {n: 1 for n in range(1, PARTS + 1) if n not in not_again}
    assert (result["parts_resumed"], result["parts_retried"]) == (len(not_again), 0)
    assert rig.bucket.unfinished() == 0


async def test_two_machines_at_once_make_one_object(rig: Rig, film: File, copy: Path) -> None:
    await rig.valve.allow(3.5 * PART)
    first = await rig.upload(rig.one, film.path)
    await until(lambda: rig.valve.blocked == 2)
    second = await rig.upload(rig.other, copy)
    await until(lambda: rig.valve.blocked == 4)
    await rig.valve.open()

    one, other = await asyncio.gather(ended(first), ended(second))

    assert one.only["upload_id"] == other.only["upload_id"]
    assert one.only["etag"] == other.only["etag"]
    assert rig.bucket.sha256(one.only["key"]) == film.sha256
    assert rig.bucket.unfinished() == 0
