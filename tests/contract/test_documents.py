"""Tests that the documents agree with the code."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from partway.v1 import upload_service_pb2
from partway_server.cli.main import main as server_command
from partway_server.config.backends import Backend
from partway_server.config.policy_file import OF_BACKEND, RULES, Rules, read_rules
from partway_server.config.reference import reference
from partway_server.config.tenant_limits import OF_TENANT
from partway_server.domain.policy import Policy
from partway_server.domain.quota import Limit
from partway_server.observability.reference import reference as metrics_reference

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CALLERS = (ROOT / "docs/callers.md").read_text()
OPERATE = (ROOT / "docs/operate.md").read_text()
POLICIES = (ROOT / "docs/policies.md").read_text()


def test_the_reference_of_settings_is_what_make_docs_writes() -> None:
    assert (ROOT / "docs/reference/settings.md").read_text() == reference()


def test_the_reference_of_metrics_is_what_make_docs_writes() -> None:
    assert (ROOT / "docs/reference/metrics.md").read_text() == metrics_reference()


def test_the_guide_for_callers_has_every_rpc_with_its_path() -> None:
    from google.api import annotations_pb2

    for method in upload_service_pb2.DESCRIPTOR.services_by_name["UploadService"].methods:
        http = method.GetOptions().Extensions[annotations_pb2.http]
        verb = http.WhichOneof("pattern")
        path = getattr(http, verb) if verb else ""
        path = path.replace("upload_id", "id").replace("part_number", "number")
        route = f"`{verb.upper()} {path}`" if path else "gRPC only"
        assert f"| {method.name} | {route} |" in CALLERS


def test_the_guides_name_every_command_of_the_server() -> None:
    guides = OPERATE + (ROOT / "docs/getting-started.md").read_text()
    for name in server_command.commands:
        assert f"partway-server {name}" in guides


def test_the_guide_for_operators_names_every_setting_by_topic() -> None:
    shown = CliRunner().invoke(server_command, ["settings", "--json"]).stdout
    named = re.findall(r"`(PARTWAY_\w+)`", "".join(re.findall(r"^\| .*\n", OPERATE, re.M)))
    assert {setting["variable"] for setting in json.loads(shown)} <= set(named)


def _read(toml: str, kind: str = "generic") -> Rules:
    default = Backend("default", kind=kind)
    return read_rules("policies.toml", toml.encode(), bucket="uploads", default=default)


def test_the_policies_in_the_guide_for_operators_can_be_used() -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", OPERATE, re.S)
    assert _read(toml).policies["default"] == Policy("default", "uploads")


def test_the_reference_of_policies_names_every_rule_and_its_example_can_be_used() -> None:
    usual, whole = re.findall(r"```toml\n(.*?)```", POLICIES, re.S)
    assert _read(usual).policies["default"] == Policy("default", "uploads")
    for rule in RULES:
        # A line after "#" is a setting that is not set.
        assert re.search(rf"^(# )?{rule} = ", usual, re.M), rule
    assert _read(usual.replace("\n# ", "\n"), kind="aws").policies["default"].tags
    assert _read(whole).backends.keys() == {"default", "archive"}
    assert _read(whole).limits["acme"]["daily_bytes"] == 20 * 2**40
    named = (*RULES, *OF_BACKEND, *OF_TENANT)
    assert not [rule for rule in named if f"`{rule}`" not in POLICIES]


def test_the_policy_for_phones_can_be_used() -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/mobile.md").read_text(), re.S)
    policy = _read(f"{toml}\n[policy.default]\n").policies["mobile"]
    assert policy.max_url_seconds == 604_800
    assert policy.via_service


def test_the_guide_to_limits_names_every_limit_and_its_example_can_be_used() -> None:
    limits = (ROOT / "docs/limits.md").read_text()
    (toml,) = re.findall(r"```toml\n(.*?)```", limits, re.S)
    assert _read(f"{toml}\n[policy.default]\n").limits.keys() == {"acme", "trial-*"}
    for limit in Limit:
        assert re.search(rf"^\| `{limit}` \|", limits, re.M), limit


def test_the_client_in_the_readme_compiles() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    compile(code, "README.md", "exec")
    assert len(code.splitlines()) <= 14


@pytest.mark.parametrize("target", re.findall(r"^    (make [a-z-]+)", README, re.M))
def test_the_make_targets_in_the_readme_exist(target: str) -> None:
    found = subprocess.run([*target.split(), "--dry-run"], cwd=ROOT, capture_output=True)
    assert found.returncode == 0


def test_the_service_config_repeats_calls_of_our_service() -> None:
    config = json.loads((ROOT / "generated/partway/v1/service_config.json").read_text())
    (method,) = config["methodConfig"]
    (service,) = upload_service_pb2.DESCRIPTOR.services_by_name.values()
    assert method["name"] == [{"service": service.full_name}]
    assert method["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


def test_nothing_committed_names_a_package_index() -> None:
    hosts = "|".join(
        ("py" + "pi.org", "python" + "hosted", "registry.npm" + "js", "proxy.gol" + "ang")
    )
    found = subprocess.run(["git", "grep", "-lE", hosts], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == ""
