"""Tests which files `partway upload` takes, by name, from a list and from folders."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from partway_client.cli.main import main

from tests.client.command import Partway
from tests.client.service import Service


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder `clips` in the working directory, with files, folders and links."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARTWAY_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path / "clips"
    for name in ("b.mp4", "a.mp4", "raw/c.mov", "raw/deep/d.mp4", ".hidden"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 100)
    os.mkfifo(folder / "pipe")
    (folder / "link.mp4").symlink_to("b.mp4")
    (folder / "gone.mp4").symlink_to("nowhere")
    (folder / "loop").symlink_to(".")
    return folder


def dry_run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["upload", "--dry-run", *arguments], input=stdin)


def selected(*arguments: str, stdin: bytes = b"") -> list[str]:
    result = dry_run(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.usefixtures("folder")
class TestFolders:
    def test_all_files_in_it_and_its_folders_are_taken_once(self) -> None:
        names = ["a.mp4", ".hidden", "b.mp4", "raw/c.mov", "raw/deep/d.mp4"]
        assert selected("-r", "clips/a.mp4", "clips") == [f"clips/{name}" for name in names]

    @pytest.mark.parametrize(
        ("options", "names"),
        [
            (["--include", "*.mov"], ["raw/c.mov"]),
            (["--include", "raw/*"], ["raw/c.mov", "raw/deep/d.mp4"]),
            (["--include", "*.mp4", "--exclude", "raw/*"], ["a.mp4", "b.mp4"]),
            (["--exclude", "*.mp4", "--exclude", ".*"], ["raw/c.mov"]),
            (["--include", "d.mp4", "--include", "*.mov"], ["raw/c.mov", "raw/deep/d.mp4"]),
        ],
    )
    def test_patterns_select_among_them(self, options: list[str], names: list[str]) -> None:
        assert selected("--recursive", "clips", *options) == [f"clips/{name}" for name in names]

    def test_a_link_to_a_file_that_is_not_there_as_well_is_taken(self, folder: Path) -> None:
        (folder / "b.mp4").rename(folder / "raw" / "b")
        (folder / "link.mp4").unlink()
        (folder / "link.mp4").symlink_to("raw/b")
        assert selected("-r", "clips", "--include", "*.mp4", "--exclude", "raw/*") == [
            "clips/a.mp4",
            "clips/link.mp4",
        ]

    def test_a_file_that_is_named_needs_no_pattern(self) -> None:
        assert selected("clips/raw/c.mov", "--include", "*.mp4") == ["clips/raw/c.mov"]

    def test_a_folder_without_recursive_is_refused(self) -> None:
        result = dry_run("clips")
        assert result.exit_code == 2
        assert "clips is a folder; --recursive uploads the files in it" in result.stderr

    def test_nothing_selected_is_an_error(self) -> None:
        result = dry_run("-r", "clips", "--include", "*.wav")
        assert (result.exit_code, result.stderr) == (1, "Error: no file is selected\n")

    def test_a_folder_that_cannot_be_read_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: str) -> None:
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(os, "scandir", refuse)
        result = dry_run("-r", "clips")
        assert (result.exit_code, result.stderr) == (
            1,
            "Error: cannot read clips: Permission denied\n",
        )


@pytest.mark.usefixtures("folder")
class TestLists:
    @pytest.mark.parametrize(
        "text", [b"clips/a.mp4\n\nclips/raw/c.mov\n", b"clips/a.mp4\0clips/raw/c.mov\0"]
    )
    def test_a_list_has_lines_or_nuls(self, text: bytes) -> None:
        assert selected("--files-from", "-", stdin=text) == ["clips/a.mp4", "clips/raw/c.mov"]

    def test_a_nul_keeps_names_with_newlines_whole(self, folder: Path) -> None:
        (folder / "two\nlines").write_bytes(b"x")
        (folder / "list").write_bytes(b"clips/two\nlines\0")
        assert selected("--files-from", "clips/list") == ["clips/two\\nlines"]

    def test_it_goes_with_files_and_folders(self) -> None:
        found = selected("clips/b.mp4", "-r", "--files-from", "-", stdin=b"clips/raw\n")
        assert found == ["clips/b.mp4", "clips/raw/c.mov", "clips/raw/deep/d.mp4"]

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            ([], 2, "name a file, or a list of files by --files-from"),
            (["-", "--files-from", "-"], 2, "standard input cannot be a file and the list"),
            (["--files-from", "none"], 1, "cannot read none: No such file or directory"),
            (["--files-from", "-"], 1, "no file is selected"),
            (["--files-from", "-", "--token", "-"], 2, "standard input can be the token or"),
        ],
    )
    def test_what_cannot_be_is_one_line(self, arguments: list[str], code: int, words: str) -> None:
        result = dry_run(*arguments)
        assert result.exit_code == code
        assert words in result.stderr


@pytest.mark.usefixtures("folder")
def test_a_dry_run_says_how_much_and_speaks_json() -> None:
    result = dry_run("-r", "clips", "--include", "*.mov", "--include", "a.*", "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"file": "clips/a.mp4", "size_bytes": 100},
        {"file": "clips/raw/c.mov", "size_bytes": 100},
    ]
    assert result.stderr == "partway: 2 files, 200 bytes, would be uploaded\n"


async def test_a_folder_is_uploaded_and_json_names_each_file(
    service: Service, folder: Path, state_dir: Path
) -> None:
    partway = Partway(service, state_dir)
    done = await partway.run("upload", "-r", "--include", "*.mp4", "--json", "clips")
    assert done.code == 0, done.stderr
    assert [(each["file"], each["uri"]) for each in done.results] == [
        ("clips/a.mp4", "s3://bucket/files/a.mp4"),
        ("clips/b.mp4", "s3://bucket/files/b.mp4"),
        ("clips/raw/deep/d.mp4", "s3://bucket/files/d.mp4"),
    ]
    assert "partway: 3 files, 300 bytes in " in done.stderr
