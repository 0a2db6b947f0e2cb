"""Tests that an Upload whose parts do not fit the line begins again with smaller ones."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from partway.v1 import upload_pb2 as pb
from partway_client import InvalidRequest, TransferFailed, UploadClient
from partway_client._upload.line_record import LineRecord

from tests.client.files import content, only_entry
from tests.client.pacing import Slept, pace
from tests.client.service import Failure, Service
from tests.client.storage import Fault, Storage

MIB = 1024 * 1024
PART = 12 * MIB
DISTANCE = 6 * MIB
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def breaking(distance: int) -> Fault:
    """Break the connection within each part that is longer than `distance`."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if (request.content_length or 0) <= distance:
            return None
        await request.content.readexactly(distance)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return fault


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"".join(bytes([n]) * MIB for n in range(20)))
    return path


@pytest.fixture
async def client(
    service: Service, storage: Storage, slept: Slept, state_dir: Path
) -> AsyncIterator[UploadClient]:
    service.part_size = PART
    storage.fail(0, *[breaking(DISTANCE)] * 200)
    async with UploadClient(service.address, state_dir=state_dir, pace=pace(slept)) as client:
        yield client


async def test_parts_that_never_get_through_become_smaller(
    client: UploadClient,
    service: Service,
    storage: Storage,
    film: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    uploaded = await client.upload_file(film)

    first, second = service.uploads.values()
    assert first.state == pb.UPLOAD_STATE_ABORTED
    assert second.part_size_bytes <= DISTANCE
    assert storage.bytes_of(uploaded.upload_id) == content(film)
    assert any(
        "parts of 12.6 MB do not get through" in message and "beginning again" in message
        for message in caplog.messages
    )


async def test_a_part_size_that_the_user_gave_stays_and_what_would_help_is_said(
    client: UploadClient, service: Service, film: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TransferFailed, match="the connection broke"):
        await client.upload_file(film, part_size=PART)

    assert len(service.uploads) == 1
    assert sum("smaller parts would help" in message for message in caplog.messages) == 1


async def test_a_run_that_is_stopped_in_between_goes_on_with_the_smaller_parts(
    client: UploadClient, service: Service, storage: Storage, film: Path, state_dir: Path
) -> None:
    """Refuse the second Initialize, as if the first run had been killed there."""

    def refuse(upload: str, number: int) -> None:
        raise AssertionError("no part of the first Upload gets through")

    storage.on_stored = refuse
    service.lose_initialize = False
    original = service._new

    def first_only(request: object) -> pb.Upload:
        service._new = original  # type: ignore[method-assign]
        service.fail("Initialize", Failure("INVALID_ARGUMENT", "INVALID_REQUEST"))
        return original(request)

    service._new = first_only  # type: ignore[method-assign]
    with pytest.raises(InvalidRequest):
        await client.upload_file(film)
    kept = json.loads(only_entry(state_dir).read_text())
    assert (kept["upload_id"], kept["begun_again"]) == ("", True)
    storage.on_stored = lambda upload, number: None

    uploaded = await client.upload_file(film)

    _, refused, last = service.requests("Initialize")
    assert refused.request_id == last.request_id == kept["request_id"]
    assert last.part_size_bytes == kept["part_size"] <= DISTANCE
    assert storage.bytes_of(uploaded.upload_id) == content(film)


async def test_an_upload_that_was_replaced_is_aborted_by_the_next_run(
    client: UploadClient, service: Service, film: Path, state_dir: Path
) -> None:
    service.fail("Abort", *[Failure("UNAVAILABLE")] * 100)

    await client.upload_file(film)

    first, second = service.uploads.values()
    # It could not be: it expires.
    assert first.state == pb.UPLOAD_STATE_ACTIVE
    assert second.state == pb.UPLOAD_STATE_COMPLETED


@pytest.mark.parametrize(
    ("rate", "age", "asked"),
    [
        (500_000, timedelta(minutes=59), 7 * MIB),
        (500_000, timedelta(minutes=61), 0),
        (500_000, timedelta(minutes=-5), 0),
        (1_200_000, timedelta(), 0),
        (50_000_000, timedelta(), 0),
    ],
    ids=["known", "too old", "from the future", "not smaller", "fast"],
)
async def test_a_rate_measured_within_the_hour_sets_the_part_size(
    service: Service,
    storage: Storage,
    slept: Slept,
    tmp_path: Path,
    film: Path,
    rate: float,
    age: timedelta,
    asked: int,
) -> None:
    LineRecord.of(tmp_path, service.address, lambda: NOW - age).keep(rate, 10.0, last=True)
    timed = pace(slept, now=lambda: NOW)
    storage.keep_bytes, service.part_size = False, PART

    async with UploadClient(service.address, state_dir=tmp_path, pace=timed) as client:
        await client.upload_file(film)

    (request,) = service.requests("Initialize")
    assert request.part_size_bytes == asked


def test_a_record_that_cannot_be_read_or_written_is_none(tmp_path: Path) -> None:
    record = LineRecord.of(tmp_path / "gone", "server", lambda: NOW)

    record.keep(1_000_000, 10.0, last=True)
    assert record.rate() == 0

    (tmp_path / "gone").mkdir()
    record.path.write_text('{"bytes_per_second": "much"}')
    assert record.rate() == 0


def test_a_moment_is_no_measurement(tmp_path: Path) -> None:
    record = LineRecord.of(tmp_path, "server", lambda: NOW)

    record.keep(1_000_000, 2.9, last=True)

    assert record.rate() == 0
