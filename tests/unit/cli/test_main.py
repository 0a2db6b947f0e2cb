"""Tests the command line: what it prints, where, and with which exit code."""

import json
import socket
import subprocess
import sys
from dataclasses import fields

import pytest
from click.testing import CliRunner
from partway_server import __version__
from partway_server.cli.main import main
from partway_server.config.settings import Settings, flag, variable

CLEAN = {variable(f.name): None for f in fields(Settings)}


@pytest.fixture
def cli() -> CliRunner:
    return CliRunner(env=CLEAN)


def test_the_version_is_told(cli: CliRunner) -> None:
    assert __version__ in cli.invoke(main, ["--version"]).output


def test_help_begins_with_what_to_type(cli: CliRunner) -> None:
    text = cli.invoke(main, ["--help"]).output
    assert "partway-server dev" in text
    assert "partway-server serve" in text


def test_every_setting_that_is_no_secret_has_its_flag_in_the_help(cli: CliRunner) -> None:
    text = cli.invoke(main, ["serve", "--help"], terminal_width=200).output
    for setting in fields(Settings):
        if name := flag(setting):
            assert f"  {name}" in text
            assert f"[{variable(setting.name)}]" in text
    assert "--sealing-keys VALUE" not in text


def test_serve_without_settings_says_line_by_line_what_is_missing(cli: CliRunner) -> None:
    result = cli.invoke(main, ["serve"])
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("partway-server: PARTWAY_") for line in lines)


def test_a_flag_with_a_bad_value_is_named(cli: CliRunner) -> None:
    result = cli.invoke(main, ["serve", "--workers", "many"])
    assert result.exit_code == 2
    assert "--workers: 'many' is not a whole number" in result.stderr


def test_serve_with_workers_refuses_a_port_that_somebody_has(cli: CliRunner) -> None:
    key = "QUJD" * 21 + "QQ=="
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        flags = ["--workers", "2", "--bucket", "b", "--redis-url", "redis://127.0.0.1:1"]
        result = cli.invoke(
            main,
            ["serve", "--address", f"127.0.0.1:{port}", *flags],
            env={**CLEAN, "PARTWAY_SEALING_KEYS": key},
        )
    assert result.exit_code == 2
    assert result.stderr == f"partway-server: 127.0.0.1:{port} is taken by another program\n"


def test_settings_are_listed_as_json_with_secrets_hidden(cli: CliRunner) -> None:
    environ = {**CLEAN, "PARTWAY_S3_SECRET_KEY": "hunter2", "PARTWAY_WORKERS": "3"}
    result = cli.invoke(main, ["settings", "--json"], env=environ)
    rows = {row["variable"]: row for row in json.loads(result.stdout)}
    assert list(rows) == [variable(f.name) for f in fields(Settings)]
    assert rows["PARTWAY_WORKERS"]["value"] == 3
    assert rows["PARTWAY_WORKERS"]["default"] == "1"
    assert rows["PARTWAY_S3_SECRET_KEY"]["value"] == "***"
    assert "hunter2" not in result.output


def test_settings_are_listed_for_people_and_problems_apart(cli: CliRunner) -> None:
    result = cli.invoke(main, ["settings"])
    assert result.exit_code == 0
    assert "PARTWAY_ADDRESS  --address" in result.stdout
    assert "PARTWAY_BUCKET or --bucket: is not set" in result.stderr


@pytest.mark.parametrize("command", ["serve", "settings", "health"])
@pytest.mark.parametrize("address", ["nowhere", "host:port", "host:99999999"])
def test_an_address_that_is_none_is_one_line(cli: CliRunner, command: str, address: str) -> None:
    result = cli.invoke(main, [command], env={**CLEAN, "PARTWAY_ADDRESS": address})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    [line] = [x for x in result.stderr.splitlines() if "PARTWAY_ADDRESS" in x]
    assert f"{address!r} is not host:port" in line


def test_a_sealing_key_that_is_not_ascii_is_one_line(cli: CliRunner) -> None:
    result = cli.invoke(main, ["settings"], env={**CLEAN, "PARTWAY_SEALING_KEYS": "schl\u00fcssel"})
    assert result.exit_code == 0
    assert "PARTWAY_SEALING_KEYS: key 1 is not base64 of 64 bytes" in result.stderr
    assert "schl" not in result.output


KEY = "QUJD" * 21 + "QQ=="


def test_sweep_without_settings_says_line_by_line_what_is_missing(cli: CliRunner) -> None:
    result = cli.invoke(main, ["sweep", "--dry-run"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 3


def test_the_help_of_sweep_teaches_by_example(cli: CliRunner) -> None:
    text = cli.invoke(main, ["sweep", "--help"], terminal_width=100).output
    assert "partway-server sweep --dry-run\n" in text
    assert "would be aborted: no session record" in text


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--dry-run"], ["--json"]])
def test_sweep_without_redis_says_so_and_fails(flags: list[str]) -> None:
    given = [
        "--bucket",
        "b",
        "--redis-url",
        "redis://127.0.0.1:1",
        "--s3-endpoint",
        "http://[::1]:1",
    ]
    environ = {"PARTWAY_SEALING_KEYS": KEY, "PATH": "", "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "partway_server", "sweep", *given, *flags]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environ)
    assert result.returncode == 1
    assert result.stderr == (
        "partway-server: Redis: the connection failed. Check the host and the port in"
        " PARTWAY_REDIS_URL, and that Redis is running.\n"
    )
    assert "0 looked at" in result.stdout or json.loads(result.stdout)["findings"] == []


def partway_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "partway_server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


@pytest.mark.slow
def test_dev_on_a_taken_port_says_so_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = partway_server("dev", "--port", str(port))
    assert result.returncode == 1
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert f"port {port} is taken" in line


@pytest.mark.slow
def test_the_command_line_alone_does_not_load_grpc() -> None:
    # A parent of workers must not have used it, and help should be quick.
    program = "import sys, partway_server.cli.main; print('grpc' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout == "False\n"
