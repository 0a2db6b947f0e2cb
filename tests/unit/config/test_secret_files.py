"""Tests secrets in files: what their value is, what is refused, and that no text shows them."""

import base64
import json
import os
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from partway_server.cli.main import main
from partway_server.config.backends import Backend, Keys, secrets_of
from partway_server.config.secret_files import (
    MAX_BYTES,
    SecretFileError,
    read_secret,
    readable_by_all,
)
from partway_server.config.settings import (
    SECRET_FILES,
    Settings,
    SettingsError,
    environment,
    variable,
)

from tests.support.secrecy import all_it_holds
from tests.unit.config.test_settings import OTHER_KEY, REQUIRED

SECRET = "hunter2"
CLEAN = {variable(f.name): None for f in fields(Settings)}
VALUES = {
    "redis_url": f"redis://user:{SECRET}@redis.example:6379/0",
    "sealing_keys": base64.b64encode(bytes(range(100, 164))).decode(),
}


def write(folder: Path, content: str | bytes, name: str = "secret") -> str:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def test_every_secret_has_a_setting_that_names_its_file() -> None:
    secrets = {f.name for f in fields(Settings) if f.metadata["secret"]}
    with_files = {*SECRET_FILES.values()}
    assert with_files == {*secrets, "redis_url", "s3_access_key", "s3_signer_access_key"}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (SECRET, SECRET),
        (f"{SECRET}\n", SECRET),
        (f"{SECRET}\r\n", SECRET),
        (f"{SECRET}\n\n", f"{SECRET}\n"),
        (f" {SECRET} ", f" {SECRET} "),
        ("x" * MAX_BYTES, "x" * MAX_BYTES),
    ],
)
def test_the_value_is_the_content_without_one_newline(
    tmp_path: Path, content: str, value: str
) -> None:
    assert read_secret(write(tmp_path, content)) == value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (SECRET.encode() + b"\xff", "is not UTF-8"),
        (SECRET * 10_000, "is larger than 64 KiB"),
    ],
)
def test_what_holds_no_secret_is_refused_without_its_content(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(SecretFileError) as raised:
        read_secret(path)
    assert str(raised.value) == f"{path} {words}"
    assert SECRET not in all_it_holds(raised.value).replace(path, "")


def test_a_folder_a_pipe_and_a_path_that_leads_nowhere_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, words in (
        (tmp_path, "cannot be read: Is a directory"),
        (pipe, "is not a regular file"),
        (tmp_path / "none", "cannot be read: No such file or directory"),
        ("/dev/null", "is not a regular file"),
    ):
        with pytest.raises(SecretFileError) as raised:
            read_secret(str(path))
        assert str(raised.value) == f"{path} {words}"


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, SECRET)
    os.chmod(path, 0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads everything")
    with pytest.raises(SecretFileError, match="cannot be read: Permission denied"):
        read_secret(path)


@pytest.mark.parametrize("path", [SECRET, "secrets/key", "/run/sec\0ret", "/run/sec\nret"])
def test_what_is_no_absolute_path_is_refused_and_not_repeated(path: str) -> None:
    given = {**REQUIRED, "PARTWAY_S3_SECRET_KEY_FILE": path}
    settings, problems = Settings.examine(given)
    [problem] = problems
    assert problem.startswith("PARTWAY_S3_SECRET_KEY_FILE or --s3-secret-key-file: ")
    assert path not in problem
    if not path.startswith("/"):
        assert path not in repr(settings)


@pytest.mark.parametrize("name", SECRET_FILES.values())
def test_a_setting_has_the_value_that_its_file_holds(tmp_path: Path, name: str) -> None:
    value = VALUES.get(name, SECRET)
    given = {k: v for k, v in REQUIRED.items() if k != variable(name)}
    given[variable(f"{name}_file")] = write(tmp_path, f"{value}\n")
    settings, problems = Settings.examine(given)
    assert getattr(settings, name) == value
    assert not [each for each in problems if "_FILE" in each]
    assert value not in repr(settings) or name.endswith("access_key")


def test_a_file_is_read_through_the_links_of_a_kubernetes_volume(tmp_path: Path) -> None:
    for version in ("..2026_01", "..2026_02"):
        (tmp_path / version).mkdir()
        write(tmp_path / version, f"{SECRET}{version}", "key")
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "key").symlink_to("..data/key")
    settings = Settings(s3_access_key="a", s3_secret_key_file=str(tmp_path / "key"))
    backend = Backend.of_settings(settings)
    assert secrets_of(backend, settings, {}).control == Keys("a", f"{SECRET}..2026_01")
    (tmp_path / "new").symlink_to("..2026_02")
    os.replace(tmp_path / "new", tmp_path / "..data")
    assert secrets_of(backend, settings, {}).control == Keys("a", f"{SECRET}..2026_02")


def test_a_variable_and_its_file_are_one_problem(tmp_path: Path) -> None:
    given = {**REQUIRED, "PARTWAY_REDIS_URL_FILE": write(tmp_path, VALUES["redis_url"])}
    with pytest.raises(SettingsError) as raised:
        Settings.load(given)
    assert raised.value.problems == (
        "PARTWAY_REDIS_URL_FILE or --redis-url-file:"
        " PARTWAY_REDIS_URL is set as well; remove one of the two",
    )


def test_a_file_that_cannot_be_read_is_one_problem_with_its_path() -> None:
    given = {k: v for k, v in REQUIRED.items() if k != "PARTWAY_SEALING_KEYS"}
    with pytest.raises(SettingsError) as raised:
        Settings.load({**given, "PARTWAY_SEALING_KEYS_FILE": "/no/such/file"})
    [problem] = raised.value.problems
    assert problem.startswith("PARTWAY_SEALING_KEYS_FILE or --sealing-keys-file: /no/such/file ")


def test_a_value_in_a_file_is_checked_as_one_in_a_variable_is(tmp_path: Path) -> None:
    given = {k: v for k, v in REQUIRED.items() if k != "PARTWAY_SEALING_KEYS"}
    given["PARTWAY_SEALING_KEYS_FILE"] = write(tmp_path, SECRET)
    with pytest.raises(SettingsError, match="PARTWAY_SEALING_KEYS: key 1 is not base64") as raised:
        Settings.load(given)
    assert SECRET not in all_it_holds(raised.value)


def test_a_worker_reads_the_file_itself_and_has_no_secret_in_its_environment(
    tmp_path: Path,
) -> None:
    given = {k: v for k, v in REQUIRED.items() if k != "PARTWAY_SEALING_KEYS"}
    given["PARTWAY_SEALING_KEYS_FILE"] = write(tmp_path, OTHER_KEY)
    settings = Settings.load(given)
    passed = environment(settings)
    assert OTHER_KEY not in passed.values()
    assert Settings.load(passed) == settings


def test_the_command_shows_where_a_secret_came_from(tmp_path: Path) -> None:
    path = write(tmp_path, SECRET)
    environ = {**CLEAN, "PARTWAY_S3_SECRET_KEY_FILE": path}
    result = CliRunner().invoke(main, ["settings"], env=environ)
    assert f"now: *** (from {path})" in result.stdout
    printed = CliRunner().invoke(main, ["settings", "--json"], env=environ).stdout
    rows = {row["variable"]: row for row in json.loads(printed)}
    row = rows["PARTWAY_S3_SECRET_KEY"]
    assert (row["value"], row["file"]) == ("***", path)
    assert SECRET not in result.output + printed


def test_whether_every_user_may_read_a_file_is_known(tmp_path: Path) -> None:
    path = write(tmp_path, SECRET)
    os.chmod(path, 0o640)
    assert not readable_by_all(path)
    os.chmod(path, 0o644)
    assert readable_by_all(path)
    assert not readable_by_all(str(tmp_path / "none"))
