"""Tests `partway` with unusual files and outputs."""

import errno
import os
import sys
from pathlib import Path

import pytest
from partway_client import UploadClient

from tests.client.command import Partway, ended
from tests.client.files import names
from tests.client.service import Service
from tests.client.storage import Storage


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


async def test_a_name_that_is_not_unicode_is_sent_with_what_is(
    partway: Partway, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    path.touch()

    done = await partway.run("upload", "--json", path)

    assert (done.code, service.requests("Initialize")[0].file_name) == (0, "caf?.txt")
    # Valid JSON all the same: half of a surrogate pair is no text.
    assert done.results[0]["file"] == str(tmp_path / "caf\ufffd.txt")
    assert "caf\\udce9.txt: " in done.stderr


async def test_a_name_is_shown_without_what_a_terminal_would_obey(
    partway: Partway, tmp_path: Path
) -> None:
    path = tmp_path / "a\x1b]0;title\x07b\rc\nd.txt"
    path.touch()

    done = await partway.run("upload", path)
    missing = await partway.run("upload", f"{path}.none")

    shown = r"a\x1b]0;title\x07b\rc\nd.txt"
    assert f"{shown}: " in done.stderr
    assert missing.stderr.startswith(f"partway: {shown}.none: ")
    assert (done.code, missing.code) == (0, 1)
    assert not {"\x1b", "\x07", "\r"} & set(done.stdout + done.stderr + missing.stderr)


@pytest.mark.parametrize("mode", [(), ("--json",)])
async def test_messages_that_cannot_be_written_change_nothing(
    partway: Partway, movie: Path, mode: tuple[str, ...]
) -> None:
    def full() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)

    done = await ended(await partway.start("upload", *mode, movie, before=full))
    closed = await ended(await partway.start("upload", *mode, movie, before=lambda: os.close(2)))

    uri = "s3://bucket/files/movie.mp4"
    assert (done.code, uri in done.stdout) == (0, True)
    assert (closed.code, uri in closed.stdout) == (0, True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
async def test_a_file_that_says_it_is_empty_and_is_not_is_sent_whole(
    client: UploadClient, storage: Storage, tmp_path: Path
) -> None:
    path = Path("/proc/sys/kernel/ostype")

    uploaded = await client.upload_file(path)

    assert storage.bytes_of(uploaded.upload_id) == b"Linux\n"


async def test_standard_input_that_is_closed_is_told_so(partway: Partway) -> None:
    done = await ended(await partway.start("upload", "-", before=lambda: os.close(0)))

    assert done.stderr == "partway: stdin: cannot read standard input: it is closed\n"
    assert done.code == 1


async def test_an_output_that_cannot_be_written_is_one_line_and_the_object_is_told_again(
    partway: Partway, movie: Path
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    failed = await ended(await partway.start("upload", movie, stdout=full))
    os.close(full)
    again = await partway.run("upload", "--json", movie)

    assert failed.code == 1
    why = os.strerror(errno.ENOSPC)
    assert failed.stderr.splitlines()[-1] == f"Error: cannot write to standard output: {why}"
    assert again.results[0]["parts_resumed"] == 10


async def test_whoever_reads_no_further_ends_it_without_a_word(
    partway: Partway, movie: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = await ended(await partway.start("upload", movie, stdout=writing))

    os.close(writing)
    assert done.code == 1
    assert "movie.mp4: completing" in done.stderr.splitlines()[-1]
    assert names(partway.state_dir) != []
