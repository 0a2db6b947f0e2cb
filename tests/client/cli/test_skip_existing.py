"""Tests `partway upload --skip-existing`: the manifest of what is uploaded."""

import asyncio
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from partway_client.cli.main import main
from partway_client.cli.manifest import Manifest, mtime_of
from partway_client.cli.output import CommandFailed

from tests.client.cli.test_delete_after import uploaded
from tests.client.command import Partway
from tests.client.files import content, write
from tests.client.service import Service
from tests.client.storage import Storage, answering


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


@pytest.fixture
def clips(tmp_path: Path) -> Sequence[Path]:
    paths = [tmp_path / "clips" / f"clip{n}" for n in range(3)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 1000)
    return paths


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return tmp_path / "done.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content(path).splitlines()]


def add(manifest: Path, file: Path) -> None:
    found = file.stat()
    Manifest.read(manifest).add(str(file), found.st_size, found.st_mtime_ns, uploaded())


async def test_what_is_done_is_skipped_until_it_changes(
    partway: Partway, service: Service, clips: Sequence[Path], done: Path
) -> None:
    arguments: list[str | Path] = ["upload", "--skip-existing", done, "--json", *clips]
    first = await partway.run(*arguments)
    os.utime(clips[1], (1, 1))
    second = await partway.run(*arguments)
    third = await partway.run(*arguments)

    assert (first.code, second.code, third.code) == (0, 0, 0)
    assert [each.summary["uploaded"] for each in (first, second, third)] == [3, 1, 0]
    assert [each.summary["skipped"] for each in (first, second, third)] == [0, 2, 3]
    assert second.results[0] == {
        "file": str(clips[0]),
        "skipped": True,
        "uri": "s3://bucket/files/clip0",
    }
    assert len(service.uploads) == 4
    assert sorted(each["path"] for each in lines(done)[:3]) == [*map(str, clips)]
    assert lines(done)[3]["path"] == str(clips[1])
    assert lines(done)[3]["mtime"] == "1970-01-01T00:00:01.000000000Z"
    assert set(lines(done)[0]) == {
        *("path", "size_bytes", "mtime", "checksum_algorithm", "checksum", "uri")
    }


async def test_one_file_is_skipped_too(partway: Partway, movie: Path, done: Path) -> None:
    arguments: list[str | Path] = ["upload", "--skip-existing", done, movie]
    first = await partway.run(*arguments)
    second = await partway.run(*arguments)

    assert (first.code, first.stdout) == (0, "s3://bucket/files/movie.mp4\n")
    assert (second.code, second.stdout) == (0, "")
    assert "movie.mp4: skipped, since the manifest has it" in second.stderr


async def test_what_fails_is_not_in_it(
    partway: Partway, storage: Storage, clips: Sequence[Path], done: Path
) -> None:
    storage.fail(1, answering(400))

    ran = await partway.run("upload", "--skip-existing", done, "--concurrency", "1", *clips)

    assert ran.code == 1
    assert [each["path"] for each in lines(done)] == [*map(str, clips[1:])]


def test_a_dry_run_leaves_out_what_is_in_it(clips: Sequence[Path], done: Path) -> None:
    add(done, clips[0])

    ran = CliRunner().invoke(
        main, ["upload", "--dry-run", "--skip-existing", str(done), *map(str, clips)]
    )

    assert ran.stdout.splitlines() == [*map(str, clips[1:])]
    assert ran.stderr == "partway: 2 files, 2.0 kB, would be uploaded; 1 skipped\n"


def test_a_dry_run_writes_no_manifest(clips: Sequence[Path], done: Path) -> None:
    CliRunner().invoke(main, ["upload", "--dry-run", "--skip-existing", str(done), str(clips[0])])
    assert not done.exists()


async def test_in_the_folder_that_is_uploaded_it_is_left_out(
    partway: Partway, clips: Sequence[Path]
) -> None:
    folder = clips[0].parent
    own = ("--skip-existing", folder / "done.jsonl", "--log-file", folder / "log")

    first = await partway.run("upload", "-r", *own, "--json", folder)
    second = await partway.run("upload", "-r", *own, "--json", folder)

    assert (first.summary["uploaded"], second.summary["skipped"]) == (3, 3)
    assert second.summary["files"] == 3


@pytest.mark.parametrize("text", [b"not a manifest", b'{"a": 1}\n', b"[]\n", b"\xff\xfe\n"])
async def test_another_file_is_not_written_to(
    partway: Partway, service: Service, movie: Path, done: Path, text: bytes
) -> None:
    write(done, text)

    ran = await partway.run("upload", "--skip-existing", done, movie)

    assert ran.code == 2
    assert f"{done}:1: not an entry of a manifest; name a file that" in ran.stderr
    assert content(done) == text
    assert service.calls == []


async def test_one_that_cannot_be_written_is_said_before_anything_is_sent(
    partway: Partway, service: Service, movie: Path, tmp_path: Path
) -> None:
    ran = await partway.run("upload", "--skip-existing", tmp_path / "none" / "done", movie)

    assert ran.code == 2
    assert f"cannot write to --skip-existing {tmp_path}/none/done: No such file" in ran.stderr
    assert service.calls == []


class TestTheFile:
    def test_a_line_that_a_crash_cut_off_is_replaced(self, movie: Path, done: Path) -> None:
        add(done, movie)
        whole = done.read_bytes()
        done.write_bytes(whole + whole[:40])

        add(done, movie)

        assert done.read_bytes() == whole * 2

    def test_a_last_line_without_its_end_is_kept(self, movie: Path, done: Path) -> None:
        add(done, movie)
        whole = done.read_bytes()
        done.write_bytes(whole.rstrip())

        add(done, movie)

        assert done.read_bytes() == whole * 2

    def test_many_at_once_garble_nothing(self, movie: Path, done: Path) -> None:
        found = movie.stat()

        def add_some(_: int) -> None:
            manifest = Manifest(done)
            for _ in range(20):
                manifest.add(str(movie), found.st_size, found.st_mtime_ns, uploaded())

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add_some, range(8)))

        assert len(lines(done)) == 160

    def test_a_full_disk_is_an_error_of_the_command(self, movie: Path) -> None:
        found = movie.stat()
        with pytest.raises(CommandFailed, match="cannot write to /dev/full: "):
            Manifest(Path("/dev/full")).add(
                str(movie), found.st_size, found.st_mtime_ns, uploaded()
            )

    def test_one_that_cannot_be_read_is_invalid_usage(self, tmp_path: Path) -> None:
        with pytest.raises(click.UsageError, match="cannot read --skip-existing"):
            Manifest.read(tmp_path)

    def test_a_file_that_is_gone_is_not_in_it(self, movie: Path, done: Path) -> None:
        add(done, movie)
        manifest = Manifest.read(done)
        assert manifest.find(str(movie)) is not None
        movie.unlink()
        assert manifest.find(str(movie)) is None

    def test_times_are_exact(self) -> None:
        assert mtime_of(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456789Z"


async def test_two_commands_at_once_share_it(
    partway: Partway, clips: Sequence[Path], done: Path, tmp_path: Path
) -> None:
    other = Partway(partway.service, tmp_path / "other")

    ran = await asyncio.gather(
        partway.run("upload", "--skip-existing", done, *clips),
        other.run("upload", "--skip-existing", done, *clips),
    )

    assert [each.code for each in ran] == [0, 0]
    assert {each["path"] for each in lines(done)} == {*map(str, clips)}


async def test_a_manifest_that_comes_later_gets_what_an_earlier_run_uploaded(
    partway: Partway, storage: Storage, clips: Sequence[Path], done: Path
) -> None:
    storage.fail(1, answering(400))
    assert (await partway.run("upload", "--concurrency", "1", *clips)).code == 1

    ran = await partway.run("upload", "--skip-existing", done, *clips)

    assert ran.code == 0
    assert {each["path"] for each in lines(done)} == {*map(str, clips)}
