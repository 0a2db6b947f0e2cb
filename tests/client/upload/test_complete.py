"""Tests the end of an upload: storage that takes long, parts that turn out to be missing."""

import asyncio
from pathlib import Path

import pytest
from partway.v1 import upload_pb2 as pb
from partway_client import (
    ObjectExists,
    PartsMismatch,
    PartsMissing,
    Phase,
    Progress,
    StillCompleting,
    UploadAborted,
    UploadClient,
)

from tests.client.files import content, names
from tests.client.pacing import Slept, pace
from tests.client.service import Failure, Service
from tests.client.storage import Storage

MISSING = Failure("FAILED_PRECONDITION", "PARTS_MISSING")


async def test_an_upload_that_is_completing_is_waited_for(
    client: UploadClient, service: Service, slept: Slept, movie: Path
) -> None:
    service.polls = 4

    uploaded = await client.upload_file(movie)

    assert uploaded.etag == "final"
    assert service.count("Status") == 4
    assert slept.seconds == [0.7, 1.2, 2.2, 4.2]


async def test_a_completion_that_hangs_is_taken_over(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.polls = 9

    await client.upload_file(movie)

    # One starts it, one takes over, and one verifies that it was completed with our parts.
    assert service.count("Complete") == 3


async def test_the_wait_for_storage_has_an_end(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.polls = 10_000

    with pytest.raises(StillCompleting, match="upload again to continue waiting"):
        await client.upload_file(movie)


async def test_a_part_that_storage_lost_is_sent_again(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    def lose(upload: str, number: int) -> None:
        if number == 10 and storage.numbers_put().count(10) == 1:
            del storage.stored[upload][3]

    storage.on_stored = lose

    uploaded = await client.upload_file(movie, concurrency=1)

    assert storage.numbers_put() == [*range(1, 11), 3]
    assert storage.bytes_of(uploaded.upload_id) == content(movie)
    assert uploaded.parts_resumed == 0


async def test_a_part_of_the_wrong_size_is_sent_again(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    def shorten(upload: str, number: int) -> None:
        if number == 3 and storage.numbers_put().count(3) == 1:
            storage.stored[upload][3] = 17

    storage.on_stored = shorten

    await client.upload_file(movie, concurrency=1)

    assert storage.numbers_put() == [*range(1, 11), 3]


@pytest.mark.parametrize(
    ("reason", "expected"), [("PARTS_MISSING", PartsMissing), ("PARTS_MISMATCH", PartsMismatch)]
)
async def test_parts_are_sent_again_three_times_at_most(
    client: UploadClient,
    service: Service,
    movie: Path,
    reason: str,
    expected: type[Exception],
) -> None:
    service.fail("Complete", *[Failure("FAILED_PRECONDITION", reason)] * 9)

    with pytest.raises(expected):
        await client.upload_file(movie)

    assert service.count("Complete") == 3


async def test_an_upload_that_storage_refused_to_join_is_tried_again(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    """Check that the state returns from COMPLETING to ACTIVE."""
    service.polls = 10_000

    def refuse(progress: Progress) -> None:
        if progress.phase is Phase.COMPLETING and service.polls == 9_999:
            service.polls = 0
            service.only().state = pb.UPLOAD_STATE_ACTIVE
            del storage.stored[service.only().id][2]

    uploaded = await client.upload_file(movie, on_progress=refuse, concurrency=1)

    assert uploaded.etag == "final"
    assert storage.numbers_put() == [*range(1, 11), 2]


async def test_an_abort_while_completing_is_told(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.polls = 10_000

    def abort(progress: Progress) -> None:
        if progress.phase is Phase.COMPLETING and service.polls == 9_999:
            service.only().state = pb.UPLOAD_STATE_ABORTED
            service.only().abort_reason = pb.ABORT_REASON_LOST

    with pytest.raises(UploadAborted, match="lost"):
        await client.upload_file(movie, on_progress=abort)


async def test_a_taken_key_is_told_and_forgotten(
    client: UploadClient, service: Service, state_dir: Path, movie: Path
) -> None:
    service.fail("Complete", Failure("ALREADY_EXISTS", "OBJECT_EXISTS"))

    with pytest.raises(ObjectExists):
        await client.upload_file(movie)

    assert names(state_dir) == []


async def test_two_clients_that_complete_one_upload_both_end_well(
    service: Service, slept: Slept, tmp_path: Path, movie: Path
) -> None:
    """Give both the same Upload: one journal, copied to another machine."""
    service.fail("Complete", Failure("UNAVAILABLE", "STORAGE_UNAVAILABLE"), *[MISSING] * 3)
    service.polls = 3
    async with UploadClient(
        service.address, state_dir=tmp_path / "one", pace=pace(slept)
    ) as client:
        with pytest.raises(PartsMissing):
            await client.upload_file(movie)
    copy = tmp_path / "two"
    copy.mkdir()
    for path in (tmp_path / "one").glob("*.json"):
        (copy / path.name).write_bytes(path.read_bytes())

    async with (
        UploadClient(service.address, state_dir=tmp_path / "one", pace=pace(slept)) as first,
        UploadClient(service.address, state_dir=copy, pace=pace(slept)) as second,
    ):
        one, two = await asyncio.gather(first.upload_file(movie), second.upload_file(movie))

    assert one.upload_id == two.upload_id
    assert (one.etag, two.etag) == ("final", "final")
