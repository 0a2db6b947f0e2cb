"""Tests that a misspelt PARTWAY_ variable prevents the start, and other variables do not."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from partway_server.cli.main import main
from partway_server.config.settings import Settings, SettingsError, variable
from partway_server.config.unknown_variables import CLIENT_VARIABLES

from tests.unit.config.test_settings import REQUIRED

CLIENT = Path(__file__).parents[3] / "clients/python/partway_client"


def unknown(environ: dict[str, str]) -> list[str]:
    try:
        Settings.load({**REQUIRED, **environ})
    except SettingsError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("PARTWAY_WORKRES", "did you mean PARTWAY_WORKERS?"),
        ("PARTWAY_SEALING_KEY", "did you mean PARTWAY_SEALING_KEYS?"),
        ("PARTWAY_REDISURL", "did you mean PARTWAY_REDIS_URL?"),
        ("PARTWAY_S3_SECRET", "did you mean PARTWAY_S3_SECRET_KEY?"),
        ("PARTWAY_QQQ", "see docs/reference/settings.md"),
        ("PARTWAY_", "see docs/reference/settings.md"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_setting(name: str, ends: str) -> None:
    assert unknown({name: "hunter2"}) == [f"{name}: unknown setting; {ends}"]


def test_each_has_a_line_and_comes_with_the_other_problems() -> None:
    lines = unknown({"PARTWAY_WORKERS": "0", "PARTWAY_B": "1", "PARTWAY_A": "1"})
    assert [line.split()[0].rstrip(":") for line in lines] == [
        "PARTWAY_WORKERS",
        "PARTWAY_A",
        "PARTWAY_B",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARTWAY_SERVICE_HOST", "10.0.0.1"),
        ("PARTWAY_SERVICE_PORT", "50051"),
        ("PARTWAY_SERVICE_PORT_GRPC", "50051"),
        ("PARTWAY_PORT", "tcp://10.0.0.1:50051"),
        ("PARTWAY_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
        ("PARTWAY_PORT_50051_TCP_PROTO", "tcp"),
        ("PARTWAY_PORT_50051_TCP_PORT", "50051"),
        ("PARTWAY_PORT_50051_TCP_ADDR", "10.0.0.1"),
        ("PARTWAY_REDIS_SERVICE_HOST", "10.0.0.1"),
        ("PARTWAY_REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("PARTWAY_REDIS_PORT_6379_TCP_ADDR", "10.0.0.1"),
        ("PARTWAY_TEST_BACKENDS", "1"),
        ("PARTWAY_WORKRES", ""),
        ("PARTWAY_WORKRES", " "),
        ("XPARTWAY_WORKRES", "1"),
        *((name, "x") for name in sorted(CLIENT_VARIABLES)),
    ],
)
def test_what_others_set_is_ignored(name: str, value: str) -> None:
    assert unknown({name: value}) == []


def test_a_port_that_kubernetes_did_not_set_is_not_ignored() -> None:
    assert len(unknown({"PARTWAY_PORT": "50051"})) == 1


def test_the_variables_of_the_client_are_all_known() -> None:
    text = "".join(path.read_text() for path in CLIENT.rglob("*.py"))
    assert set(re.findall(r"(?<!_)PARTWAY_[A-Z_]+", text)) == CLIENT_VARIABLES


def test_a_variable_that_a_file_names_is_known(tmp_path: Path) -> None:
    policies, webhooks = tmp_path / "policies.toml", tmp_path / "webhooks.toml"
    policies.write_text("[backend.far]\naccess_key_env = 'PARTWAY_FAR_KEY'\n")
    webhooks.write_text("[webhook.orders]\nsecret_env = ['PARTWAY_HOOK_NEW', 'PARTWAY_HOOK']\n")
    files = {"PARTWAY_POLICY_FILE": str(policies), "PARTWAY_WEBHOOK_FILE": str(webhooks)}
    given = dict.fromkeys(("PARTWAY_FAR_KEY", "PARTWAY_HOOK_NEW", "PARTWAY_HOOK"), "x")
    assert unknown({**files, **given}) == []
    assert len(unknown(given)) == 3
    [line] = unknown({**files, **given, "PARTWAY_HOOKS": "x"})
    assert line.startswith("PARTWAY_HOOKS: unknown setting")


@pytest.mark.parametrize("content", [None, b"[", b"\xff", b"a = " + b"[" * 100_000])
def test_of_a_file_that_cannot_be_read_the_start_reports_that_alone(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "webhooks.toml"
    if content is not None:
        file.write_bytes(content)
    assert unknown({"PARTWAY_WEBHOOK_FILE": str(file), "PARTWAY_HOOK": "x"}) == []


@pytest.mark.parametrize("command", [["serve"], ["sweep"], ["sweep", "--dry-run"]])
def test_serve_and_sweep_refuse_to_start(command: list[str]) -> None:
    clean = {variable(f.name): None for f in fields(Settings)}
    environ = {**clean, **REQUIRED, "PARTWAY_WORKRES": "4"}
    result = CliRunner(env=environ).invoke(main, command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "partway-server: PARTWAY_WORKRES: unknown setting; did you mean PARTWAY_WORKERS?\n"
    )


def test_the_doctor_reports_it_and_goes_on() -> None:
    clean = {variable(f.name): None for f in fields(Settings)}
    unreachable = {
        "PARTWAY_REDIS_URL": "redis://127.0.0.1:1",
        "PARTWAY_S3_ENDPOINT": "http://127.0.0.1:1",
        "PARTWAY_S3_ACCESS_KEY": "a",
        "PARTWAY_S3_SECRET_KEY": "s",
        "PARTWAY_WORKRES": "4",
    }
    result = CliRunner(env={**clean, **REQUIRED, **unreachable}).invoke(main, ["doctor", "--json"])
    assert result.exit_code == 1
    found = {each["name"]: each for each in json.loads(result.stdout)["findings"]}
    assert found["settings.unknown"]["status"] == "bad"
    assert "PARTWAY_WORKRES: unknown setting" in found["settings.unknown"]["found"]
    assert len(found) > 3
