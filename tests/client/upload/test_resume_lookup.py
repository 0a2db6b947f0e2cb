"""Tests resuming from another machine: found by the fingerprint, trusted after comparing bytes.

Two machines are two clients with state directories of their own.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from partway.v1 import upload_pb2 as pb
from partway_client import (
    CompletedOtherwise,
    FileChanged,
    Phase,
    Progress,
    TransferFailed,
    UploadClient,
)
from partway_client._upload.fingerprint import WHOLE_BYTES, samples

from tests.client.files import content, only_entry
from tests.client.pacing import Slept, pace, until
from tests.client.service import Service
from tests.client.storage import Storage, answering, waiting

MIB = 1024 * 1024
PARTS = 20
FATAL = answering(400, "EntityTooLarge")

large = pytest.mark.parametrize("part_size", [MIB], ids=["large"])
"""The file is too large to be sampled whole, so that another one can have its fingerprint."""


@pytest.fixture
def part_size() -> int:
    return MIB * 3 // 8


@pytest.fixture
async def service(storage: Storage, part_size: int) -> AsyncIterator[Service]:
    async with Service(storage, part_size=part_size) as service:
        service.etags = "md5"
        yield service


@pytest.fixture
def film(tmp_path: Path, part_size: int) -> Path:
    """Return a file of twenty different parts."""
    path = tmp_path / "film.mp4"
    path.write_bytes(b"".join(bytes([n]) * part_size for n in range(PARTS)))
    return path


@pytest.fixture
def copy(tmp_path: Path, film: Path) -> Path:
    """Return a copy of the file elsewhere, with another modification time."""
    path = tmp_path / "elsewhere" / film.name
    path.parent.mkdir()
    shutil.copy(film, path)
    os.utime(path, ns=(1, 1))
    return path


@pytest.fixture
async def other(service: Service, slept: Slept, tmp_path: Path) -> AsyncIterator[UploadClient]:
    """Return a client on another machine."""
    state_dir = tmp_path / "other"
    async with UploadClient(service.address, state_dir=state_dir, pace=pace(slept)) as client:
        yield client


@dataclass(frozen=True)
class Two:
    """Two machines with the same file, as `film` and as `copy`, and one service for both."""

    client: UploadClient
    other: UploadClient
    service: Service
    storage: Storage
    film: Path
    copy: Path


@pytest.fixture
def two(
    client: UploadClient,
    other: UploadClient,
    service: Service,
    storage: Storage,
    film: Path,
    copy: Path,
) -> Two:
    return Two(client, other, service, storage, film, copy)


def change(path: Path, part: int) -> None:
    """Change a byte in that part of a large file, where no sample is taken."""
    sampled = [range(start, start + size) for start, size in samples(PARTS * MIB)]
    first = (part - 1) * MIB
    at = next(n for n in range(first, first + MIB) if not any(n in r for r in sampled))
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff")


async def stop_at(client: UploadClient, storage: Storage, film: Path, number: int) -> None:
    """Send the parts before `number`, then fail permanently."""
    storage.fail(number, FATAL)
    with pytest.raises(TransferFailed):
        await client.upload_file(film, concurrency=1)
    storage.puts.clear()


async def test_the_same_file_elsewhere_goes_on_with_the_same_upload(two: Two) -> None:
    await stop_at(two.client, two.storage, two.film, 15)
    seen: list[Progress] = []

    uploaded = await two.other.upload_file(two.copy, on_progress=seen.append)

    assert sorted(two.storage.numbers_put()) == [15, 16, 17, 18, 19, 20]
    assert (uploaded.parts_resumed, uploaded.parts_sent) == (14, 6)
    assert two.storage.bytes_of(uploaded.upload_id) == content(two.film)
    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases[:3] == [Phase.STARTING, Phase.VERIFYING, Phase.SENDING]
    sending = next(progress for progress in seen if progress.phase is Phase.SENDING)
    assert sending.bytes_done == sending.bytes_resumed == 14 * two.service.part_size


@large
@pytest.mark.parametrize("lists_checksums", [False, True], ids=["by entity tag", "by checksum"])
async def test_only_the_part_that_differs_is_sent_again(two: Two, lists_checksums: bool) -> None:
    two.service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC64NVME
    two.service.lists_checksums = lists_checksums
    two.service.etags = "plain" if lists_checksums else "md5"
    await stop_at(two.client, two.storage, two.film, 19)
    change(two.copy, 5)

    uploaded = await two.other.upload_file(two.copy)

    assert sorted(two.storage.numbers_put()) == [5, 19, 20]
    assert two.storage.bytes_of(uploaded.upload_id) == content(two.copy)


@pytest.mark.parametrize("etags", ["plain", "hex"])
async def test_what_cannot_be_compared_is_sent_again(two: Two, etags: str) -> None:
    two.service.etags = etags
    await stop_at(two.client, two.storage, two.film, 15)

    uploaded = await two.other.upload_file(two.copy)

    assert (uploaded.parts_resumed, uploaded.parts_sent) == (0, PARTS)
    assert len(two.service.uploads) == 1


async def test_a_killed_adopter_compares_again_when_it_goes_on(two: Two, tmp_path: Path) -> None:
    """Kill it before it sends the parts that differ; its journal must not make them valid."""
    two.service.etags = "plain"
    await stop_at(two.client, two.storage, two.film, 15)
    await stop_at(two.other, two.storage, two.copy, 3)
    assert '"adopted": true' in content(only_entry(tmp_path / "other")).decode()

    uploaded = await two.other.upload_file(two.copy)

    assert (uploaded.parts_resumed, uploaded.parts_sent) == (0, PARTS)


@large
async def test_who_began_it_does_not_rely_on_a_part_that_another_has_sent(two: Two) -> None:
    await stop_at(two.client, two.storage, two.film, 15)
    change(two.copy, 5)
    await stop_at(two.other, two.storage, two.copy, 15)

    uploaded = await two.client.upload_file(two.film)

    assert sorted(two.storage.numbers_put()) == [5, 15, 16, 17, 18, 19, 20]
    assert two.storage.bytes_of(uploaded.upload_id) == content(two.film)
    assert len(two.service.uploads) == 1


async def test_complete_names_the_entity_tags_of_what_was_sent_or_found(two: Two) -> None:
    two.service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC64NVME
    await stop_at(two.client, two.storage, two.film, 15)

    await two.other.upload_file(two.copy)

    [request] = two.service.requests("Complete")
    upload = two.service.only()
    assert [p.etag for p in request.parts] == [
        two.service._part(upload, n).etag for n in range(1, PARTS + 1)
    ]


@large
async def test_another_file_that_was_completed_meanwhile_is_not_taken_for_ours(two: Two) -> None:
    two.service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC64NVME
    await stop_at(two.client, two.storage, two.film, 15)
    change(two.copy, 5)
    theirs = await two.other.upload_file(two.copy)

    ours = await two.client.upload_file(two.film)

    assert ours.upload_id != theirs.upload_id
    assert two.storage.bytes_of(ours.upload_id) == content(two.film)


@large
async def test_who_loses_to_another_file_in_the_middle_is_told(two: Two) -> None:
    two.service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC64NVME
    gate = asyncio.Event()
    two.storage.fail(20, waiting(gate))
    ours = asyncio.create_task(two.client.upload_file(two.film, concurrency=1))
    await until(lambda: 20 in two.storage.numbers_put())
    change(two.copy, 5)
    await two.other.upload_file(two.copy)

    gate.set()
    with pytest.raises(CompletedOtherwise):
        await ours


@large
async def test_a_part_that_another_sent_after_us_is_sent_again(two: Two) -> None:
    """Prevent an object that is a mixture, where storage lists no checksums."""
    two.service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC64NVME
    gate = asyncio.Event()
    two.storage.fail(20, waiting(gate), FATAL)
    ours = asyncio.create_task(two.client.upload_file(two.film, concurrency=1))
    await until(lambda: 20 in two.storage.numbers_put())
    change(two.copy, 5)
    with pytest.raises(TransferFailed):
        await two.other.upload_file(two.copy, concurrency=1)
    gate.set()

    uploaded = await ours

    assert two.storage.bytes_of(uploaded.upload_id) == content(two.film)
    assert two.storage.numbers_put() == [*range(1, 21), 5, 20, 5]


async def test_two_machines_at_once_both_end_well(two: Two) -> None:
    gate = asyncio.Event()
    two.storage.fail(10, waiting(gate), waiting(gate))
    first = asyncio.create_task(two.client.upload_file(two.film, concurrency=2))
    await until(lambda: len(two.storage.puts) > 10)
    second = asyncio.create_task(two.other.upload_file(two.copy, concurrency=2))
    await until(lambda: two.storage.numbers_put().count(10) == 2)
    gate.set()

    ours, theirs = await asyncio.gather(first, second)

    assert ours.upload_id == theirs.upload_id == two.service.only().id
    assert ours.etag == theirs.etag
    assert two.storage.bytes_of(ours.upload_id) == content(two.film)


def completed(upload: pb.Upload) -> None:
    upload.state = pb.UPLOAD_STATE_COMPLETED


def ending(upload: pb.Upload) -> None:
    upload.expire_time.FromSeconds(upload.create_time.seconds + 600)


def newer(upload: pb.Upload) -> None:
    upload.checksum_algorithm = 99  # type: ignore[assignment]


def composed(upload: pb.Upload) -> None:
    upload.source_count = 2


def smaller(upload: pb.Upload) -> None:
    upload.size_bytes -= 1


@pytest.mark.parametrize("become", [completed, ending, newer, composed, smaller])
async def test_an_upload_that_cannot_take_the_parts_is_left_alone(
    two: Two, become: Callable[[pb.Upload], None]
) -> None:
    await stop_at(two.client, two.storage, two.film, 15)
    first = two.service.only()
    become(first)

    uploaded = await two.other.upload_file(two.copy)

    assert uploaded.upload_id != first.id
    assert uploaded.parts_sent == PARTS


async def test_the_newest_that_can_is_taken(two: Two) -> None:
    for _ in range(5):
        two.storage.fail(2, FATAL)
        with pytest.raises(TransferFailed):
            await two.client.upload_file(two.film, concurrency=1, resume=False)
    oldest, *_, second, newest = two.service.uploads.values()
    completed(newest)

    assert (await two.other.upload_file(two.film)).upload_id == second.id

    # Pages have two Uploads here. Pages far back are not searched.
    for upload in two.service.uploads.values():
        (ending if upload.id != oldest.id else lambda upload: None)(upload)
        upload.state = pb.UPLOAD_STATE_ACTIVE
    assert (await two.other.upload_file(two.film)).upload_id != oldest.id


async def test_without_resume_none_is_looked_for(two: Two) -> None:
    await stop_at(two.client, two.storage, two.film, 15)

    uploaded = await two.other.upload_file(two.copy, resume=False)

    assert (uploaded.parts_resumed, len(two.service.uploads)) == (0, 2)
    assert two.service.count("ListUploads") == 1


async def test_what_is_one_part_anyway_is_not_looked_for(
    client: UploadClient, service: Service, movie: Path
) -> None:
    await client.upload_file(movie)

    assert service.count("ListUploads") == 0
    assert service.only().fingerprint


async def test_one_part_is_sent_without_a_look(two: Two) -> None:
    two.service.part_size = 32 * MIB
    two.storage.fail(1, FATAL)
    with pytest.raises(TransferFailed):
        await two.client.upload_file(two.film)

    assert (await two.other.upload_file(two.film)).parts_sent == 1
    assert (len(two.service.uploads), two.service.count("ListParts")) == (1, 0)


async def test_one_that_is_over_when_it_is_asked_for_begins_anew(two: Two) -> None:
    await stop_at(two.client, two.storage, two.film, 15)
    first = two.service.only()
    met = two.service._met

    async def aborted_after(rpc: str, request: object, context: object) -> None:
        await met(rpc, request, context)
        if rpc == "ListParts":
            first.state = pb.UPLOAD_STATE_ABORTED

    two.service._met = aborted_after  # type: ignore[method-assign]

    assert (await two.other.upload_file(two.copy)).parts_sent == PARTS


async def test_a_file_that_changes_does_not_end_the_upload_of_another(two: Two) -> None:
    await stop_at(two.client, two.storage, two.film, 15)
    two.storage.on_stored = lambda upload, number: os.utime(two.copy, ns=(2, 2))

    with pytest.raises(FileChanged):
        await two.other.upload_file(two.copy)

    two.storage.on_stored = lambda upload, number: None
    assert two.service.only().state == pb.UPLOAD_STATE_ACTIVE
    assert (await two.client.upload_file(two.film)).parts_resumed >= 14


async def test_a_fingerprint_is_the_same_on_every_machine(
    client: UploadClient, other: UploadClient, service: Service, film: Path, copy: Path
) -> None:
    await client.upload_file(film)
    await other.upload_file(copy, resume=False)

    first, second = [request.fingerprint for request in service.requests("Initialize")]
    assert first == second
    assert len(first) <= 128 and first.isascii() and first.isprintable()


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "other.mp4"},
        {"policy": "films"},
        {"content_type": "video/x-film"},
        {"metadata": {"year": "1927"}},
        {"part_size": 2 * MIB},
        {"checksum": "none"},
    ],
)
async def test_another_wish_has_another_fingerprint(
    client: UploadClient, service: Service, film: Path, asked: dict[str, object]
) -> None:
    await client.upload_file(film)
    await client.upload_file(film, **asked)  # type: ignore[arg-type]

    first, second = [request.fingerprint for request in service.requests("Initialize")]
    assert first != second
    # The content is the same, and a listing by file compares only that.
    assert len(await client.list_uploads(file=film)) == 2


@large
@pytest.mark.parametrize("at", [0, WHOLE_BYTES, PARTS * MIB - 1])
async def test_another_content_has_another_fingerprint(
    client: UploadClient, film: Path, copy: Path, at: int
) -> None:
    await client.upload_file(film)
    start, size = next((s, n) for s, n in samples(PARTS * MIB) if s + n > at)
    with copy.open("r+b") as file:
        file.seek(start + size - 1)
        file.write(b"\xfe")

    assert await client.list_uploads(file=copy) == []
    assert len(await client.list_uploads(file=film)) == 1


async def test_a_stream_has_no_fingerprint(
    client: UploadClient, service: Service, film: Path
) -> None:
    with film.open("rb") as stream:
        await client.upload_file(stream)

    assert service.only().fingerprint == ""
    assert service.count("ListUploads") == 0
