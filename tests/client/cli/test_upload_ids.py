"""Tests how commands name an upload: by its id, the beginning of its sid, or as the last one."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from partway.v1 import upload_pb2 as pb
from partway_client import UploadClient, UploadInfo
from partway_client.cli.output import short_ids
from partway_client.models import Checksum, State

from tests.client.command import Partway
from tests.client.files import write
from tests.client.service import Service
from tests.client.storage import Storage, answering

ONE = "aaaa1111bbbb0000" * 2
TWO = "aaaa1111bbbc0000" * 2
OTHER = "0123456789abcdef" * 2


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


@pytest.fixture
async def uploads(client: UploadClient, service: Service, tmp_path: Path) -> dict[str, pb.Upload]:
    """Upload three files, and return their Uploads by sid."""
    service.sids.extend([ONE, TWO, OTHER])
    for name in ("one", "two", "other"):
        write(tmp_path / name, name.encode())
        await client.upload_file(tmp_path / name)
    return dict(zip([ONE, TWO, OTHER], service.uploads.values(), strict=True))


def info(key: str) -> UploadInfo:
    now = datetime.now(UTC)
    return UploadInfo(
        *("id", State.ACTIVE, "default", "bucket", key, "", "", "", Checksum.NONE, "", 1, 1, 1, ""),
        *(now, now, "", ""),
    )


def test_the_sid_is_found_in_the_key() -> None:
    assert info(f"acme/2026/03/01/{ONE}-{'0' * 28}/a.mp4").sid == ONE
    assert info(f"acme/{ONE}/a.mp4").sid == ""


def test_short_ids_are_as_long_as_they_must_be() -> None:
    keys = [f"{sid}-{'0' * 28}" for sid in (ONE, TWO, OTHER)]
    assert short_ids([info(key) for key in keys]) == [sid[:12] for sid in (ONE, TWO, OTHER)]
    assert short_ids([info(keys[0]), info("none")]) == [ONE[:8], "-"]
    assert short_ids([]) == []


@pytest.mark.usefixtures("uploads")
async def test_list_shows_them_with_times_in_a_zone(partway: Partway) -> None:
    shown = await partway.run("list")
    printed = await partway.run("list", "--json", "--limit", "1")

    first = shown.stdout.splitlines()[0]
    assert first.startswith(f"{OTHER[:12]}  completed  20")
    assert " UTC  5 bytes  s3://" in first
    assert json.loads(printed.stdout)["sid"] == OTHER


async def test_a_beginning_that_only_one_has_is_enough(
    partway: Partway, uploads: dict[str, pb.Upload]
) -> None:
    for given in (OTHER[:4], TWO[:12], ONE):
        done = await partway.run("status", "--json", given)
        assert json.loads(done.stdout)["sid"].startswith(given)
    assert (await partway.run("status", uploads[ONE].id)).code == 0
    assert (await partway.run("watch", OTHER[:8])).code == 0
    composed = await partway.run("compose", "--name", "whole", ONE[:12], TWO[:12])
    assert composed.code == 0, composed.stderr


@pytest.mark.usefixtures("uploads")
async def test_what_is_not_one_upload_is_an_error_that_says_which_there_are(
    partway: Partway, service: Service
) -> None:
    several = await partway.run("abort", "aaaa1111")
    unknown = await partway.run("abort", "ffff")
    short = await partway.run("abort", "aaa")

    assert (several.code, unknown.code, short.code) == (1, 1, 1)
    assert several.stderr == (
        "Error: aaaa1111 is the beginning of 2 uploads; give more of one:"
        " aaaa1111bbbc (completed, two), aaaa1111bbbb (completed, one)\n"
    )
    assert unknown.stderr == (
        "Error: none of your newest 10,000 uploads begins with ffff; see partway list\n"
    )
    assert "aaa is too short; give 4 characters or more" in short.stderr
    assert service.count("Abort") == 0


async def test_a_dash_is_the_last_upload_that_was_started_here(
    partway: Partway, service: Service, storage: Storage, movie: Path
) -> None:
    none = await partway.run("status", "-")
    storage.fail(3, answering(400))
    await partway.run("upload", "--concurrency", "1", movie)
    stopped = await partway.run("status", "--json", "-")
    parts = await partway.run("parts", "-")
    await partway.run("upload", "-", content=b"hello")
    done = await partway.run("status", "--json", "-")
    other = await partway.run("status", "--tenant", "acme", "-")

    assert none.code == other.code == 1
    assert f"no upload to {service.address} was started here lately" in none.stderr
    first, second = service.uploads
    assert json.loads(stopped.stdout)["upload_id"] == first
    assert len(parts.stdout.splitlines()) == 2
    assert json.loads(done.stdout)["upload_id"] == second


async def test_a_record_that_cannot_be_read_is_said(
    partway: Partway, movie: Path, state_dir: Path
) -> None:
    await partway.run("upload", movie)
    record = state_dir / next(iter(os.listdir(state_dir)))
    write(record, b"{")

    done = await partway.run("status", "-")

    assert done.code == 1
    assert "cannot be read; name the upload: see partway list" in done.stderr


async def test_an_upload_that_is_sent_for_another_may_be_given_so(
    partway: Partway, service: Service, uploads: dict[str, pb.Upload], tmp_path: Path
) -> None:
    uploads[OTHER].state = pb.UPLOAD_STATE_ACTIVE

    done = await partway.run("upload", "--upload-id", OTHER[:8], tmp_path / "other")

    assert done.code == 0, done.stderr
    assert service.requests("Complete")[-1].upload_id == uploads[OTHER].id
