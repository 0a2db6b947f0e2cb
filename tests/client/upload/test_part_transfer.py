"""Tests how parts are sent: how many at a time, with which URLs, and what happens on failure."""

import asyncio
import errno
import itertools
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from partway.v1 import upload_pb2 as pb
from partway_client import (
    FileChanged,
    FileUnreadable,
    Progress,
    TransferFailed,
    UploadAborted,
    UploadClient,
)
from partway_client._source.file_source import FileSource

from tests.client.files import content, names, size
from tests.client.pacing import LoopClock, Slept, pace, until
from tests.client.service import Service, not_active
from tests.client.storage import Fault, Storage, answering, refusing, resetting, waiting

PART = 64 * 1024
STALL_SECONDS = 60
"""That of the client."""


@pytest.fixture
def long_movie(tmp_path: Path) -> Path:
    """Return a file of a hundred parts of 64 KiB."""
    path = tmp_path / "long.mp4"
    path.write_bytes(os.urandom(100 * PART))
    return path


def asked(service: Service) -> list[list[tuple[int, int]]]:
    return [[(r.first, r.last) for r in one.ranges] for one in service.requests("PresignParts")]


async def test_as_many_parts_are_in_flight_as_allowed(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    gate = asyncio.Event()
    storage.fail(0, *[waiting(gate)] * 10)
    upload = asyncio.create_task(client.upload_file(movie, concurrency=3))
    await until(lambda: storage.open_puts >= 3)

    gate.set()
    await upload

    assert storage.most_open_puts == 3


@pytest.mark.parametrize(("budget", "most"), [(1, 1), (2 * PART, 2), (3 * PART - 1, 2)])
async def test_bytes_in_flight_stay_in_the_budget_but_for_one_part(
    client: UploadClient, storage: Storage, movie: Path, budget: int, most: int
) -> None:
    gate = asyncio.Event()
    storage.fail(0, *[waiting(gate)] * 10)
    upload = asyncio.create_task(client.upload_file(movie, max_in_flight_bytes=budget))
    await until(lambda: storage.open_puts >= most)

    gate.set()
    await upload

    assert storage.most_open_puts == most


async def test_urls_are_asked_for_in_windows(
    client: UploadClient, service: Service, long_movie: Path
) -> None:
    await client.upload_file(long_movie, concurrency=8)

    assert service.requests("Initialize")[0].presign_parts == 16
    assert asked(service) == [
        [(17, 32)], [(33, 48)], [(49, 64)], [(65, 80)], [(81, 96)], [(97, 100)],
    ]  # fmt: skip


async def test_a_window_is_at_most_64_parts(
    client: UploadClient, service: Service, long_movie: Path
) -> None:
    await client.upload_file(long_movie, concurrency=100)

    assert service.requests("Initialize")[0].presign_parts == 64
    assert asked(service) == [[(65, 100)]]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 520, 522, 524, 529])
async def test_a_passing_failure_of_storage_is_tried_again(
    client: UploadClient, storage: Storage, movie: Path, status: int
) -> None:
    storage.fail(4, answering(status), refusing(status, "SlowDown"))

    uploaded = await client.upload_file(movie)

    assert uploaded.parts_retried == 2
    assert storage.bytes_of(uploaded.upload_id) == content(movie)


@pytest.mark.parametrize("code", ["RequestTimeout", "IncompleteBody"])
async def test_a_400_that_is_a_timeout_is_tried_again(
    client: UploadClient, storage: Storage, movie: Path, code: str
) -> None:
    storage.fail(4, answering(400, code))

    assert (await client.upload_file(movie)).parts_retried == 1


async def test_a_broken_connection_is_tried_again(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    # aiohttp repeats a request once by itself, if it used a kept-alive connection.
    storage.fail(4, resetting, resetting, resetting)

    uploaded = await client.upload_file(movie)

    assert uploaded.parts_retried >= 1
    assert storage.bytes_of(uploaded.upload_id) == content(movie)


async def test_waits_grow_and_are_jittered(
    service: Service, storage: Storage, slept: Slept, state_dir: Path, movie: Path
) -> None:
    storage.fail(4, *[answering(503)] * 4)
    half = pace(slept, random=lambda: 0.5)

    async with UploadClient(service.address, state_dir=state_dir, pace=half) as client:
        await client.upload_file(movie, concurrency=1)

    assert slept.seconds == [0.375, 0.75, 1.5, 3.0]


async def test_a_part_is_given_up_after_twenty_tries_without_progress(
    client: UploadClient, storage: Storage, slept: Slept, movie: Path
) -> None:
    storage.fail(1, *[answering(503, "SlowDown")] * 50)

    with pytest.raises(TransferFailed, match="503 SlowDown; upload again to send only") as caught:
        await client.upload_file(movie, concurrency=1)

    assert storage.numbers_put() == [1] * 20
    assert (caught.value.status, caught.value.code) == (503, "SlowDown")


async def test_a_part_is_not_given_up_while_others_are_finished(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    """Let part 1 fail 14 times; after its seventh failure part 2 succeeds."""
    second = asyncio.Event()
    failed = 0

    async def failing(request: web.Request) -> web.StreamResponse:
        nonlocal failed
        failed += 1
        if failed == 7:
            second.set()
            await until(lambda: 2 in storage.stored[request.query["uploadId"]])
        return await answering(503)(request)  # type: ignore[return-value]

    storage.fail(1, *[failing] * 14)
    storage.fail(2, waiting(second))

    uploaded = await client.upload_file(movie, concurrency=2)

    assert uploaded.parts_retried == 14


@pytest.fixture
async def loop_clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    return LoopClock(monkeypatch)


def stalling(loop_clock: LoopClock, slept: Slept, storage: Storage) -> Fault:
    """Take one byte and no more, until the client backs off or the storage ends."""

    async def fault(request: web.Request) -> None:
        await request.content.read(1)
        before = len(slept.seconds)
        while len(slept.seconds) == before and not storage.finished.is_set():
            loop_clock.skip(STALL_SECONDS)
            await asyncio.sleep(0.001)

    return fault


async def test_a_stalled_connection_is_noticed(
    client: UploadClient,
    service: Service,
    storage: Storage,
    slept: Slept,
    loop_clock: LoopClock,
    tmp_path: Path,
) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(30_000_000))  # More than the socket's buffers take.
    service.part_size = 30_000_000
    storage.fail(1, stalling(loop_clock, slept, storage))

    uploaded = await client.upload_file(big)

    assert uploaded.parts_retried == 1


async def test_a_reply_that_never_comes_is_noticed(
    client: UploadClient, storage: Storage, slept: Slept, loop_clock: LoopClock, movie: Path
) -> None:
    storage.fail(1, *[stalling(loop_clock, slept, storage)] * 20)

    with pytest.raises(TransferFailed, match=f"nothing moved for {STALL_SECONDS} seconds"):
        await client.upload_file(movie, concurrency=1)


async def test_a_slow_connection_that_moves_is_no_stalled_one(
    service: Service,
    storage: Storage,
    slept: Slept,
    loop_clock: LoopClock,
    state_dir: Path,
    tmp_path: Path,
) -> None:
    """Take each piece well in time, but all of them in longer than a stall."""
    service.part_size = 30_000_000
    big = tmp_path / "big"
    big.write_bytes(bytes(30_000_000))
    moved = 0

    def note(progress: Progress) -> None:
        nonlocal moved
        moved = progress.bytes_done

    def moved_beyond(seen: int) -> bool:
        return moved > seen

    async def storing(request: web.Request) -> web.StreamResponse:
        seen = 0
        for _ in range(4):
            await request.content.readexactly(4_000_000)
            await until(partial(moved_beyond, seen))
            seen = moved
            loop_clock.skip(STALL_SECONDS * 0.8)
        async for _ in request.content.iter_any():
            pass
        storage.stored[request.query["uploadId"]][1] = 30_000_000
        return web.Response()

    storage.fail(1, storing)
    # A second between two looks at the clock: no progress is left out.
    seconds = itertools.count()
    noted = pace(slept, monotonic=lambda: float(next(seconds)))

    async with UploadClient(service.address, state_dir=state_dir, pace=noted) as client:
        uploaded = await client.upload_file(big, on_progress=note)

    assert uploaded.parts_retried == 0


@pytest.mark.parametrize(
    "fault",
    [
        answering(403, "AccessDenied"),
        refusing(403, "AccessDenied"),
        answering(400, "ExpiredToken"),
        answering(400, "AccessDenied", "Request has expired"),
    ],
)
async def test_a_refused_url_is_asked_for_again(
    client: UploadClient, service: Service, storage: Storage, movie: Path, fault: Fault
) -> None:
    storage.fail(10, fault)

    uploaded = await client.upload_file(movie)

    assert storage.bytes_of(uploaded.upload_id) == content(movie)
    assert asked(service) == [[(10, 10)]]


async def test_urls_that_ran_out_while_others_were_sent_are_asked_for_again(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    def expire(upload: str, number: int) -> None:
        if number == 4:
            storage.refused_serials = service.serial + 1

    storage.on_stored = expire

    uploaded = await client.upload_file(movie, concurrency=1)

    assert storage.bytes_of(uploaded.upload_id) == content(movie)
    assert uploaded.parts_retried == 1
    assert asked(service) == [[(5, 10)]]


async def test_a_url_about_to_run_out_is_not_used(
    service: Service, storage: Storage, slept: Slept, state_dir: Path, movie: Path
) -> None:
    service.url_seconds = 60
    monotonic = 0.0

    def later(upload: str, number: int) -> None:
        nonlocal monotonic
        if number == 4:
            monotonic += 45.0

    storage.on_stored = later
    timed = pace(slept, monotonic=lambda: monotonic)

    async with UploadClient(service.address, state_dir=state_dir, pace=timed) as client:
        uploaded = await client.upload_file(movie, concurrency=1)

    assert uploaded.parts_retried == 0
    assert asked(service) == [[(5, 10)]]


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)])
async def test_a_wrong_clock_costs_no_calls(
    service: Service, slept: Slept, state_dir: Path, movie: Path, ahead: timedelta
) -> None:
    wrong = pace(slept, now=lambda: datetime.now(UTC) + ahead)

    async with UploadClient(service.address, state_dir=state_dir, pace=wrong) as client:
        uploaded = await client.upload_file(movie)

    assert uploaded.rpcs == 2


async def test_an_object_that_is_there_already_is_left_to_complete(
    client: UploadClient, service: Service, storage: Storage, tmp_path: Path
) -> None:
    """Lose the answer to a single PUT; the next try finds the object."""
    small = tmp_path / "small"
    small.write_bytes(b"small")

    async def stored_but_lost(request: web.Request) -> web.StreamResponse:
        storage.stored[request.query["uploadId"]][1] = len(await request.read())
        return await resetting(request)

    storage.fail(1, stored_but_lost, answering(412, "PreconditionFailed"))

    assert (await client.upload_file(small)).etag == "final"


async def test_a_412_in_a_multipart_upload_is_an_error(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    storage.fail(2, answering(412, "PreconditionFailed"))

    with pytest.raises(TransferFailed, match="412 PreconditionFailed"):
        await client.upload_file(movie)


async def test_a_refusal_for_good_ends_the_upload_at_once(
    client: UploadClient, storage: Storage, slept: Slept, movie: Path
) -> None:
    storage.fail(1, answering(400, "EntityTooLarge"))

    with pytest.raises(TransferFailed, match="400 EntityTooLarge"):
        await client.upload_file(movie, concurrency=1)

    assert storage.numbers_put() == [1]
    assert slept.seconds == []


async def test_a_storage_that_cannot_be_reached_is_named(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    address, storage.base = storage.base, "http://127.0.0.1:9"

    with pytest.raises(TransferFailed, match=r"no connection to 127.0.0.1:9: Connection refused"):
        await client.upload_file(movie)

    assert address


async def test_an_upload_that_someone_else_completed_ends_well(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    async def completed(request: web.Request) -> web.StreamResponse:
        await request.read()
        service.only().state = pb.UPLOAD_STATE_COMPLETED
        service.only().object.etag = "theirs"
        return web.Response(status=404, text="<Error><Code>NoSuchUpload</Code></Error>")

    storage.fail(5, completed)

    assert (await client.upload_file(movie, concurrency=1)).etag == "theirs"


async def test_an_upload_that_was_aborted_meanwhile_says_so(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    async def aborted(request: web.Request) -> web.StreamResponse:
        await request.read()
        service.only().state = pb.UPLOAD_STATE_ABORTED
        service.only().abort_reason = pb.ABORT_REASON_REQUESTED
        return web.Response(status=404, text="<Error><Code>NoSuchUpload</Code></Error>")

    storage.fail(5, aborted)

    with pytest.raises(UploadAborted, match=r"aborted at the service \(requested\)"):
        await client.upload_file(movie, concurrency=1)


async def test_an_upload_past_its_deadline_says_so(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(5, answering(403))
    service.fail("PresignParts", not_active(pb.UPLOAD_STATE_ACTIVE, "ABORT_REASON_EXPIRED"))

    with pytest.raises(UploadAborted, match="expired"):
        await client.upload_file(movie, concurrency=1)


async def test_an_upload_that_storage_lost_is_given_up_after_three_rounds(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(1, *[answering(404, "NoSuchUpload")] * 9)

    with pytest.raises(TransferFailed, match="does not know the multipart upload"):
        await client.upload_file(movie, concurrency=1)

    assert storage.numbers_put() == [1, 1, 1]


def overwrite(path: Path) -> None:
    path.write_bytes(b"?" * path.stat().st_size)


def truncate(path: Path) -> None:
    os.truncate(path, 1000)


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("change", [overwrite, truncate, replace])
async def test_a_file_that_changes_is_not_uploaded(
    client: UploadClient,
    service: Service,
    storage: Storage,
    state_dir: Path,
    movie: Path,
    change: Callable[[Path], None],
) -> None:
    storage.on_stored = lambda upload, number: change(movie) if number == 4 else None

    with pytest.raises(FileChanged, match="the file changed while it was sent, and the upload was"):
        await client.upload_file(movie, concurrency=1)

    assert service.only().state == pb.UPLOAD_STATE_ABORTED
    assert names(state_dir) == []


async def test_a_file_that_is_deleted_is_sent_to_its_end(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    whole = content(movie)
    storage.on_stored = lambda upload, number: movie.unlink(missing_ok=True)

    uploaded = await client.upload_file(movie, concurrency=1)

    assert storage.bytes_of(uploaded.upload_id) == whole


async def test_a_file_that_changed_too_late_to_abort_says_what_storage_holds(
    client: UploadClient, service: Service, storage: Storage, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"small")

    def stored(upload: str, number: int) -> None:
        overwrite(small)
        service.only().state = pb.UPLOAD_STATE_COMPLETED

    storage.on_stored = stored

    with pytest.raises(FileChanged, match="the object in storage may be a mixture") as caught:
        await client.upload_file(small)

    assert caught.value.stored


async def test_a_disk_that_fails_is_no_network_error(
    client: UploadClient, storage: Storage, movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(source: FileSource, offset: int, size: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(FileSource, "read", failing)

    with pytest.raises(FileUnreadable, match="cannot read movie.mp4: Input/output error"):
        await client.upload_file(movie)

    assert len(storage.puts) <= 8


async def test_a_failed_part_is_taken_back_from_the_progress(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    storage.fail(1, answering(503))
    seen: list[Progress] = []

    await client.upload_file(movie, concurrency=1, on_progress=seen.append)

    assert max(progress.bytes_done for progress in seen) == size(movie)


async def test_no_log_and_no_error_holds_a_url_or_an_id(
    client: UploadClient,
    service: Service,
    storage: Storage,
    movie: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    storage.fail(1, answering(403), resetting, resetting, *[answering(500)] * 20)

    with pytest.raises(TransferFailed) as caught:
        await client.upload_file(movie, concurrency=1)

    texts = [record.getMessage() for record in caplog.records]
    error: BaseException | None = caught.value
    while error is not None:
        texts.append(repr(error))
        error = error.__cause__ or error.__context__
    # The server of this test is the one that may name the request.
    assert not [line for line in texts if "X-Amz" in line or service.only().id in line]


async def test_a_part_that_does_not_get_through_is_said_with_the_reason(
    client: UploadClient, storage: Storage, movie: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage.fail(2, *[answering(503, "SlowDown")] * 3)

    await client.upload_file(movie, concurrency=1)

    # Not of a single failure, and not of all that follow at once.
    assert [record.getMessage() for record in caplog.records] == [
        "part 2: it answers 503 SlowDown; try 3 of 20"
    ]
