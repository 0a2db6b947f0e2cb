"""Tests the client on bad lines to storage and to the service: the file arrives once, unchanged."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from partway_client import UploadClient, Uploaded

from tests.client.pacing import Slept, pace
from tests.support.files import File
from tests.support.relay import LOST, End, Fault
from tests.support.storage import error_answer
from tests.support.wired import HASTY, MULTIPART, PUT, Wired, in_ways, keys_in

pytestmark = [pytest.mark.redis, pytest.mark.s3]

MIB = 1024 * 1024
PART = 5 * MIB
HARMED = 2
"""How many PUTs are harmed: the HTTP library retries a part's first, and the client later ones."""

GOAWAY = bytes((0, 0, 8, 7, 0)) + bytes(12)
"""HTTP/2: claims, maybe falsely, that none of its requests were processed (RFC 9113, 6.8)."""


@pytest.fixture
async def client(wired: Wired, tmp_path: Path) -> AsyncIterator[UploadClient]:
    async with UploadClient(
        wired.front.address,
        call_metadata={"partway-tenant": "acme", "partway-subject": "alice"},
        state_dir=tmp_path / "state",
        pace=pace(Slept(), stall_seconds=wired.patience),
    ) as client:
        yield client


@pytest.fixture
def film(tmp_path: Path) -> File:
    """Return a file of two parts, each long enough to be cut in the middle."""
    return File.write(tmp_path / "film.mp4", PART + 3 * MIB + 7)


async def assert_there_once(
    wired: Wired, client: UploadClient, film: File, uploaded: Uploaded
) -> None:
    """Check that storage has the file where the client says, and that no other upload existed."""
    assert wired.bucket.sha256(uploaded.key) == film.sha256
    head = wired.bucket.client.head_object(Bucket=wired.bucket.name, Key=uploaded.key)
    assert head["ETag"].strip('"') == uploaded.etag
    assert [u.upload_id for u in await client.list_uploads()] == [uploaded.upload_id]
    await wired.tended()
    assert keys_in(wired.bucket) == [uploaded.key]
    assert wired.bucket.unfinished() == 0


PUTS = {
    **LOST,
    "half a reply": Fault(reply_bytes=10),
    "half a body": Fault(request_bytes=2 * MIB),
    "half a body and silence": Fault(request_bytes=2 * MIB, end=End.SILENCE),
    "reset before": Fault(request_bytes=0),
}


@pytest.mark.parametrize("policy", [MULTIPART, ""], ids=["parts", "a single PUT"])
@in_ways(PUTS)
async def test_a_put_that_is_harmed_is_sent_again(
    wired: Wired, client: UploadClient, film: File, way: Fault, policy: str
) -> None:
    wired.public.on(PUT, way, times=HARMED)
    part_size = PART if policy else 0
    uploaded = await client.upload_file(film.path, policy=policy, part_size=part_size)
    # Retried by the client, or by its HTTP library, which knows that a PUT is idempotent.
    assert uploaded.parts_retried <= wired.public.struck == HARMED
    assert wired.public.count(PUT) == uploaded.parts + HARMED
    await assert_there_once(wired, client, film, uploaded)


@pytest.mark.parametrize("wired", [HASTY], indirect=True)
async def test_a_slow_line_to_storage_is_no_dead_one(
    wired: Wired, client: UploadClient, tmp_path: Path
) -> None:
    film = File.write(tmp_path / "film.mp4", 2 * PART + 7)
    # A whole part takes longer than the client's timeout for a line on which nothing moves. What
    # the kernel buffers at once, some 2.5 MB, takes less.
    wired.public.bytes_per_second = 6 * MIB
    uploaded = await client.upload_file(film.path, policy=MULTIPART, part_size=2 * PART)
    assert uploaded.seconds > HASTY
    assert uploaded.parts_retried == 0
    await assert_there_once(wired, client, film, uploaded)


REPLIES = {
    "closed": Fault(reply=b"film.mp4", end=End.CLOSE),
    "half closed": Fault(reply=b"film.mp4", end=End.HALF),
    "reset": Fault(reply=b"film.mp4"),
    "half a reply": Fault(reply=b"film.mp4", reply_bytes=40),
    "GOAWAY": Fault(reply=b"film.mp4", answer=GOAWAY, end=End.CLOSE),
    "reset before": Fault(request_bytes=0),
    "half a request": Fault(request_bytes=40),
}


@in_ways(REPLIES)
@pytest.mark.parametrize("rpc", ["Initialize", "Complete"])
async def test_a_call_that_is_harmed_is_repeated(
    wired: Wired, client: UploadClient, film: File, rpc: str, way: Fault
) -> None:
    wired.front.on(rb"/partway\.v1\.UploadService/" + rpc.encode(), way)
    uploaded = await client.upload_file(film.path, policy=MULTIPART, part_size=PART)
    assert wired.front.struck == 1
    await assert_there_once(wired, client, film, uploaded)


@pytest.mark.parametrize("cut_after", [0, 20, 400], ids="{} bytes".format)
async def test_a_stream_of_urls_that_is_cut_is_asked_for_again(
    wired: Wired, client: UploadClient, film: File, cut_after: int
) -> None:
    # The URLs from Initialize are refused, so that the client requests new ones.
    refused = Fault(
        request_bytes=0, answer=error_answer("403 Forbidden", "AccessDenied"), end=End.CLOSE
    )
    wired.public.on(PUT, refused, times=2)
    wired.front.on(b"/PresignParts", Fault(reply=b"X-Amz-Signature", reply_bytes=cut_after))
    uploaded = await client.upload_file(film.path, policy=MULTIPART, part_size=PART)
    assert (wired.public.struck, wired.front.struck) == (2, 1)
    await assert_there_once(wired, client, film, uploaded)
