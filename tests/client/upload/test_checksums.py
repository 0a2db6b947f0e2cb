"""Tests the checksums that the client computes, has signed, and names at the end."""

import asyncio
import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from partway.v1 import upload_pb2 as pb
from partway_client import (
    CallFailed,
    Checksum,
    FileChanged,
    PartsRefused,
    TransferFailed,
    UploadClient,
)
from partway_client._transport.rpc_client import RpcClient
from partway_client._upload.checksums import COMPUTE, combined
from partway_client._upload.options import UploadOptions
from partway_server.storage.memory_checksums import CHECKSUMS

from tests.client.files import content
from tests.client.pacing import until
from tests.client.service import Failure, Service
from tests.client.storage import Storage, answering, waiting

PART = 64 * 1024
ALGORITHMS = [c for c in Checksum if c not in (Checksum.BEST, Checksum.NONE)]


def crc64nvme(content: bytes) -> bytes:
    return COMPUTE[Checksum.CRC64NVME]([content])


@pytest.fixture
def verified(service: Service) -> Service:
    """Return a service whose Uploads have CRC64NVME."""
    service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC64NVME
    return service


def parts_of(content: bytes) -> list[bytes]:
    return [content[at : at + PART] for at in range(0, len(content), PART)]


@pytest.mark.parametrize(
    ("checksum", "value"),
    [
        # https://reveng.sourceforge.io/crc-catalogue/all.htm
        (Checksum.CRC64NVME, "ae8b14860a799888"),
        (Checksum.CRC32C, "e3069283"),
        (Checksum.MD5, hashlib.md5(b"123456789").hexdigest()),
        (Checksum.SHA256, hashlib.sha256(b"123456789").hexdigest()),
    ],
)
def test_the_check_values_are_those_of_the_catalogue(checksum: Checksum, value: str) -> None:
    assert COMPUTE[checksum]([b"123456789"]).hex() == value
    assert COMPUTE[checksum]([b"1234", b"", b"56789"]).hex() == value


@pytest.mark.parametrize("checksum", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, 7, 64, 1000, 4097])
def test_all_are_what_storage_computes(checksum: Checksum, size: int) -> None:
    body = os.urandom(size)
    assert COMPUTE[checksum]([body]) == CHECKSUMS[checksum](body)  # type: ignore[index]


@pytest.mark.parametrize("sizes", [(), (0,), (5,), (0, 5), (5, 0), (1, 2, 3, 70_000, 5)])
def test_the_parts_combine_to_the_whole(sizes: tuple[int, ...]) -> None:
    parts = [os.urandom(size) for size in sizes]
    found = combined((crc64nvme(part), len(part)) for part in parts)
    assert found == crc64nvme(b"".join(parts))


async def test_each_part_is_signed_and_all_are_named_at_the_end(
    client: UploadClient, verified: Service, movie: Path
) -> None:
    await client.upload_file(movie)

    sums = [crc64nvme(part) for part in parts_of(content(movie))]
    asked = verified.requests("PresignParts")
    assert [(c.part_number, c.checksum) for one in asked for c in one.checksums] == list(
        enumerate(sums, 1)
    )
    [complete] = verified.requests("Complete")
    assert [(p.part_number, p.checksum) for p in complete.parts] == list(enumerate(sums, 1))
    assert complete.checksum == crc64nvme(content(movie))


@pytest.mark.parametrize("checksum", [Checksum.CRC32C, Checksum.SHA256, Checksum.MD5])
async def test_no_other_algorithm_has_one_of_the_whole(
    client: UploadClient, service: Service, movie: Path, checksum: Checksum
) -> None:
    service.checksum_algorithm = pb.ChecksumAlgorithm.Value(f"CHECKSUM_ALGORITHM_{checksum.name}")

    uploaded = await client.upload_file(movie, checksum=checksum)

    [opened], [complete] = service.requests("Initialize"), service.requests("Complete")
    assert (opened.checksum_algorithm, opened.checksum) == (service.checksum_algorithm, b"")
    assert complete.parts[8].checksum == COMPUTE[checksum]([bytes([8]) * PART])
    assert complete.checksum == b""
    assert uploaded.checksum_algorithm is checksum


async def test_the_best_is_asked_for_unless_told_otherwise(
    client: UploadClient, service: Service, movie: Path
) -> None:
    await client.upload_file(movie)

    assert service.requests("Initialize")[0].checksum_algorithm == pb.CHECKSUM_ALGORITHM_BEST


async def test_without_checksums_nothing_is_read_for_them(
    client: UploadClient, service: Service, movie: Path
) -> None:
    await client.upload_file(movie, checksum="none")

    [opened], [complete] = service.requests("Initialize"), service.requests("Complete")
    assert opened.checksum_algorithm == pb.CHECKSUM_ALGORITHM_NONE
    assert opened.checksum == b""
    assert (list(complete.parts), complete.checksum) == ([], b"")


async def test_a_small_file_is_signed_at_once(
    client: UploadClient, verified: Service, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"123456789")

    assert (await client.upload_file(small)).rpcs == 2

    whole = bytes.fromhex("ae8b14860a799888")
    [opened], [complete] = verified.requests("Initialize"), verified.requests("Complete")
    assert opened.checksum == complete.checksum == complete.parts[0].checksum == whole


async def test_a_large_file_is_not_read_before_initialize(
    client: UploadClient, verified: Service, storage: Storage, tmp_path: Path
) -> None:
    verified.part_size = 8 * 1024 * 1024
    large = tmp_path / "large"
    large.write_bytes(bytes(16 * 1024 * 1024 + 1))

    await client.upload_file(large)

    assert verified.requests("Initialize")[0].checksum == b""
    assert verified.requests("Complete")[0].checksum == crc64nvme(content(large))


async def test_the_next_parts_are_read_and_asked_for_while_others_are_sent(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    gate = asyncio.Event()
    storage.fail(0, *[waiting(gate)] * 8)
    upload = asyncio.create_task(client.upload_file(movie))

    await until(lambda: verified.count("PresignParts") == 2)
    assert storage.stored == {} or not any(storage.stored.values())

    gate.set()
    await upload
    asked = [[(r.first, r.last) for r in one.ranges] for one in verified.requests("PresignParts")]
    assert asked == [[(1, 8)], [(9, 10)]]


@pytest.mark.parametrize(
    ("part_size", "parts"), [(0, 8), (PART, 8), (16 << 20, 8), (32 << 20, 4), (5 << 30, 1)]
)
def test_no_more_is_read_ahead_than_stays_in_memory(part_size: int, parts: int) -> None:
    options = UploadOptions("", "", {}, 0, 8, 1 << 31, Checksum.BEST)
    assert options.batch(part_size) == parts


async def test_a_part_that_arrived_damaged_is_sent_again(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(4, answering(400, "BadDigest"), answering(400, "XAmzContentChecksumMismatch"))

    uploaded = await client.upload_file(movie)

    assert uploaded.parts_retried == 2
    assert storage.bytes_of(uploaded.upload_id) == content(movie)


async def test_a_line_that_damages_everything_is_given_up(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(1, *[answering(400, "BadDigest")] * 50)

    with pytest.raises(TransferFailed, match="400 BadDigest"):
        await client.upload_file(movie, concurrency=1)


def overwrite_unnoticed(path: Path, at: int = 0) -> None:
    """Write other bytes, keeping size and modification time."""
    before = path.stat()
    whole = bytearray(path.read_bytes())
    whole[at] ^= 1
    path.write_bytes(whole)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


async def test_a_file_that_changed_since_it_was_signed_for_is_not_sent_again(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    async def changed(request: Any) -> Any:
        overwrite_unnoticed(movie, 3 * PART)
        return await answering(400, "BadDigest")(request)

    storage.fail(4, changed)

    with pytest.raises(FileChanged):
        await client.upload_file(movie, concurrency=1)

    assert storage.numbers_put().count(4) == 1
    assert verified.only().state == pb.UPLOAD_STATE_ABORTED


async def test_parts_with_other_bytes_are_sent_again(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    mismatch = Failure(
        "FAILED_PRECONDITION",
        "PARTS_MISMATCH",
        {"mismatch_count": "3"},
        parts=((3, 3), (7, 8)),
    )
    verified.fail("Complete", mismatch)

    await client.upload_file(movie, concurrency=1)

    assert storage.numbers_put() == [*range(1, 11), 3, 7, 8]


async def test_all_parts_are_sent_again_where_not_all_are_named(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    mismatch = Failure(
        "FAILED_PRECONDITION", "PARTS_MISMATCH", {"mismatch_count": "9"}, parts=((3, 3),)
    )
    verified.fail("Complete", mismatch)

    await client.upload_file(movie, concurrency=1)

    assert storage.numbers_put() == [*range(1, 11), *range(1, 11)]


async def test_all_parts_are_sent_again_where_the_whole_is_another(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    digest = Failure("FAILED_PRECONDITION", "PARTS_REFUSED", {"storage_code": "BadDigest"})
    verified.fail("Complete", digest)

    await client.upload_file(movie, concurrency=1)

    assert storage.numbers_put() == [*range(1, 11), *range(1, 11)]


async def test_parts_refused_for_another_reason_are_not_sent_again(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    small = Failure("FAILED_PRECONDITION", "PARTS_REFUSED", {"storage_code": "EntityTooSmall"})
    verified.fail("Complete", small)

    with pytest.raises(PartsRefused):
        await client.upload_file(movie, concurrency=1)

    assert len(storage.puts) == 10


async def test_a_second_run_reads_what_the_first_has_sent(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(8, answering(400, "EntityTooLarge"))
    with pytest.raises(TransferFailed):
        await client.upload_file(movie, concurrency=1)
    overwrite_unnoticed(movie)

    uploaded = await client.upload_file(movie)

    # Storage has the old bytes; the service must find that they are not those named.
    [complete] = verified.requests("Complete")
    assert (
        complete.checksum
        == crc64nvme(content(movie))
        != crc64nvme(storage.bytes_of(uploaded.upload_id))
    )
    assert len(complete.parts) == 10


async def test_a_file_that_changed_between_two_runs_is_told_as_such(
    client: UploadClient, verified: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(8, answering(400, "EntityTooLarge"))
    with pytest.raises(TransferFailed):
        await client.upload_file(movie, concurrency=1)
    overwrite_unnoticed(movie)
    verified.fail("Complete", Failure("INVALID_ARGUMENT", "INVALID_REQUEST"))

    with pytest.raises(FileChanged):
        await client.upload_file(movie)


async def test_the_checksum_of_the_object_is_told(
    client: UploadClient, verified: Service, movie: Path
) -> None:
    async def finish() -> None:
        await until(lambda: verified.uploads)
        verified.only().object.checksum = b"12345678"

    uploaded, _ = await asyncio.gather(client.upload_file(movie), finish())

    assert uploaded.checksum_algorithm is Checksum.CRC64NVME
    assert base64.b64decode(uploaded.checksum) == b"12345678"


async def test_another_checksum_is_another_upload(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    storage.fail(8, answering(400, "EntityTooLarge"))
    with pytest.raises(TransferFailed):
        await client.upload_file(movie, concurrency=1)

    assert (await client.upload_file(movie, checksum="md5")).parts_resumed == 0


async def test_an_algorithm_from_the_future_is_told(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.checksum_algorithm = 99  # type: ignore[assignment]

    with pytest.raises(CallFailed, match="a checksum algorithm that this client does not know"):
        await client.upload_file(movie)


async def test_a_name_that_is_no_checksum_is_refused(client: UploadClient, movie: Path) -> None:
    with pytest.raises(ValueError, match="'crc32' is not a valid Checksum"):
        await client.upload_file(movie, checksum="crc32")


async def test_asking_ahead_that_fails_costs_nothing(
    client: UploadClient,
    verified: Service,
    storage: Storage,
    movie: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    presign, calls = RpcClient.presign, 0

    async def second_fails(self: RpcClient, *asked: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise CallFailed("this time")
        return await presign(self, *asked)

    monkeypatch.setattr(RpcClient, "presign", second_fails)

    uploaded = await client.upload_file(movie)

    assert calls == 3
    assert storage.bytes_of(uploaded.upload_id) == content(movie)


async def test_parts_with_urls_are_sent_while_the_next_are_waited_for(
    client: UploadClient,
    verified: Service,
    storage: Storage,
    movie: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    presign, calls, gate = RpcClient.presign, 0, asyncio.Event()

    async def second_hangs(self: RpcClient, *asked: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            await gate.wait()
        return await presign(self, *asked)

    monkeypatch.setattr(RpcClient, "presign", second_hangs)

    upload = asyncio.create_task(client.upload_file(movie, concurrency=2))
    await until(lambda: len(storage.puts) == 8)

    gate.set()
    assert storage.bytes_of((await upload).upload_id) == content(movie)
