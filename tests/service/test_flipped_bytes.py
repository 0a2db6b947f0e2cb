"""Tests that a byte changed on its way to storage is never in the object.

Covers the client, the service and the store.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from partway_client import Checksum, TransferFailed, UploadClient
from partway_server.devstack.servers import S3
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.s3 import S3Storage
from partway_server.storage.s3_codes import DAMAGED_CODES

from tests.support.backends import OF_MAKE_TEST_STORES, OUTSIDE
from tests.support.bucket import Bucket, look_into
from tests.support.client_world import client_world
from tests.support.clock import FakeClock
from tests.support.corrupting_relay import CorruptingRelay
from tests.support.store_catalogue import marks_of, running
from tests.support.stores import DAMAGE
from tests.support.world import PART, World

SIZES = {"single": 3000, "multipart": 2 * PART + 7}

UNVERIFIED = Capabilities(
    source="moto 5.2.5, which verifies no checksum",
    conditional_put=True,
    conditional_complete=True,
    idempotent_complete=True,
    md5_etags=True,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A service and a client whose bytes go to storage through `relay`."""

    world: World
    relay: CorruptingRelay
    client: UploadClient
    bucket: Bucket


@contextlib.asynccontextmanager
async def a_line(
    s3: S3, clock: FakeClock, state: Path, capabilities: Capabilities, prefix: str = ""
) -> AsyncIterator[Line]:
    async with contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(CorruptingRelay(s3.endpoint))
        storage = await S3Storage.open(
            name="default",
            capabilities=capabilities,
            region=s3.region,
            endpoint_url=s3.endpoint,
            public_endpoint_url=relay.url,
            access_key=s3.access_key,
            secret_key=s3.secret_key,
        )
        world, client = await stack.enter_async_context(
            client_world(storage, clock=clock, state=state, bucket=s3.bucket, prefix=prefix)
        )
        yield Line(world, relay, client, stack.enter_context(look_into(s3)))


@pytest.fixture(scope="module")
def moto() -> Iterator[S3]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    s3 = S3(f"http://{host}:{port}", "us-east-1", "moto", "moto", "flipped")
    with look_into(s3, "flipped"):
        yield s3
    server.stop()


@pytest.fixture(
    params=[
        pytest.param(name, marks=marks_of(name))
        for name in ("seaweedfs", *OF_MAKE_TEST_STORES, OUTSIDE)
    ]
)
async def verifying(
    request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[Line]:
    """Yield a line to each store that says of changed bytes that they are."""
    s3, known = running(request, request.param)
    if reason := known.lacks.get(DAMAGE):
        pytest.skip(reason)
    async with a_line(s3, clock, tmp_path / "state", known.record, known.prefix) as line:
        yield line


@pytest.fixture
async def unverified(moto: S3, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Line]:
    async with a_line(moto, clock, tmp_path / "state", UNVERIFIED) as line:
        yield line


def a_file(folder: Path, size: int) -> tuple[Path, bytes]:
    content = os.urandom(size)
    (folder / "film.mp4").write_bytes(content)
    return folder / "film.mp4", content


def stored(line: Line, key: str) -> bytes:
    body = line.bucket.client.get_object(Bucket=line.bucket.name, Key=key)["Body"]
    with contextlib.closing(body):
        read: bytes = body.read()
    return read


async def flipped(line: Line, path: Path, size: int, **options: Any) -> bytes:
    """Return what storage has after an upload whose last part was altered once in transit."""
    last = -(-size // PART)
    line.relay.flip(last)
    uploaded = await line.client.upload_file(path, part_size=PART, **options)
    assert line.relay.flipped == {last: 1}
    return stored(line, uploaded.key)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("checksum", [c for c in Checksum if c is not Checksum.NONE])
async def test_storage_refuses_the_byte_and_the_part_is_sent_again(
    verifying: Line, tmp_path: Path, checksum: Checksum, size: int
) -> None:
    verified = {str(each) for each in verifying.world.storage.capabilities_of("default").checksums}
    if checksum is not Checksum.BEST and str(checksum) not in verified:
        pytest.skip(f"the record says that it does not verify {checksum}")
    path, content = a_file(tmp_path, size)
    assert await flipped(verifying, path, size, checksum=checksum) == content
    assert verifying.relay.puts[-(-size // PART)] == 2


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("checksum", [Checksum.BEST, Checksum.MD5])
async def test_where_storage_verifies_nothing_complete_finds_it(
    unverified: Line, tmp_path: Path, checksum: Checksum, size: int
) -> None:
    path, content = a_file(tmp_path, size)
    assert await flipped(unverified, path, size, checksum=checksum) == content
    assert sum(unverified.relay.puts.values()) == -(-size // PART) + 1


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
async def test_without_a_checksum_it_goes_through(
    verifying: Line, tmp_path: Path, size: int
) -> None:
    path, content = a_file(tmp_path, size)
    other = await flipped(verifying, path, size, checksum="none")
    assert len(other) == size
    assert sum(a != b for a, b in zip(other, content, strict=True)) == 1


async def test_a_line_that_changes_every_byte_it_carries_makes_no_object(
    verifying: Line, tmp_path: Path
) -> None:
    path, _ = a_file(tmp_path, 3000)
    verifying.relay.flip(1, times=1000)
    with pytest.raises(TransferFailed, match="|".join(f"400 {code}" for code in DAMAGED_CODES)):
        await verifying.client.upload_file(path)
    assert verifying.relay.flipped[1] == 20
    listed = verifying.bucket.client.list_objects_v2(
        Bucket=verifying.bucket.name, Prefix="acme/"
    ).get("Contents", [])
    [upload] = await verifying.client.list_uploads()
    assert upload.key not in [found["Key"] for found in listed]
