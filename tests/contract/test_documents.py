"""What the documents say is what is so."""

import json
import re
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from partway.v1 import upload_service_pb2
from partway_server.cli import main as server_command
from partway_server.policy import load_policies
from partway_server.settings import Settings, default_text, variable

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_readme_has_every_setting_as_it_is() -> None:
    rows = [
        f"| `{variable(setting.name)}` | {default_text(setting)} | {setting.metadata['why']} |"
        for setting in fields(Settings)
    ]
    assert "\n".join(rows) in README


def test_the_readme_has_every_rpc_with_its_path() -> None:
    from google.api import annotations_pb2

    for method in upload_service_pb2.DESCRIPTOR.services_by_name["UploadService"].methods:
        http = method.GetOptions().Extensions[annotations_pb2.http]
        verb, path = ("POST", http.post) if http.post else ("GET", http.get)
        told = f"`{verb} {path.replace('upload_id', 'id')}`" if path else "gRPC only"
        assert f"| {method.name} | {told} |" in README


def test_the_readme_names_every_command_of_the_server() -> None:
    for name in server_command.commands:
        assert f"partway-server {name}" in README


def test_the_policy_in_the_readme_is_the_default(tmp_path: Path) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", README, re.S)
    file = tmp_path / "policies.toml"
    file.write_text(toml)
    written = load_policies(file, "uploads")["default"]
    file.write_text("[default]\n")
    assert written == load_policies(file, "uploads")["default"]
    assert all(re.search(rf"^{f.name} = ", toml, re.M) for f in fields(written) if f.name != "name")


def test_the_client_in_the_readme_compiles() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    compile(code, "README.md", "exec")
    assert len(code.splitlines()) <= 14


@pytest.mark.parametrize("target", re.findall(r"^    (make [a-z-]+)", README, re.M))
def test_the_make_targets_in_the_readme_exist(target: str) -> None:
    found = subprocess.run([*target.split(), "--dry-run"], cwd=ROOT, capture_output=True)
    assert found.returncode == 0


def test_the_service_config_repeats_calls_of_our_service() -> None:
    config = json.loads((ROOT / "deploy/service_config.json").read_text())
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
