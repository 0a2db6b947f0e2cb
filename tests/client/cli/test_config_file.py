"""Tests the configuration file of `partway`, and what its commands say of it."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from partway_client.cli.main import main

from tests.client.command import Partway
from tests.client.files import write
from tests.client.service import Service

FILE = """
server = "uploads.example.com:443"
tls = true
limit-rate = "2MB"
[metadata]
team = "film"
[profile.home]
server = "localhost:50051"
tls = false
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's own configuration file."""
    for name in ("PARTWAY_SERVER", "PARTWAY_TLS", "PARTWAY_PROFILE", "PARTWAY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "partway" / "config.toml"
    path.parent.mkdir()
    path.write_text(FILE)
    return path


def partway(*arguments: str, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(main, list(arguments))


def shown(*arguments: str, **environ: str) -> dict[str, tuple[str | None, str]]:
    result = partway(*arguments, "--json", **environ)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["options"]
    return {name: (each["value"], each["source"]) for name, each in found.items()}


@pytest.mark.usefixtures("file")
class TestWhatCounts:
    def test_the_file_counts_before_a_default(self) -> None:
        found = shown("config", "show")
        assert found["server"] == ("uploads.example.com:443", "the file")
        assert found["tls"] == ("true", "the file")
        assert found["tenant"] == (None, "the default")

    def test_a_profile_counts_before_the_rest_of_the_file(self) -> None:
        found = shown("--profile", "home", "config", "show")
        assert found["server"] == ("localhost:50051", "the file")
        assert found["tls"] == ("false", "the file")

    def test_a_variable_counts_before_the_file(self) -> None:
        found = shown("config", "show", PARTWAY_PROFILE="home", PARTWAY_SERVER="other:1")
        assert found["server"] == ("other:1", "PARTWAY_SERVER")

    def test_the_command_line_counts_before_all(self) -> None:
        found = shown("config", "show", "--server", "mine:1", PARTWAY_SERVER="other:1")
        assert found["server"] == ("mine:1", "the command line")

    def test_a_token_is_not_shown(self) -> None:
        result = partway("config", "show", PARTWAY_TOKEN="secret-token")
        assert "token = (hidden)  (PARTWAY_TOKEN)" in result.stdout
        assert "secret" not in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sevrer = 'a:1'", "unknown option 'sevrer'; do you mean 'server'?"),
        ("token = 'secret'", "a token does not belong here; put it in a file"),
        ("upload-id = 'x'", "upload-id is for one command only"),
        ("delete-after = true", "delete-after is for one command only"),
        ("server = ", "config.toml is not TOML: "),
        ("profile = 1", "config.toml has no table [profile.home]"),
        ("", "config.toml has no table [profile.home]"),
    ],
)
def test_what_is_wrong_in_it_is_one_line(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    profile = ["--profile", "home"] if "profile" in words else []
    result = partway(*profile, "list")
    assert result.exit_code == 2
    assert words in result.stderr
    assert "secret" not in result.stderr


def test_it_need_not_exist_but_one_that_is_named_must(file: Path) -> None:
    file.unlink()
    assert shown("config", "show")["server"] == ("127.0.0.1:50051", "the default")
    result = partway("--config", str(file), "config", "show")
    assert result.exit_code == 2
    assert f"cannot read {file}: it does not exist" in result.stderr


async def test_an_upload_follows_it(service: Service, state_dir: Path, movie: Path) -> None:
    file = state_dir / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('[profile.films]\npolicy = "films"\n[profile.films.metadata]\nteam = "film"\n')
    command = Partway(service, state_dir)
    done = await command.run("--config", file, "--profile", "films", "upload", movie)
    assert done.code == 0, done.stderr
    (request,) = service.requests("Initialize")
    assert request.policy == "films"
    assert dict(request.metadata) == {"team": "film"}


async def test_the_command_line_overrules_what_excludes_it(
    service: Service, state_dir: Path, movie: Path
) -> None:
    file = state_dir / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    write(file, b"quiet = true\nname-template = 'all-{name}'\n")
    command = Partway(service, state_dir)

    done = await command.run("--config", file, "upload", "-v", "--name", "one", movie)

    assert done.code == 0, done.stderr
    assert done.stdout == "s3://bucket/files/one\n"
    assert "sending 10 of 10 parts" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(file: Path, shell: str) -> None:
    result = partway("completion", shell)
    assert result.exit_code == 0
    assert "_PARTWAY_COMPLETE" in result.stdout


def test_the_script_of_bash_is_one(file: Path) -> None:
    script = partway("completion", "bash").stdout
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    options = CliRunner(
        env={"_PARTWAY_COMPLETE": "bash_complete", "COMP_WORDS": "partway upl", "COMP_CWORD": "1"}
    ).invoke(main, prog_name="partway")
    assert options.stdout == "plain,upload\n"
