"""Tests what upload_file sends, and what it returns."""

import gzip
import io
import os
import threading
from pathlib import Path

import pytest
from partway_client import (
    FileUnreadable,
    Phase,
    Progress,
    SizeMismatch,
    SpoolFailed,
    UploadClient,
)

from tests.client.files import content, size
from tests.client.service import Service
from tests.client.storage import Storage, answering


async def test_a_file_arrives_whole(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    uploaded = await client.upload_file(movie)

    assert storage.bytes_of(uploaded.upload_id) == content(movie)
    assert (uploaded.bucket, uploaded.key, uploaded.etag) == ("bucket", "files/movie.mp4", "final")
    assert uploaded.uri == "s3://bucket/files/movie.mp4"


async def test_the_figures_say_what_it_took(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    storage.fail(3, answering(503))

    uploaded = await client.upload_file(movie)

    assert (uploaded.parts, uploaded.parts_sent, uploaded.parts_resumed) == (10, 10, 0)
    assert uploaded.parts_retried == 1
    assert uploaded.bytes_sent == size(movie) + 64 * 1024
    assert uploaded.rpcs == len(service.calls) == 2
    assert uploaded.seconds > 0


async def test_an_empty_file_is_one_empty_part(
    client: UploadClient, storage: Storage, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.touch()

    uploaded = await client.upload_file(empty)

    assert storage.stored[uploaded.upload_id] == {1: 0}
    assert storage.puts[0].headers["content-length"] == "0"


async def test_the_headers_given_are_sent_and_no_others(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    await client.upload_file(movie)

    sent = {name for put in storage.puts for name in put.headers}
    assert sent == {"host", "content-length", "x-amz-signed"}


async def test_the_url_arrives_as_it_was_signed(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    await client.upload_file(movie)

    assert all("X-Amz-Signature=s3cr%2Ft%20" in put.raw_path for put in storage.puts)


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        ("a.mp4", "video/mp4"),
        ("a.sql.gz", "application/gzip"),
        ("a.tar.bz2", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
async def test_the_content_type_is_guessed_from_the_name(
    client: UploadClient, service: Service, movie: Path, name: str, guessed: str
) -> None:
    await client.upload_file(movie, name=name)

    assert service.requests("Initialize")[0].content_type == guessed


async def test_what_is_asked_for_reaches_the_service(
    client: UploadClient, service: Service, movie: Path
) -> None:
    await client.upload_file(
        movie,
        name="film.bin",
        policy="films",
        content_type="video/x-film",
        metadata={"year": "1927"},
        part_size=100_000,
    )

    (request,) = service.requests("Initialize")
    assert (request.file_name, request.policy) == ("film.bin", "films")
    assert request.content_type == "video/x-film"
    assert dict(request.metadata) == {"year": "1927"}
    assert request.part_size_bytes == 100_000
    assert request.size_bytes == size(movie)


async def test_progress_ends_with_everything_done(client: UploadClient, movie: Path) -> None:
    seen: list[Progress] = []

    await client.upload_file(movie, on_progress=seen.append)

    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases == [Phase.STARTING, Phase.SENDING, Phase.COMPLETING, Phase.DONE]
    total = size(movie)
    assert seen[-1] == Progress(Phase.DONE, total, total, 0, 10, 10)


async def test_a_failing_progress_callback_costs_no_upload(
    client: UploadClient, movie: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(progress: Progress) -> None:
        raise RuntimeError("no display")

    await client.upload_file(movie, on_progress=broken)

    assert [record.message for record in caplog.records] == [
        "on_progress raised an exception; no more progress is reported"
    ]


async def test_a_missing_file_is_told_with_its_name(client: UploadClient, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="gone.bin: No such file or directory"):
        await client.upload_file(tmp_path / "gone.bin")


async def test_a_directory_is_refused(client: UploadClient, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="is a directory"):
        await client.upload_file(tmp_path)


async def test_an_open_file_is_sent_from_where_it_stands(
    client: UploadClient, storage: Storage, movie: Path
) -> None:
    with movie.open("rb") as file:
        file.seek(1000)
        uploaded = await client.upload_file(file)

    assert storage.bytes_of(uploaded.upload_id) == content(movie)[1000:]


async def test_a_stream_in_memory_is_sent(client: UploadClient, storage: Storage) -> None:
    seen: list[Progress] = []
    whole = os.urandom(300_000)

    uploaded = await client.upload_file(io.BytesIO(whole), on_progress=seen.append)

    assert storage.bytes_of(uploaded.upload_id) == whole
    assert seen[0].phase is Phase.SPOOLING


async def test_a_file_that_is_unpacked_while_read_is_sent_unpacked(
    client: UploadClient, storage: Storage, tmp_path: Path
) -> None:
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(b"unpacked" * 10_000))

    with gzip.open(packed) as file:
        uploaded = await client.upload_file(file)  # type: ignore[arg-type]

    assert storage.bytes_of(uploaded.upload_id) == b"unpacked" * 10_000


async def test_a_named_pipe_is_sent(client: UploadClient, storage: Storage, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_bytes, args=(b"x" * 200_000,)).start()

    uploaded = await client.upload_file(pipe)

    assert storage.bytes_of(uploaded.upload_id) == b"x" * 200_000


async def test_a_stream_of_another_size_than_given_is_refused(
    client: UploadClient, service: Service
) -> None:
    with pytest.raises(SizeMismatch, match="has 5 bytes instead of the specified 6"):
        await client.upload_file(io.BytesIO(b"12345"), size=6)

    assert service.calls == []


async def test_a_disk_that_cannot_keep_a_stream_is_told_with_tmpdir(
    client: UploadClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)

    with pytest.raises(SpoolFailed, match="No space left on device.*set TMPDIR"):
        await client.upload_file(io.BytesIO(b"12345"))


async def test_bytes_are_sent(client: UploadClient, storage: Storage) -> None:
    uploaded = await client.upload_file(b"12345", name="five.bin")

    assert storage.bytes_of(uploaded.upload_id) == b"12345"


async def test_a_binary_file_has_the_name_of_its_path(
    client: UploadClient, service: Service, movie: Path
) -> None:
    with io.FileIO(movie) as file:
        await client.upload_file(file)

    assert service.requests("Initialize")[0].file_name == "movie.mp4"


async def test_a_text_stream_is_told_how_to_open_it(client: UploadClient) -> None:
    with pytest.raises(TypeError, match="mode 'rb'"):
        await client.upload_file(io.StringIO("text"))  # type: ignore[arg-type]


async def test_metadata_that_is_no_text_is_named(client: UploadClient, movie: Path) -> None:
    with pytest.raises(TypeError, match=r"metadata\['take'\] must be a string, not int"):
        await client.upload_file(movie, metadata={"take": 3})  # type: ignore[dict-item]
