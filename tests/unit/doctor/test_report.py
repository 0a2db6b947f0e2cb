"""Tests the doctor's output, and the settings that it checks by themselves."""

import base64
import io
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from partway_server.cli.doctor import ProgressLine
from partway_server.cli.main import main
from partway_server.config.settings import Settings
from partway_server.doctor.finding import Finding, Status, bad, ok, skipped, warn
from partway_server.doctor.report import as_json, as_text
from partway_server.doctor.settings_checks import (
    configuration,
    in_plain_text,
    lifetimes,
    secret_files,
)
from partway_server.domain.policy import Policy

FINDINGS = [
    ok("settings.address", "here"),
    Finding("storage.cors", Status.WARN, "none", "Set it, or:\naws s3api x", bucket="uploads"),
    Finding("storage.reachable", Status.BAD, "no answer", "Go there.", bucket="uploads"),
    *skipped(["redis.mode", "redis.version"], "Redis in reach"),
]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICIES = {"default": Policy("default", "uploads")}
KEY = base64.b64encode(bytes(range(64))).decode()


def settings(**changes: str) -> Settings:
    return Settings(**{"sealing_keys": KEY, **changes})  # type: ignore[arg-type]


def test_the_text_is_grouped_and_aligned_with_what_to_do_below() -> None:
    assert as_text(FINDINGS, colour=False).splitlines() == [
        "settings",
        "  ok    address  here",
        "",
        "storage, bucket 'uploads'",
        "  warn  cors       none",
        "          Set it, or:",
        "          aws s3api x",
        "  BAD   reachable  no answer",
        "          Go there.",
        "",
        "redis",
        "  skip  mode     skipped: needs Redis in reach, and 1 more like it",
        "",
        "1 good, 1 warning, 1 bad, 2 skipped",
    ]


def test_colour_only_changes_the_marks_and_titles() -> None:
    coloured = as_text(FINDINGS, colour=True)
    assert "\x1b[31mBAD " in coloured
    assert "\x1b" not in as_text(FINDINGS, colour=False)


def test_json_has_every_finding_and_the_exit_code() -> None:
    printed = json.loads(as_json(FINDINGS))
    assert printed["counts"] == {"ok": 1, "warn": 1, "bad": 1, "skipped": 2}
    assert printed["exit_code"] == 1
    assert printed["findings"][1] == {
        "name": "storage.cors",
        "status": "warn",
        "found": "none",
        "mend": "Set it, or:\naws s3api x",
        "bucket": "uploads",
    }
    assert json.loads(as_json([warn("a.b", "", "")]))["exit_code"] == 0
    assert json.loads(as_json([bad("a.b", "", "")]))["exit_code"] == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_hint_is_given_on_a_terminal_after_a_second_and_taken_away() -> None:
    seconds = iter([0.0, 0.5, 1.5])
    stream = Terminal()
    progress = ProgressLine(stream, now=lambda: next(seconds))
    progress("storage")
    assert stream.getvalue() == ""
    progress("signatures")
    progress.clear()
    assert stream.getvalue() == "\r\x1b[Kchecking: signatures\r\x1b[K"


def test_no_hint_is_given_to_a_file() -> None:
    seconds = iter([0.0, 9.0])
    stream = io.StringIO()
    progress = ProgressLine(stream, now=lambda: next(seconds))
    progress("storage")
    progress.clear()
    assert stream.getvalue() == ""


TLS = {"address": "0.0.0.0:50051", "tls_cert_file": "server.pem", "tls_key_file": "server.key"}
EVERY_PEER = {"identity": "jwt,metadata", "trusted_peers": "10.0.0.0/8,::/0"}


@pytest.mark.parametrize(
    ("changes", "name", "status"),
    [
        ({}, "sealing_keys", "ok"),
        ({"sealing_keys": base64.b64encode(bytes(64)).decode()}, "sealing_keys", "bad"),
        ({"sealing_keys": f"{KEY},{KEY}"}, "sealing_keys", "ok"),
        ({"address": "0.0.0.0:50051", "identity": "jwt"}, "address", "ok"),
        ({"address": "0.0.0.0:50051", "identity": "none"}, "address", "warn"),
        ({"address": "0.0.0.0:50051", "identity": "metadata"}, "address", "ok"),
        ({**EVERY_PEER, "address": "0.0.0.0:50051"}, "address", "warn"),
        ({"address": "[::1]:50051", "identity": "metadata"}, "address", "ok"),
        ({**TLS, "identity": "jwt"}, "address", "ok"),
        ({**TLS, "identity": "none"}, "address", "warn"),
        ({**TLS, "identity": "none", "tls_client_ca_file": "ca.pem"}, "address", "ok"),
    ],
)
def test_settings_that_hold_together_may_still_be_wrong(
    changes: dict[str, str], name: str, status: str
) -> None:
    found = {f.name: str(f.status) for f in configuration(settings(**changes), POLICIES, "")}
    assert found[f"settings.{name}"] == status


def test_policies_that_cannot_be_used_are_bad() -> None:
    found = {f.name: f for f in configuration(settings(), POLICIES, "no rule is called colour")}
    assert found["settings.policies"].status is Status.BAD


def test_a_secret_that_every_user_can_read_is_named_with_the_remedy() -> None:
    assert not [*secret_files({})]
    [found] = secret_files({"/run/secrets/a": False})
    assert found.status is Status.OK
    [found] = secret_files({"/run/secrets/a": False, "/run/secrets/b": True})
    assert found.status is Status.WARN and "/run/secrets/b" in found.found
    assert "chmod o-r /run/secrets/b;" in found.remedy and "defaultMode" in found.remedy


@pytest.mark.parametrize(
    ("minutes", "by_hand", "status"),
    [(None, False, "ok"), (59, False, "warn"), (61, False, "ok"), (None, True, "warn")],
)
def test_credentials_should_outlast_the_urls_they_sign(
    minutes: int | None, by_hand: bool, status: str
) -> None:
    end = NOW + timedelta(minutes=minutes) if minutes else None
    found = lifetimes(POLICIES, end, NOW, by_hand=by_hand)
    assert found.status == status


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("http://files.example", True),
        ("https://files.example", False),
        ("http://127.0.0.1:9000", False),
        ("http://localhost:9000", False),
    ],
)
def test_plain_text_matters_between_machines(url: str, plain: bool) -> None:
    assert in_plain_text(url) is plain


def test_settings_that_cannot_be_used_are_exit_code_two() -> None:
    clean = {name: None for name in os.environ if name.startswith("PARTWAY_")}
    result = CliRunner(env=clean).invoke(main, ["doctor"])
    assert result.exit_code == 2
    assert "PARTWAY_BUCKET or --bucket: is not set" in result.stderr
    assert result.stdout == ""


def test_help_teaches_by_an_example() -> None:
    text = CliRunner().invoke(main, ["doctor", "--help"]).output
    assert "partway-server doctor --fix --cors-origin https://app.example" in text
