"""Tests `partway upload` of several files: together, and file by file where it was stopped."""

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.client.command import Partway, ended
from tests.client.files import content, names, write
from tests.client.pacing import until
from tests.client.service import Service
from tests.client.storage import Storage, answering, waiting


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


async def stopped_in_the_third(partway: Partway, storage: Storage, clips: Sequence[Path]) -> str:
    """Upload one after the other, press Ctrl-C in the third; return what was printed."""
    at_once = asyncio.Event()
    at_once.set()
    storage.fail(1, waiting(at_once), waiting(at_once), waiting(storage.finished))
    process = await partway.start("upload", "--concurrency", "1", *clips)
    await until(lambda: len(storage.numbers_put()) == 3)
    process.send_signal(signal.SIGINT)
    done = await ended(process)
    assert done.code == 130
    assert "partway: 2 of 3 files, 2.0 kB in " in done.stderr
    assert "the same command resumes the upload" in done.stderr
    return done.stdout


async def test_small_files_go_at_the_same_time_up_to_the_concurrency(
    partway: Partway, storage: Storage, service: Service, tmp_path: Path
) -> None:
    files = [tmp_path / f"file{n}" for n in range(7)]
    for file in files:
        file.write_bytes(b"x" * 100)
    storage.fail(0, *[waiting(storage.finished)] * 5)

    process = await partway.start("upload", "--concurrency", "5", *files)
    await until(lambda: storage.open_puts == 5)
    assert len(service.uploads) == 5
    storage.finished.set()
    done = await ended(process)

    assert done.code == 0
    assert done.stdout.splitlines() == [f"s3://bucket/files/{file.name}" for file in files]
    assert "partway: 7 files, 700 bytes in " in done.stderr


async def test_a_large_file_has_all_places(
    partway: Partway, storage: Storage, service: Service, movie: Path, clips: Sequence[Path]
) -> None:
    storage.fail(0, *[waiting(storage.finished)] * 4)

    process = await partway.start(
        "upload", "--concurrency", "4", "--part-size", "64KiB", movie, *clips
    )
    await until(lambda: storage.open_puts == 4)
    assert len(service.uploads) == 1
    storage.finished.set()

    assert (await ended(process)).code == 0
    assert len(service.uploads) == 4


async def test_large_files_go_beside_each_other_if_that_is_wanted(
    partway: Partway, storage: Storage, service: Service, movie: Path
) -> None:
    others = [movie.with_name(f"other{n}") for n in range(2)]
    for other in others:
        write(other, content(movie))
    storage.fail(0, *[waiting(storage.finished)] * 4)

    process = await partway.start(
        *("upload", "--parallel-files", "2", "--concurrency", "4", "--part-size", "64KiB"),
        *(movie, *others),
    )
    await until(lambda: storage.open_puts == 4)
    # Each has half of the places, and the third waits.
    assert sorted(storage.numbers_put()) == [1, 1, 2, 2]
    assert len(service.uploads) == 2
    storage.finished.set()
    done = await ended(process)

    assert done.code == 0, done.stderr
    assert len(service.uploads) == 3


async def test_what_is_done_is_not_done_again_after_ctrl_c(
    partway: Partway, storage: Storage, service: Service, clips: Sequence[Path]
) -> None:
    first = await stopped_in_the_third(partway, storage, clips)
    assert first.splitlines() == ["s3://bucket/files/clip0", "s3://bucket/files/clip1"]

    again = await partway.run("upload", "--concurrency", "1", *clips)

    assert again.code == 0
    # What an earlier run uploaded is printed again: whoever reads it needs all of it.
    assert again.stdout.splitlines() == [f"s3://bucket/files/clip{n}" for n in range(3)]
    assert "; 2 uploaded by an earlier run" in again.stderr
    assert len(service.uploads) == 3
    assert names(partway.state_dir) == []


async def test_the_end_of_one_command_forgets_nothing_of_another(
    partway: Partway, storage: Storage, service: Service, clips: Sequence[Path], movie: Path
) -> None:
    await stopped_in_the_third(partway, storage, clips)
    other = movie.with_name("other")
    other.touch()

    between = await partway.run("upload", movie, other)
    again = await partway.run("upload", *clips)

    assert (between.code, again.code) == (0, 0)
    assert "; 2 uploaded by an earlier run" in again.stderr
    assert names(partway.state_dir) == []


async def test_only_what_failed_is_tried_again(
    partway: Partway, storage: Storage, service: Service, clips: Sequence[Path]
) -> None:
    storage.fail(0, *[answering(400)])

    first = await partway.run("upload", "--json", "--concurrency", "1", *clips)
    again = await partway.run("upload", "--json", "--concurrency", "1", *clips)

    assert (first.code, again.code) == (1, 0)
    assert "; 1 failed" in first.stderr
    printed = again.results
    assert [each["file"] for each in printed] == [*map(str, clips)]
    assert [each["bytes_sent"] for each in printed] == [1000, 0, 0]
    assert [each["parts_resumed"] for each in printed] == [0, 1, 1]
    assert len(storage.numbers_put()) == 4


async def test_a_file_that_changed_since_is_uploaded_again(
    partway: Partway, storage: Storage, service: Service, clips: Sequence[Path]
) -> None:
    await stopped_in_the_third(partway, storage, clips)
    os.utime(clips[0], (1, 1))

    again = await partway.run("upload", "--concurrency", "1", *clips)

    assert "; 1 uploaded by an earlier run" in again.stderr
    assert len(service.uploads) == 4


@pytest.mark.parametrize("options", [("--no-resume",), ("--metadata", "of=another")])
async def test_another_command_uploads_all_again(
    partway: Partway,
    storage: Storage,
    service: Service,
    clips: Sequence[Path],
    options: Sequence[str],
) -> None:
    await stopped_in_the_third(partway, storage, clips)

    again = await partway.run("upload", *options, *clips)

    assert again.code == 0
    assert len(service.uploads) == 6


async def test_what_cannot_be_read_costs_that_file_only(
    partway: Partway, storage: Storage, service: Service, clips: Sequence[Path]
) -> None:
    await stopped_in_the_third(partway, storage, clips)
    one, _ = partway.state_dir.glob("*.done")
    one.write_bytes(one.read_bytes()[:-20])

    again = await partway.run("upload", "--concurrency", "1", *clips)

    assert again.code == 0
    assert len(service.uploads) == 4


async def test_what_is_remembered_is_what_the_version_before_reads(
    partway: Partway, storage: Storage, clips: Sequence[Path]
) -> None:
    await stopped_in_the_third(partway, storage, clips)

    # As version 0.1.0 names and reads them.
    options: list[object] = ["", None, {}, 0, "best"]
    for clip in clips[:2]:
        found = os.stat(clip)
        facts = ("done", str(clip), found.st_size, found.st_mtime_ns, partway.service.address)
        packed = json.dumps((*facts, ["", ""], options), sort_keys=True).encode()
        entry = partway.state_dir / f"{hashlib.sha256(packed).hexdigest()[:32]}.done"
        assert set(json.loads(content(entry))) == {
            *("upload_id", "bucket", "key", "uri", "etag", "version_id", "checksum_algorithm"),
            *("checksum", "size_bytes", "content_type", "parts", "parts_sent", "parts_resumed"),
            *("parts_retried", "rpcs", "seconds", "bytes_sent", "bytes_via_service", "completed"),
        }


async def test_the_same_file_twice_is_one_upload(
    partway: Partway, service: Service, clips: Sequence[Path]
) -> None:
    done = await partway.run("upload", clips[0], clips[1], clips[0])

    assert (done.code, len(service.uploads)) == (0, 2)


async def test_a_state_directory_that_cannot_be_made_costs_no_upload(
    service: Service, clips: Sequence[Path], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    done = await Partway(service, tmp_path / "file" / "state").run("upload", *clips)

    assert done.code == 0
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr.count("files that are done cannot be remembered") == 1


async def test_a_full_disk_behind_standard_output_ends_it_with_one_line(
    partway: Partway, clips: Sequence[Path]
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    process = await partway.start("upload", *clips, stdout=full)
    os.close(full)
    done = await ended(process)

    assert done.code == 1
    assert "cannot write to standard output" in done.stderr
    assert "Traceback" not in done.stderr
