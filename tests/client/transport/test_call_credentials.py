"""Tests tokens that come from files, functions and commands, and change during an upload."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click import UsageError
from partway_client import TokenUnavailable, UploadClient, UploadTokenExpired
from partway_client._transport.call_credentials import CallCredentials, Token, authorization_of
from partway_client.cli.token_option import token_from

from tests.client.command import Partway
from tests.client.files import content
from tests.client.pacing import Slept, pace
from tests.client.service import Failure, Service
from tests.client.storage import Storage

EXPIRED = Failure("UNAUTHENTICATED", "UPLOAD_TOKEN_EXPIRED")

Connect = Callable[[Token], UploadClient]


@pytest.fixture
def connect(service: Service, slept: Slept, state_dir: Path) -> Connect:
    def connect(token: Token) -> UploadClient:
        return UploadClient(service.address, token=token, state_dir=state_dir, pace=pace(slept))

    return connect


def carried(service: Service) -> list[str]:
    return list(dict.fromkeys(m.get("authorization", "") for m in service.metadata))


@pytest.mark.parametrize(
    ("token", "authorization"), [("AbC-_1", "Partway AbC-_1"), ("aa.bb.c_c", "Bearer aa.bb.c_c")]
)
def test_the_kind_of_a_token_shows(token: str, authorization: str) -> None:
    assert authorization_of(token) == authorization


@pytest.mark.parametrize("token", ["a b", "a.b", "ü", "a\n", ""])
def test_what_is_no_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ValueError, match="the token is invalid") as caught:
        authorization_of(token)

    assert not token or token not in str(caught.value)


async def test_an_expired_token_is_asked_for_once_more_and_the_upload_goes_on(
    connect: Connect, service: Service, storage: Storage, movie: Path
) -> None:
    tokens = iter(["first", "second"])
    service.fail("Complete", EXPIRED)

    async with connect(lambda: next(tokens)) as client:
        uploaded = await client.upload_file(movie)

    assert storage.bytes_of(uploaded.upload_id) == content(movie)
    assert carried(service) == ["Partway first", "Partway second"]


async def test_an_asynchronous_function_is_awaited(connect: Connect, service: Service) -> None:
    async def token() -> str:
        return "one\n"

    async with connect(token) as client:
        await client.capabilities()

    assert carried(service) == ["Partway one"]


async def test_a_token_that_is_refused_twice_is_an_error(
    connect: Connect, service: Service
) -> None:
    tokens = iter(["first", "second", "third"])
    service.fail("GetUsage", EXPIRED, EXPIRED)

    async with connect(lambda: next(tokens)) as client:
        with pytest.raises(UploadTokenExpired):
            await client.usage()

    assert service.count("GetUsage") == 2


async def test_the_same_token_again_is_not_tried(connect: Connect, service: Service) -> None:
    service.fail("GetUsage", EXPIRED)

    async with connect(lambda: "same") as client:
        with pytest.raises(UploadTokenExpired):
            await client.usage()

    assert service.count("GetUsage") == 1


async def test_a_file_is_read_again_when_it_changes(
    connect: Connect, service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")

    async with connect(file) as client:
        await client.usage()
        file.write_text("the-second\n")
        await client.usage()
        file.unlink()
        await client.usage()

    assert carried(service) == ["Partway first", "Partway the-second"]


async def test_a_file_is_read_again_when_its_token_is_refused(
    connect: Connect, service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    service.fail("GetUsage", EXPIRED)

    async with connect(file) as client:
        with pytest.raises(UploadTokenExpired):
            await client.usage()


async def test_a_file_that_is_missing_or_wrong_is_named(connect: Connect, tmp_path: Path) -> None:
    file = tmp_path / "token"
    async with connect(file) as client:
        with pytest.raises(TokenUnavailable, match="cannot be read: No such file"):
            await client.usage()
        file.write_text("not a token")
        with pytest.raises(TokenUnavailable, match="the token is invalid"):
            await client.usage()


async def test_an_upload_through_the_service_goes_on_with_a_new_token(
    connect: Connect, service: Service, storage: Storage, movie: Path
) -> None:
    service.via_service = True
    tokens = iter(["first", "second"])
    service.fail("UploadPart", EXPIRED)

    async with connect(lambda: next(tokens)) as client:
        uploaded = await client.upload_file(movie, route="service", concurrency=1)

    assert storage.bytes_of(uploaded.upload_id) == content(movie)


async def test_watch_goes_on_with_a_new_token(
    connect: Connect, service: Service, movie: Path
) -> None:
    tokens = iter(["first", "second"])
    service.fail("Watch", EXPIRED)

    async with connect(lambda: next(tokens)) as client:
        uploaded = await client.upload_file(movie)
        states = [upload.state async for upload in client.watch(uploaded.upload_id)]

    assert states == ["completed"]


def test_no_repr_shows_a_token() -> None:
    assert "sesame" not in repr(CallCredentials({"a": "b"}, "sesame"))


async def test_a_command_gives_the_token_and_is_run_again(
    service: Service, storage: Storage, state_dir: Path, movie: Path, tmp_path: Path
) -> None:
    script = tmp_path / "next-token"
    script.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "seen = pathlib.Path(sys.argv[1])\n"
        "seen.write_text((seen.read_text() if seen.exists() else '') + 'x')\n"
        "print(f'token-{len(seen.read_text())}')\n"
    )
    script.chmod(0o700)
    service.fail("Complete", EXPIRED)

    command = f"'{script}' '{tmp_path / 'seen'}'"
    done = await Partway(service, state_dir).run("upload", "--token-command", command, movie)

    assert done.code == 0
    assert carried(service) == ["Partway token-1", "Partway token-2"]


@pytest.mark.parametrize(
    ("command", "said"),
    [("false", "ended with 1"), ("/no/such", "cannot be run"), ("echo a b", "is invalid")],
)
async def test_a_command_that_gives_no_token_is_named(
    connect: Connect, command: str, said: str
) -> None:
    async with connect(token_from(None, None, command)) as client:
        with pytest.raises(TokenUnavailable, match=said):
            await client.usage()


@pytest.mark.parametrize("command", ["'", " "])
def test_a_command_that_is_none_is_refused(command: str) -> None:
    with pytest.raises(UsageError):
        token_from(None, None, command)


def test_one_source_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        token_from("a", None, "echo b")
