"""Tests the names that files get at the service, by --name-template."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from partway_client.cli.main import main
from partway_client.cli.name_template import name_from

from tests.client.command import Partway
from tests.client.service import Service
from tests.client.storage import Storage, answering


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for name in ("a.mp4", "raw/deep/b.mp4"):
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
    return tmp_path / "clips"


@pytest.mark.parametrize(
    ("template", "path", "name"),
    [
        ("{relative_path}", "raw/deep/b.tar.gz", "raw/deep/b.tar.gz"),
        ("{name}", "raw/deep/b.tar.gz", "b.tar.gz"),
        ("{parent}/{stem}-2026{suffix}", "raw/deep/b.tar.gz", "raw/deep/b.tar-2026.gz"),
        ("{parent}/{name}", "b.mp4", "b.mp4"),
        ("{{{stem}}}{suffix}", "noext", "{noext}"),
    ],
)
def test_the_fields_are_those_of_the_path(template: str, path: str, name: str) -> None:
    assert name_from(template, path) == name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name-template", "{sid}", "f"], "may have the fields {name}, {stem}, {suffix}"),
        (["--name-template", "{name!r}", "f"], "and no others"),
        (["--name-template", "{name:>9}", "f"], "and no others"),
        (["--name-template", "{name", "f"], "double a literal brace"),
        (["--name-template", "film.mp4", "f"], "has none of the fields"),
        (["--name-template", "{name}", "--name", "x", "f"], "goes neither with --name nor"),
        (["--name-template", "{name}", "-"], "nor with a stream"),
        (["--name-template", "{suffix}", "noext"], "gives noext no name"),
        (["--name-template", "{name}", "--upload-id", "x", "f"], "are those of the Upload"),
        (["--parallel-files", "9", "f"], "--parallel-files 9 needs --concurrency 9 or more"),
        (["--parallel-files", "0", "f"], "--parallel-files"),
        (["--retries", "-1", "f"], "--retries"),
    ],
)
def test_what_cannot_be_is_said_at_once(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, ["upload", *arguments])
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())


async def test_the_path_in_the_folder_is_sent_as_the_name(
    partway: Partway, service: Service, clips: Path
) -> None:
    done = await partway.run("upload", "-r", "--name-template", "{relative_path}", clips)

    assert done.code == 0, done.stderr
    names = [request.file_name for request in service.requests("Initialize")]
    assert sorted(names) == ["a.mp4", "raw/deep/b.mp4"]


async def test_a_file_of_a_list_has_the_path_that_it_was_given(
    partway: Partway, service: Service, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clips)
    given = f"./raw/deep/b.mp4\n../clips/a.mp4\n{clips}/raw/deep/../../a.mp4\n".encode()

    done = await partway.run(
        "upload", "--name-template", "{relative_path}", "--files-from", "-", content=given
    )

    assert done.code == 0, done.stderr
    names = [request.file_name for request in service.requests("Initialize")]
    assert sorted(names) == ["a.mp4", "raw/deep/b.mp4"]


async def test_another_template_makes_another_object(
    partway: Partway, service: Service, storage: Storage, clips: Path
) -> None:
    storage.fail(1, answering(400))
    first = ("upload", "-r", "--concurrency", "1", clips)
    assert (await partway.run(*first)).code == 1

    done = await partway.run(*first, "--name-template", "new-{name}")

    assert done.code == 0, done.stderr
    assert done.stdout.splitlines() == [
        "s3://bucket/files/new-a.mp4",
        "s3://bucket/files/new-b.mp4",
    ]
