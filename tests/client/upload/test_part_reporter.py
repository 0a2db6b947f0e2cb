"""Tests that sent parts are reported, in parallel with the upload and never delaying it."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from partway_client import TransferFailed, UploadClient

from tests.client.pacing import Slept, pace, until
from tests.client.service import Failure, Service
from tests.client.storage import Storage, answering, waiting


@pytest.fixture
def options() -> dict[str, Any]:
    """Return a client that reports each part at once, unless a report is in flight."""
    return {"report_seconds": 0.0}


@pytest.fixture
async def client(
    service: Service, slept: Slept, state_dir: Path, options: dict[str, Any]
) -> AsyncIterator[UploadClient]:
    reporting = pace(slept, **options)
    async with UploadClient(service.address, state_dir=state_dir, pace=reporting) as client:
        yield client


def reports(service: Service) -> list[list[int]]:
    """Return the part numbers in each report."""
    requests = service.requests("ReportParts")
    return [[part.part_number for part in request.parts] for request in requests]


async def test_parts_are_reported_with_their_sizes_while_others_are_sent(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    gate = asyncio.Event()
    storage.fail(9, waiting(gate))
    upload = asyncio.create_task(client.upload_file(movie, concurrency=1))
    await until(lambda: 9 in storage.numbers_put() and reports(service))
    # Parts sent while a report was in flight go with the next.
    reported = service.reported[service.only().id]
    assert reported <= set(range(1, 9))
    gate.set()

    uploaded = await upload

    numbers = [n for report in reports(service) for n in report]
    assert len(numbers) == len(set(numbers))
    sizes = {p.part_number: p.size_bytes for r in service.requests("ReportParts") for p in r.parts}
    assert all(size == 64 * 1024 for number, size in sizes.items() if number < 10)
    assert uploaded.rpcs == len(service.calls)


@pytest.mark.parametrize("options", [{"report_seconds": 1.0, "monotonic": count(0, 0.2).__next__}])
async def test_reports_are_a_second_apart(
    client: UploadClient, service: Service, movie: Path, options: dict[str, Any]
) -> None:
    await client.upload_file(movie, concurrency=1)

    assert 1 <= len(reports(service)) < 9


@pytest.mark.parametrize("options", [{"report_seconds": 1e9}])
async def test_a_crowd_of_parts_does_not_wait(
    client: UploadClient, service: Service, tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "many"
    path.write_bytes(bytes(600 * 100))
    await client.upload_file(path, part_size=100)

    first, *_ = reports(service)
    assert len(first) == 256


@pytest.mark.parametrize(
    "failure", [Failure("UNIMPLEMENTED"), Failure("NOT_FOUND", "UPLOAD_NOT_FOUND")]
)
async def test_a_service_that_takes_no_reports_is_asked_once(
    client: UploadClient, service: Service, movie: Path, failure: Failure
) -> None:
    service.fail("ReportParts", failure)

    uploaded = await client.upload_file(movie, concurrency=1)

    assert (uploaded.parts_sent, uploaded.parts_retried) == (10, 0)
    assert service.count("ReportParts") == 1


@pytest.mark.parametrize("options", [{"report_seconds": 1.0, "monotonic": count(0, 0.6).__next__}])
async def test_a_report_that_failed_is_told_with_the_next_and_more_seldom(
    client: UploadClient,
    service: Service,
    movie: Path,
    options: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.fail("ReportParts", Failure("UNAVAILABLE", "SESSIONS_UNAVAILABLE"))

    uploaded = await client.upload_file(movie, concurrency=1)

    first, second, *_ = reports(service)
    assert set(first) < set(second)
    assert uploaded.parts_sent == 10
    assert caplog.messages == []


async def test_a_report_that_hangs_holds_nothing_up(
    client: UploadClient, service: Service, movie: Path
) -> None:
    met, gate = service._met, asyncio.Event()

    async def slow(rpc: str, request: Any, context: Any) -> None:
        await met(rpc, request, context)
        if rpc == "ReportParts":
            await gate.wait()

    service._met = slow  # type: ignore[method-assign]

    assert (await client.upload_file(movie)).parts_sent == 10
    assert service.count("ReportParts") == 1
    gate.set()


async def test_of_one_part_nothing_is_reported(
    client: UploadClient, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "small"
    path.write_bytes(b"small")

    await client.upload_file(path)

    assert service.count("ReportParts") == 0


async def test_what_storage_held_before_is_reported_too(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(5, answering(400, "EntityTooLarge"))
    with pytest.raises(TransferFailed):
        await client.upload_file(movie, concurrency=1)
    service.reported.clear()
    before = len(reports(service))

    await client.upload_file(movie)

    # The first attempt's last report may come only now.
    assert {1, 2, 3, 4} <= {number for report in reports(service)[before:] for number in report}
