"""Tests the upload of a file as an Upload that someone else initialized, with its token."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb
from partway_client import (
    PermissionDenied,
    SizeMismatch,
    State,
    StorageUnreachable,
    UploadAborted,
    UploadClient,
    UploadNotFound,
    UploadTokenExpired,
)

from tests.client.command import Partway
from tests.client.files import content
from tests.client.pacing import Slept, pace
from tests.client.service import Failure, Service, not_active
from tests.client.storage import Storage

TOKEN = "AgECAwQ-_tok"
EXPIRED = Failure(
    "UNAUTHENTICATED",
    "UPLOAD_TOKEN_EXPIRED",
    message="the upload token has expired; get another from whoever made it",
)


def denied(action: str) -> Failure:
    return Failure("PERMISSION_DENIED", "PERMISSION_DENIED", {"needed": f"UPLOAD_ACTION_{action}"})


@pytest.fixture
async def page(service: Service, slept: Slept, state_dir: Path) -> AsyncIterator[UploadClient]:
    """Yield a client that has a token and nothing else."""
    async with UploadClient(
        service.address, token=TOKEN, state_dir=state_dir, pace=pace(slept)
    ) as client:
        yield client


@pytest.fixture
def given(service: Service, movie: Path) -> pb.Upload:
    """Return an Upload for the movie, as its backend initialized it."""
    request = service_pb.InitializeRequest(
        file_name="given.mp4", size_bytes=movie.stat().st_size, part_size_bytes=100_000
    )
    return service._new(request)


def hold(service: Service, storage: Storage, upload: pb.Upload, movie: Path, number: int) -> None:
    """Put a part of the movie into storage, as an earlier run would have."""
    at = (number - 1) * upload.part_size_bytes
    body = content(movie)[at : at + upload.part_size_bytes]
    service.held(upload)[number] = len(body)
    storage.content[upload.id, number] = body


async def test_a_file_is_sent_as_the_given_upload(
    page: UploadClient, service: Service, storage: Storage, given: pb.Upload, movie: Path
) -> None:
    uploaded = await page.upload_file(movie, upload_id=given.id)

    assert (uploaded.upload_id, uploaded.completed) == (given.id, True)
    assert storage.bytes_of(given.id) == content(movie)
    assert not {name for name, _ in service.calls} & {"Initialize", "ListUploads"}
    assert {m["authorization"] for m in service.metadata} == {f"Partway {TOKEN}"}


async def test_only_what_storage_lacks_is_sent(
    page: UploadClient, service: Service, storage: Storage, given: pb.Upload, movie: Path
) -> None:
    service.etags = "md5"
    hold(service, storage, given, movie, 2)

    uploaded = await page.upload_file(movie, upload_id=given.id)

    assert (uploaded.parts_resumed, uploaded.parts_sent) == (1, given.part_count - 1)
    assert storage.bytes_of(given.id) == content(movie)


async def test_if_parts_may_not_be_listed_all_are_sent(
    page: UploadClient, service: Service, storage: Storage, given: pb.Upload, movie: Path
) -> None:
    hold(service, storage, given, movie, 2)
    service.fail("ListParts", denied("LIST_PARTS"))

    uploaded = await page.upload_file(movie, upload_id=given.id)

    assert (uploaded.parts_resumed, uploaded.parts_sent) == (0, given.part_count)


async def test_without_the_right_to_complete_all_parts_are_sent(
    page: UploadClient, service: Service, given: pb.Upload, movie: Path
) -> None:
    service.fail("Complete", denied("COMPLETE"))

    uploaded = await page.upload_file(movie, upload_id=given.id)

    assert (uploaded.completed, uploaded.parts_sent) == (False, given.part_count)
    assert (await page.status(given.id)).state is State.ACTIVE


async def test_a_file_of_another_size_is_not_sent(
    page: UploadClient, service: Service, given: pb.Upload, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"other")
    with pytest.raises(SizeMismatch):
        await page.upload_file(other, upload_id=given.id)
    assert [name for name, _ in service.calls] == ["Status"]


async def test_an_upload_that_ended_is_not_begun_again(
    page: UploadClient, service: Service, given: pb.Upload, movie: Path
) -> None:
    with pytest.raises(UploadNotFound):
        await page.upload_file(movie, upload_id="unknown")
    over = not_active(pb.UPLOAD_STATE_ABORTED, "ABORT_REASON_EXPIRED")
    service.fail("PresignParts", *[over] * 9)
    with pytest.raises(UploadAborted):
        await page.upload_file(movie, upload_id=given.id)
    assert not service.count("Initialize")


async def test_a_token_that_expires_on_the_way_ends_the_upload(
    page: UploadClient, service: Service, given: pb.Upload, movie: Path
) -> None:
    service.fail("PresignParts", *[EXPIRED] * 9)
    with pytest.raises(UploadTokenExpired, match="get another"):
        await page.upload_file(movie, upload_id=given.id)


async def test_without_the_right_to_presign_the_upload_fails(
    page: UploadClient, service: Service, given: pb.Upload, movie: Path
) -> None:
    service.fail("PresignParts", *[denied("PRESIGN")] * 9)
    with pytest.raises(PermissionDenied):
        await page.upload_file(movie, upload_id=given.id)


async def test_a_token_without_upload_part_shows_that_storage_is_unreachable(
    page: UploadClient, service: Service, storage: Storage, given: pb.Upload, movie: Path
) -> None:
    storage.base = "http://127.0.0.1:1"
    service.fail("UploadPart", *[denied("UPLOAD_PART")] * 9)
    with pytest.raises(StorageUnreachable):
        await page.upload_file(movie, upload_id=given.id)


async def test_a_token_is_in_no_repr(page: UploadClient) -> None:
    assert TOKEN not in repr(page) + repr(page._connection) + repr(
        page._uploader(page._meter(None))
    )


@pytest.mark.parametrize("token", ["a b", "Bearer x", "é", "a\nb", "=="])
def test_what_is_no_token_is_neither_sent_nor_shown(token: str) -> None:
    with pytest.raises(ValueError, match="the token is invalid") as raised:
        UploadClient(token=token)
    assert token not in str(raised.value)


# The command.


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


@pytest.mark.parametrize("way", ["option", "stdin", "file"])
async def test_the_command_sends_a_file_by_token(
    partway: Partway, service: Service, given: pb.Upload, movie: Path, tmp_path: Path, way: str
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    options: dict[str, list[str | Path]] = {
        "option": ["--token", TOKEN],
        "stdin": ["--token", "-"],
        "file": ["--token-file", file],
    }
    stdin = f"{TOKEN}\n".encode() if way == "stdin" else None
    done = await partway.run("upload", *options[way], "--upload-id", given.id, movie, content=stdin)

    assert (done.code, done.stdout) == (0, "s3://bucket/files/given.mp4\n")
    assert {m["authorization"] for m in service.metadata} == {f"Partway {TOKEN}"}


async def test_the_command_says_that_the_upload_is_not_completed(
    partway: Partway, service: Service, given: pb.Upload, movie: Path
) -> None:
    service.fail("Complete", denied("COMPLETE"))
    done = await partway.run("upload", "--token", TOKEN, "--upload-id", given.id, movie)

    assert (done.code, done.stdout) == (0, "")
    assert "all parts are sent, and the token does not allow completing the upload" in done.stderr


async def test_the_command_says_that_the_token_has_expired(
    partway: Partway, service: Service, given: pb.Upload, movie: Path
) -> None:
    service.fail("Status", EXPIRED)
    done = await partway.run("upload", "--token", TOKEN, "--upload-id", given.id, movie)

    assert done.code == 1
    assert "the upload token has expired; get another from whoever made it" in done.stderr
    assert TOKEN not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--token", "-", "--upload-id", "x", "-"),
        ("--token", "t", "--token-file", "/dev/null", "--upload-id", "x", "movie.mp4"),
        ("--upload-id", "x", "a", "b"),
        ("--upload-id", "x", "--policy", "p", "a"),
        ("--token", "not one", "--upload-id", "x", "a"),
    ],
)
async def test_the_command_refuses_what_makes_no_sense(
    partway: Partway, arguments: tuple[str, ...]
) -> None:
    done = await partway.run("upload", *arguments)
    assert done.code == 2


async def test_other_commands_take_a_token_too(
    partway: Partway, service: Service, given: pb.Upload
) -> None:
    done = await partway.run("status", "--token", TOKEN, given.id)
    assert done.code == 0
    assert service.metadata[-1]["authorization"] == f"Partway {TOKEN}"
