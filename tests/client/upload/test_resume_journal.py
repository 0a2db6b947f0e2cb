"""Tests what is remembered between two runs, and how a second run uses it."""

import asyncio
import errno
import json
import os
import time
from pathlib import Path

import pytest
from partway.v1 import upload_pb2 as pb
from partway_client import (
    FileBusy,
    PartwayError,
    Phase,
    Progress,
    TransferFailed,
    UploadClient,
    Uploaded,
)

from tests.client.files import content, names, only_entry
from tests.client.pacing import Slept, pace, until
from tests.client.service import Failure, Service
from tests.client.storage import Storage, answering, waiting

FATAL = answering(400, "EntityTooLarge")


async def stop_at(client: UploadClient, storage: Storage, movie: Path, number: int) -> None:
    """Upload the parts before `number`, then fail permanently."""
    storage.fail(number, FATAL)
    with pytest.raises(TransferFailed):
        await client.upload_file(movie, concurrency=1)
    storage.puts.clear()


async def test_a_second_run_sends_only_what_is_missing(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    await stop_at(client, storage, movie, 8)
    seen: list[Progress] = []

    uploaded = await client.upload_file(movie, on_progress=seen.append)

    assert sorted(storage.numbers_put()) == [8, 9, 10]
    assert (uploaded.parts_resumed, uploaded.parts_sent) == (7, 3)
    assert storage.bytes_of(uploaded.upload_id) == content(movie)
    sending = next(progress for progress in seen if progress.phase is Phase.SENDING)
    assert sending.bytes_done == sending.bytes_resumed == 7 * 64 * 1024


async def test_a_stored_part_of_the_wrong_size_is_not_trusted(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    await stop_at(client, storage, movie, 8)
    storage.stored[service.only().id][2] = 17

    await client.upload_file(movie)

    assert sorted(storage.numbers_put()) == [2, 8, 9, 10]


async def test_a_finished_upload_is_forgotten(
    client: UploadClient, service: Service, state_dir: Path, movie: Path
) -> None:
    await client.upload_file(movie)

    assert names(state_dir) == []
    assert (await client.upload_file(movie)).parts_sent == 10
    assert len(service.uploads) == 2


async def test_an_upload_that_nobody_could_be_told_of_is_told_again(
    client: UploadClient, service: Service, storage: Storage, state_dir: Path, movie: Path
) -> None:
    results: list[Uploaded] = []

    def fail(uploaded: Uploaded) -> None:
        results.append(uploaded)
        raise OSError("the program that was to hear of it has gone")

    with pytest.raises(OSError, match="has gone"):
        await client.upload_file(movie, on_done=fail)
    storage.puts.clear()
    again = await client.upload_file(movie, on_done=results.append)

    assert results[1] is again
    assert (again.upload_id, again.etag) == (results[0].upload_id, results[0].etag)
    assert storage.numbers_put() == []
    assert len(service.uploads) == 1
    assert names(state_dir) == []


async def test_a_lost_answer_to_initialize_leads_to_the_same_upload(
    client: UploadClient, service: Service, slept: Slept, movie: Path
) -> None:
    service.lose_initialize = True

    await client.upload_file(movie)

    assert len(service.uploads) == 1


async def test_a_run_killed_before_the_answer_to_initialize_leads_to_the_same_upload(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.fail("Initialize", *[Failure("UNAVAILABLE")] * 4)
    with pytest.raises(PartwayError):
        await client.upload_file(movie)

    await client.upload_file(movie)

    assert len({request.request_id for request in service.requests("Initialize")}) == 1


async def test_the_request_id_is_on_disk_before_initialize(
    client: UploadClient, service: Service, state_dir: Path, movie: Path
) -> None:
    service.fail("Initialize", Failure("PERMISSION_DENIED"))
    with pytest.raises(PartwayError):
        await client.upload_file(movie)

    entry = only_entry(state_dir)

    kept = json.loads(content(entry))
    assert kept == {"request_id": service.requests("Initialize")[0].request_id, "upload_id": ""}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small"
    path.write_bytes(b"small")
    return path


async def test_the_id_of_a_small_file_is_on_disk_before_its_part_is_sent(
    client: UploadClient, service: Service, storage: Storage, state_dir: Path, small: Path
) -> None:
    """By its request_id alone, a Redis that lost the row would begin another Upload."""
    storage.fail(1, answering(400))
    with pytest.raises(TransferFailed):
        await client.upload_file(small)

    assert json.loads(content(only_entry(state_dir)))["upload_id"] == service.only().id


async def test_an_entry_holds_two_ids_and_only_the_user_may_read_it(
    client: UploadClient, service: Service, storage: Storage, state_dir: Path, movie: Path
) -> None:
    await stop_at(client, storage, movie, 3)

    entry = only_entry(state_dir)

    kept = json.loads(content(entry))
    assert kept["upload_id"] == service.only().id
    assert sorted(kept) == ["request_id", "upload_id"]
    assert entry.stat().st_mode & 0o777 == 0o600


async def test_an_upload_completed_meanwhile_is_returned_at_once(
    client: UploadClient, service: Service, storage: Storage, state_dir: Path, movie: Path
) -> None:
    await stop_at(client, storage, movie, 8)
    service.only().state = pb.UPLOAD_STATE_COMPLETED
    service.only().object.etag = "done"

    uploaded = await client.upload_file(movie)

    assert (uploaded.etag, uploaded.parts_resumed, uploaded.bytes_sent) == ("done", 10, 0)
    assert storage.puts == []
    assert names(state_dir) == []


async def test_an_upload_that_is_completing_is_waited_for(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    await stop_at(client, storage, movie, 8)
    service.only().state = pb.UPLOAD_STATE_COMPLETING
    service.polls = 3

    assert (await client.upload_file(movie)).etag == "final"
    assert storage.puts == []


@pytest.mark.parametrize("state", [pb.UPLOAD_STATE_ABORTED, pb.UPLOAD_STATE_ABORTING])
async def test_an_aborted_upload_begins_anew(
    client: UploadClient,
    service: Service,
    storage: Storage,
    movie: Path,
    state: "pb.UploadState.ValueType",
) -> None:
    await stop_at(client, storage, movie, 8)
    service.only().state = state

    uploaded = await client.upload_file(movie)

    assert len(service.uploads) == 2
    assert (uploaded.parts_sent, uploaded.parts_resumed) == (10, 0)


async def test_an_upload_the_service_does_not_know_begins_anew(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    await stop_at(client, storage, movie, 8)
    service.uploads.clear()
    service.by_request.clear()

    assert (await client.upload_file(movie)).parts_sent == 10


async def test_an_upload_past_its_deadline_begins_anew(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    await stop_at(client, storage, movie, 8)
    service.fail(
        "ListParts",
        Failure(
            "FAILED_PRECONDITION",
            "UPLOAD_NOT_ACTIVE",
            {"state": "UPLOAD_STATE_ACTIVE", "abort_reason": "ABORT_REASON_EXPIRED"},
        ),
    )

    assert (await client.upload_file(movie)).parts_sent == 10


async def test_a_reused_request_id_is_replaced(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.fail("Initialize", Failure("PERMISSION_DENIED"))
    with pytest.raises(PartwayError):
        await client.upload_file(movie)
    service.fail("Initialize", Failure("INVALID_ARGUMENT", "REQUEST_ID_REUSED"))

    await client.upload_file(movie)

    ids = [request.request_id for request in service.requests("Initialize")]
    assert ids[0] == ids[1] != ids[2]


async def test_without_resume_the_entry_is_replaced(
    client: UploadClient, service: Service, storage: Storage, state_dir: Path, movie: Path
) -> None:
    await stop_at(client, storage, movie, 8)
    first = service.only().id
    storage.fail(2, FATAL)

    with pytest.raises(TransferFailed):
        await client.upload_file(movie, resume=False, concurrency=1)

    entry = only_entry(state_dir)
    assert json.loads(content(entry))["upload_id"] not in ("", first)


@pytest.mark.parametrize(
    "other",
    [
        {"policy": "films"},
        {"metadata": {"year": "1927"}},
        {"content_type": "video/x-film"},
        {"part_size": 128 * 1024},
    ],
)
async def test_another_wish_is_another_upload(
    client: UploadClient, storage: Storage, movie: Path, other: dict[str, object]
) -> None:
    await stop_at(client, storage, movie, 8)

    assert (await client.upload_file(movie, **other)).parts_resumed == 0  # type: ignore[arg-type]


async def test_another_tenant_is_another_upload(
    client: UploadClient,
    service: Service,
    storage: Storage,
    slept: Slept,
    state_dir: Path,
    movie: Path,
) -> None:
    await stop_at(client, storage, movie, 8)

    async with UploadClient(
        service.address,
        state_dir=state_dir,
        pace=pace(slept),
        call_metadata={"partway-tenant": "acme"},
    ) as other:
        assert (await other.upload_file(movie)).parts_resumed == 0


async def test_a_file_with_another_time_is_another_upload(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    await stop_at(client, storage, movie, 8)
    os.utime(movie, ns=(1, 1))

    assert (await client.upload_file(movie)).parts_resumed == 0


async def test_a_link_leads_to_the_same_upload(
    client: UploadClient, storage: Storage, movie: Path, tmp_path: Path
) -> None:
    await stop_at(client, storage, movie, 8)
    link = tmp_path / "link.mp4"
    link.symlink_to(movie)

    assert (await client.upload_file(link)).parts_resumed == 7


async def test_one_file_is_uploaded_by_one_process_at_a_time(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    gate = asyncio.Event()
    storage.fail(1, waiting(gate))
    first = asyncio.create_task(client.upload_file(movie))
    await until(lambda: storage.open_puts)

    with pytest.raises(FileBusy, match="the file is already being uploaded"):
        await client.upload_file(movie)

    gate.set()
    assert (await first).parts == 10


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
async def test_a_state_directory_that_cannot_be_written_costs_a_warning_only(
    client: UploadClient,
    movie: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: int,
) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", refuse)

    assert (await client.upload_file(movie)).parts_sent == 10
    (warning,) = caplog.messages
    assert os.strerror(code) in warning
    assert "PARTWAY_STATE_DIR" in warning


async def test_a_state_directory_that_is_a_file_costs_a_warning_only(
    service: Service,
    slept: Slept,
    tmp_path: Path,
    movie: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "blocked").touch()

    async with UploadClient(
        service.address, state_dir=tmp_path / "blocked", pace=pace(slept)
    ) as client:
        assert (await client.upload_file(movie)).parts_sent == 10

    assert len(caplog.messages) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"request_id": "x", "upload_id": ""}', "ä"])
async def test_a_damaged_entry_begins_anew(
    client: UploadClient, storage: Storage, state_dir: Path, movie: Path, damage: str
) -> None:
    await stop_at(client, storage, movie, 8)
    entry = only_entry(state_dir)
    entry.write_text(damage, "utf-8")

    assert (await client.upload_file(movie)).parts_sent == 10


async def test_an_entry_is_replaced_as_a_whole(
    client: UploadClient,
    storage: Storage,
    state_dir: Path,
    movie: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Crash before the rename: the old entry stays, and no half-written file."""
    await stop_at(client, storage, movie, 8)
    entry = only_entry(state_dir)
    before = content(entry)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "I/O")))
    storage.fail(1, FATAL)

    with pytest.raises(TransferFailed):
        await client.upload_file(movie, resume=False, concurrency=1)

    assert content(entry) == before
    assert names(state_dir) == [entry.name]


async def test_entries_older_than_30_days_are_pruned(
    client: UploadClient,
    service: Service,
    storage: Storage,
    slept: Slept,
    state_dir: Path,
    movie: Path,
    tmp_path: Path,
) -> None:
    await stop_at(client, storage, movie, 8)
    old = only_entry(state_dir)
    month_ago = time.time() - 31 * 86_400
    os.utime(old, (month_ago, month_ago))
    other = tmp_path / "other"
    other.write_bytes(b"other")

    async with UploadClient(service.address, state_dir=state_dir, pace=pace(slept)) as next_client:
        await next_client.upload_file(other)

    assert names(state_dir) == []


async def test_a_stream_leaves_nothing_behind_but_that_it_was_the_last(
    client: UploadClient, state_dir: Path, movie: Path
) -> None:
    with movie.open("rb") as stream:
        uploaded: Uploaded = await client.upload_file(stream)

    assert uploaded.parts_sent == 10
    assert names(state_dir) == []
    assert names(state_dir.parent) == ["movie.mp4", "state"]
