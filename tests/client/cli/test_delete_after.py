"""Tests `partway upload --delete-after`: a file goes only once its object is proven."""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from partway.v1 import upload_pb2 as pb
from partway_client._source.file_source import FileIdentity
from partway_client.cli.main import main
from partway_client.cli.source_removal import identity_of, reason_to_keep
from partway_client.models import Checksum, Uploaded

from tests.client.command import Partway, ended
from tests.client.files import exists, names, write
from tests.client.pacing import until
from tests.client.service import Service
from tests.client.storage import Storage, answering, waiting


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC64NVME
    return Partway(service, state_dir)


def uploaded(*, completed: bool = True, checksum: Checksum = Checksum.CRC64NVME) -> Uploaded:
    return Uploaded(
        upload_id="id",
        bucket="b",
        key="k",
        uri="s3://b/k",
        etag="e",
        version_id="",
        checksum_algorithm=checksum,
        checksum="",
        size_bytes=1,
        content_type="",
        parts=1,
        parts_sent=1,
        parts_resumed=0,
        parts_retried=0,
        rpcs=2,
        seconds=1.0,
        bytes_sent=1,
        completed=completed,
    )


class TestWhatIsKept:
    def test_a_file_that_is_the_same_may_go(self, movie: Path) -> None:
        assert reason_to_keep(str(movie), identity_of(str(movie)), uploaded()) == ""

    @pytest.mark.parametrize(
        ("result", "reason"),
        [
            (uploaded(completed=False), "its upload is not completed"),
            (uploaded(checksum=Checksum.NONE), "no checksum proves that the object has its bytes"),
        ],
    )
    def test_without_a_proof(self, movie: Path, result: Uploaded, reason: str) -> None:
        assert reason_to_keep(str(movie), identity_of(str(movie)), result) == reason

    @pytest.mark.parametrize("change", ["size", "mtime", "inode"])
    def test_a_file_that_changed(self, movie: Path, change: str) -> None:
        before = identity_of(str(movie))
        assert isinstance(before, FileIdentity)
        if change == "size":
            with movie.open("ab") as file:
                file.write(b"x")
        elif change == "mtime":
            os.utime(movie, ns=(before.mtime_ns, before.mtime_ns + 1))
        else:
            other = movie.with_name("other")
            other.write_bytes(movie.read_bytes())
            os.utime(other, ns=(before.mtime_ns, before.mtime_ns))
            other.replace(movie)
        assert reason_to_keep(str(movie), before, uploaded()) == "it changed after it was uploaded"

    def test_a_link_and_what_is_gone(self, movie: Path) -> None:
        link = movie.with_name("link")
        link.symlink_to(movie)
        assert reason_to_keep(str(link), identity_of(str(link)), uploaded()) == "it is a link"
        before = identity_of(str(movie))
        movie.unlink()
        assert reason_to_keep(str(movie), before, uploaded()) == "No such file or directory"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-"], "a stream is not deleted"),
        (["--checksum", "none", "file"], "needs the proof of a checksum"),
    ],
)
def test_what_it_cannot_go_with_is_said_at_once(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, ["upload", "--delete-after", *arguments])
    assert done.exit_code == 2
    assert words in done.stderr


async def test_one_file_is_deleted_after_its_uri_is_printed(partway: Partway, movie: Path) -> None:
    done = await partway.run("upload", "-v", "--delete-after", movie)

    assert (done.code, done.stdout) == (0, "s3://bucket/files/movie.mp4\n")
    assert "partway: movie.mp4: deleted here" in done.stderr
    assert not exists(movie)
    assert names(partway.state_dir) == []


async def test_a_failed_upload_deletes_nothing(
    partway: Partway, storage: Storage, clips: Sequence[Path]
) -> None:
    storage.fail(1, answering(400))

    done = await partway.run("upload", "--json", "--delete-after", "--concurrency", "1", *clips)

    assert done.code == 1
    assert [exists(path) for path in clips] == [True, False, False]
    assert (done.summary["deleted"], done.summary["failed"]) == (2, 1)


async def test_without_a_checksum_the_file_is_kept(
    partway: Partway, service: Service, movie: Path
) -> None:
    service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_NONE

    done = await partway.run("upload", "-q", "--delete-after", movie)

    assert (done.code, done.stdout) == (1, "s3://bucket/files/movie.mp4\n")
    assert "movie.mp4: uploaded, but not deleted: no checksum proves" in done.stderr
    assert exists(movie)


async def test_a_file_that_changes_at_the_last_moment_is_kept(
    partway: Partway, service: Service, movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = service._step

    def change_and_complete(upload: pb.Upload) -> None:
        os.utime(movie, (1, 1))
        complete(upload)

    monkeypatch.setattr(service, "_step", change_and_complete)

    done = await partway.run("upload", "--json", "--delete-after", movie)

    assert done.code == 1
    assert "movie.mp4: uploaded, but not deleted: it changed after it was" in done.stderr
    assert len(done.results) == 1
    assert exists(movie)


async def test_what_changed_at_the_last_moment_is_uploaded_again_before_it_goes(
    partway: Partway,
    service: Service,
    storage: Storage,
    clips: Sequence[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complete, changed = service._step, clips[1]

    def change_and_complete(upload: pb.Upload) -> None:
        if upload.object.key.endswith(changed.name) and upload.state != pb.UPLOAD_STATE_COMPLETED:
            write(changed, b"new")
        complete(upload)

    monkeypatch.setattr(service, "_step", change_and_complete)
    arguments: list[str | Path] = ["upload", "--json", "--delete-after", *clips]
    first = await partway.run(*arguments)
    assert (first.code, first.summary["kept"], exists(changed)) == (1, 1, True)
    monkeypatch.undo()

    again = await partway.run(*arguments)

    assert again.code == 0, again.stderr
    assert (again.summary["uploaded"], again.summary["uploaded_before"]) == (1, 2)
    assert storage.bytes_of(again.results[1]["upload_id"]) == b"new"
    assert not any(map(exists, clips))
    # What is remembered of its first content ages out.
    assert len(names(partway.state_dir)) == 1


async def test_after_ctrl_c_the_same_command_goes_on_though_files_are_gone(
    partway: Partway, service: Service, storage: Storage, clips: Sequence[Path]
) -> None:
    at_once = asyncio.Event()
    at_once.set()
    storage.fail(1, waiting(at_once), waiting(storage.finished), waiting(storage.finished))
    arguments: list[str | Path] = ["upload", "--delete-after", "--concurrency", "1", *clips]
    process = await partway.start(*arguments)
    await until(lambda: len(storage.numbers_put()) == 2)
    process.send_signal(signal.SIGINT)
    stopped = await ended(process)
    assert stopped.code == 130
    assert [exists(path) for path in clips] == [False, True, True]
    storage.faults.clear()

    again = await partway.run(*arguments)

    assert again.code == 0, again.stderr
    assert again.stdout.splitlines() == [f"s3://bucket/files/clip{n}" for n in range(3)]
    assert not any(map(exists, clips))
    assert len(service.uploads) == 3
    assert names(partway.state_dir) == []


async def test_what_was_uploaded_and_not_yet_deleted_is_deleted_by_the_next_run(
    partway: Partway, service: Service, storage: Storage, clips: Sequence[Path]
) -> None:
    # The others are done before the first, whose result is printed first.
    write(clips[0], b"x" * 100_000)
    storage.fail(2, waiting(storage.finished))
    arguments: list[str | Path] = ["upload", "--delete-after", *clips]
    process = await partway.start(*arguments)
    await until(lambda: len(list(partway.state_dir.glob("*.done"))) == 2)
    process.kill()
    await ended(process)
    assert all(map(exists, clips))
    storage.faults.clear()

    again = await partway.run(*arguments)

    assert again.code == 0, again.stderr
    assert "; 2 uploaded by an earlier run; 3 deleted here" in again.stderr
    assert not any(map(exists, clips))
    assert len(service.uploads) == 3
