"""Tests which messages `partway upload` prints, and what it appends to a log file."""

import os
import re
from pathlib import Path

import pytest

from tests.client.command import Partway, ended
from tests.client.files import content, names
from tests.client.service import Service
from tests.client.storage import Storage, answering

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (debug|info|warning|error): \S.*"
)


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


def logged(path: Path) -> str:
    """Return what a log says, after checking the form of its lines."""
    text = content(path).decode()
    assert all(LINE.fullmatch(line) for line in text.splitlines())
    return text


async def test_quiet_prints_results_alone(partway: Partway, movie: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()

    one = await partway.run("upload", "-q", movie)
    several = await partway.run("upload", "--quiet", movie, other)

    assert (one.code, one.stdout, one.stderr) == (0, "s3://bucket/files/movie.mp4\n", "")
    assert (several.code, len(several.stdout.splitlines()), several.stderr) == (0, 2, "")


async def test_quiet_prints_errors(partway: Partway, tmp_path: Path) -> None:
    done = await partway.run("upload", "-q", tmp_path / "gone")

    assert done.code == 1
    assert done.stderr.startswith("partway: gone: cannot read ")


async def test_quiet_shows_no_bar_on_a_terminal(
    partway: Partway, service: Service, movie: Path
) -> None:
    leader, follower = os.openpty()
    process = await partway.start("upload", "-q", movie, stderr=follower)
    os.close(follower)
    done = await ended(process)
    # The line discipline reports the end of the last writer as an error.
    with pytest.raises(OSError, match="Input/output error"):
        os.read(leader, 1000)
    os.close(leader)

    assert (done.code, done.stdout) == (0, "s3://bucket/files/movie.mp4\n")


async def test_verbose_says_retries_route_and_part_size(
    partway: Partway, storage: Storage, movie: Path
) -> None:
    storage.fail(3, answering(503))

    usual = await partway.run("upload", movie)
    storage.fail(3, answering(503))
    verbose = await partway.run("upload", "-v", "--no-resume", movie)

    words = "sending 10 of 10 parts, of 0.1 MB, straight to storage"
    assert f"partway: movie.mp4: {words}\n" in verbose.stderr
    assert "straight to storage" not in usual.stderr
    assert "partway: movie.mp4: part 3: it answers 503; try 2 of 20\n" in verbose.stderr
    assert "part 3" not in usual.stderr


async def test_details_name_the_file_that_they_are_about(
    partway: Partway, movie: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"x")

    done = await partway.run("upload", "-v", movie, other)

    assert "partway: movie.mp4: sending 10 of 10 parts" in done.stderr
    assert "partway: other: sending 1 of 1 parts" in done.stderr


@pytest.mark.parametrize("stderr", ["quiet", "closed"])
async def test_a_log_file_has_all_of_it_whatever_standard_error_is(
    partway: Partway, service: Service, storage: Storage, movie: Path, tmp_path: Path, stderr: str
) -> None:
    storage.fail(3, answering(503))
    log = tmp_path / "log"
    quiet = ["--quiet"] if stderr == "quiet" else []
    before = (lambda: os.close(2)) if stderr == "closed" else None

    done = await ended(
        await partway.start("upload", *quiet, "--log-file", log, movie, before=before)
    )
    failed = await partway.run("upload", "-q", "--log-file", log, tmp_path / "gone")

    assert (done.code, failed.code, done.stderr) == (0, 1, "")
    text = logged(log)
    assert " debug: movie.mp4: part 3: it answers 503; try 2 of 20\n" in text
    assert " info: movie.mp4: 589.8 kB in " in text
    assert " debug: movie.mp4: stored as s3://bucket/files/movie.mp4\n" in text
    assert " error: gone: cannot read " in text
    assert "X-Amz" not in text and storage.base not in text
    assert service.only().id not in text


async def test_a_log_file_has_no_secret(partway: Partway, movie: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    token = ["--token", "s3cret-token", "--header", "x-key=s3cret-header"]

    done = await partway.run("upload", "-v", "--log-file", log, *token, movie)

    assert done.code == 0
    assert "s3cret" not in logged(log) + done.stderr


async def test_a_name_makes_no_line_of_its_own_in_the_log(partway: Partway, tmp_path: Path) -> None:
    odd = tmp_path / "a\n2026-01-01T00:00:00.000+00:00 error: b"
    odd.touch()
    log = tmp_path / "log"

    assert (await partway.run("upload", "--log-file", log, odd)).code == 0

    assert r"info: a\n2026-01-01T00:00:00.000+00:00 error: b: " in logged(log)


async def test_a_log_file_that_cannot_be_written_is_said_before_anything_is_sent(
    partway: Partway, service: Service, movie: Path, tmp_path: Path
) -> None:
    done = await partway.run("upload", "--log-file", tmp_path / "none" / "log", movie)
    both = await partway.run("upload", "-q", "-v", movie)

    assert (done.code, both.code, service.calls) == (2, 2, [])
    assert f"cannot write to --log-file {tmp_path}/none/log: No such file" in done.stderr
    assert "--quiet and --verbose exclude each other" in both.stderr


async def test_a_log_file_that_fills_its_disk_costs_no_upload(
    partway: Partway, movie: Path
) -> None:
    done = await partway.run("upload", "-q", "--log-file", "/dev/full", movie)

    assert (done.code, done.stdout) == (0, "s3://bucket/files/movie.mp4\n")
    assert done.stderr == "partway: cannot write to /dev/full any more: No space left on device\n"
    assert names(partway.state_dir) == []
