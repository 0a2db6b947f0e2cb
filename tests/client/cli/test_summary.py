"""Tests the summary of `partway upload`, and its exit code."""

import json
from pathlib import Path

import pytest
from partway_client.cli.summary import Summary, transferred

from tests.client.command import Partway
from tests.client.service import Service
from tests.client.storage import Storage, answering


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


def test_it_is_one_line_with_all_that_happened() -> None:
    summary = Summary(
        files=9,
        uploaded=3,
        uploaded_before=2,
        skipped=1,
        failed=1,
        deleted=2,
        kept=1,
        size_bytes=3_000_000,
        bytes_sent=4_000_000,
        bytes_resent=1_000_000,
        bytes_via_service=500_000,
        seconds=2.0,
    )

    assert summary.words() == (
        "6 of 9 files, 3.0 MB in 2.0 s, 2.0 MB/s; 1.0 MB sent again; 500.0 kB went through the"
        " service; 2 uploaded by an earlier run; 1 skipped; 2 deleted here; 1 not deleted; 1 failed"
    )
    assert not summary.succeeded
    assert summary.facts()["bytes_per_second"] == 2_000_000


def test_what_did_not_happen_is_left_out() -> None:
    assert Summary(files=1, uploaded=1).words() == "1 file, 0 bytes in 0.0 s"
    assert transferred(Summary(2, size_bytes=5, bytes_sent=5, seconds=1.0)) == (
        "5 bytes in 1.0 s, 5 bytes/s"
    )


async def test_json_is_one_object_for_one_file_and_ends_with_it_for_several(
    partway: Partway, movie: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"x" * 100)

    one = await partway.run("upload", "--json", movie)
    several = await partway.run("upload", "--json", movie, other, tmp_path / "gone")

    assert (one.code, several.code) == (0, 1)
    assert json.loads(one.stdout)["size_bytes"] == 589_831
    found = several.summary
    assert found["seconds"] > 0 and found["bytes_per_second"] > 0
    assert (found["files"], found["uploaded"], found["failed"]) == (3, 2, 1)
    assert found["size_bytes"] == found["bytes_sent"] == 589_831 + 100


async def test_what_had_to_be_sent_again_is_said(
    partway: Partway, storage: Storage, movie: Path
) -> None:
    storage.fail(3, answering(503))

    done = await partway.run("upload", "--json", movie)

    [uploaded] = done.results
    assert uploaded["bytes_resent"] == 65_536
    assert "; 65.5 kB sent again" in done.stderr


async def test_a_part_from_before_is_not_one_that_was_sent_again(
    partway: Partway, storage: Storage, movie: Path
) -> None:
    storage.fail(7, answering(400))
    assert (await partway.run("upload", "--concurrency", "1", movie)).code == 1

    done = await partway.run("upload", "--json", movie)

    [uploaded] = done.results
    assert (uploaded["parts_resumed"], uploaded["bytes_resent"]) == (6, 0)


async def test_no_retries_fail_at_the_first_failure(
    partway: Partway, storage: Storage, movie: Path
) -> None:
    storage.fail(3, answering(503), answering(503))

    never = await partway.run("upload", "--retries", "0", movie)
    once = await partway.run("upload", "--retries", "1", movie)

    assert (never.code, once.code) == (1, 0)
    assert "it answers 503" in never.stderr
