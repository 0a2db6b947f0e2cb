"""Tests `partway-server policy check`: the resulting policies, or the problems of a file."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from partway_server.cli.main import main
from partway_server.config.policy_file import OF_BACKEND, RULES
from partway_server.config.settings import Settings, variable

GOOD = """
[backend.far]
kind = "seaweedfs"
endpoint = "http://127.0.0.1:1"
access_key_env = "FAR_KEY"
secret_key_env = "FAR_SECRET"

[policy.default]

[policy.films]
backend = "far"
bucket = "films"
key_template = "{tenant}/{date}/{metadata.album}/{sid}.{extension}"
key_metadata = ["album"]
extensions = ["mov"]
max_size_bytes = "3GiB"
tags = { team = "film" }
compose_delete = "tenant"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "policies.toml"
    file.write_text(GOOD)
    return file


def check(file: Path, *flags: str, **settings: str) -> Result:
    clean = {variable(f.name): settings.get(f.name) for f in fields(Settings)}
    return CliRunner(env=clean).invoke(main, ["policy", "check", str(file), *flags])


def test_each_policy_is_shown_with_an_example_key(file: Path) -> None:
    result = check(file)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for expected in (
        "policy default",
        "bucket PARTWAY_BUCKET",
        "max_size_bytes 3 GiB",
        "extensions mov = video/quicktime",
        "tags team = film",
        "compose_delete own",
        "compose_delete tenant",
        "backend far",
        "access_key_env FAR_KEY",
        "addressing path",
    ):
        assert expected in lines
    [key] = [line for line in lines if line.startswith("example key acme/2026/03/01/my-album/")]
    assert key.endswith(".mov")
    shown = {line.split()[0] for line in lines if line}
    assert shown >= {*RULES, *OF_BACKEND}


def test_as_json_it_is_for_scripts(file: Path) -> None:
    shown = json.loads(check(file, "--json", bucket="mine").stdout)
    assert shown["problems"] == []
    assert shown["policies"]["default"]["bucket"] == "mine"
    films = shown["policies"]["films"]
    assert films["compose_delete"] == "tenant"
    assert films["max_size_bytes"] == 3 * 1024**3
    assert films["example_key"].startswith("acme/2026/03/01/my-album/")
    assert shown["backends"]["far"]["secret_key_env"] == "FAR_SECRET"


def test_all_that_is_wrong_is_reported_with_its_line(file: Path) -> None:
    file.write_text("[policy.a]\nbucket = 1\ncolour = 2\n")
    result = check(file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"partway-server: {file}:2: policy.a.bucket: is a number, not a string; put it in quotes",
        f"partway-server: {file}:3: policy.a.colour: unknown rule",
    ]
    shown = json.loads(check(file, "--json").stdout)
    assert [(p["line"], p["what"]) for p in shown["problems"]] == [
        (2, "policy.a.bucket"),
        (3, "policy.a.colour"),
    ]


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    result = check(tmp_path / "none.toml")
    assert result.exit_code == 1
    assert result.stderr == f"partway-server: {tmp_path}/none.toml: cannot be read: " + (
        "No such file or directory\n"
    )
