"""Tests the built image: what is in it, what it says of itself, and that it serves uploads."""

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

import pytest
from partway_server.devstack.servers import S3
from partway_server.runtime.subprocesses import free_port

from tests.support.container import Container, image_config, mounted, user
from tests.support.processes import Partway, service_environ, until

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
INSTALLERS = re.compile(r"(pip|setuptools|wheel|pkg_resources|ensurepip)(-.*)?|python-wheels")


@pytest.fixture(scope="module")
def files() -> Iterator[Path]:
    """Yield where the files of the image are."""
    with mounted() as root:
        yield root


def test_it_says_what_it_is() -> None:
    config = image_config()
    labels = {
        key.removeprefix("org.opencontainers.image."): value
        for key, value in config["Labels"].items()
        if key.startswith("org.opencontainers.image.")
    }
    assert labels["title"] == "Partway"
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["created"])
    project = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert project and labels["version"] == project[1]


def test_it_runs_the_service_itself_as_no_one_in_particular() -> None:
    config = image_config()
    assert user(config) == {"uid": 10001, "gid": 10001}
    assert config["Entrypoint"] == ["partway-server"] and config["Cmd"] == ["serve"]
    assert config["Healthcheck"]["Test"] == ["CMD", "partway-server", "health", "--liveness"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert config["ExposedPorts"].keys() == {"50051/tcp", "9464/tcp"}


def test_nothing_in_it_installs_packages(files: Path) -> None:
    packages = [*files.glob("**/site-packages/*"), *files.glob("**/dist-packages/*")]
    libraries = [*files.glob("usr/**/python3*/*"), *files.glob("usr/share/*")]
    assert len(packages) > 50 and libraries
    assert [each for each in (*packages, *libraries) if INSTALLERS.fullmatch(each.name)] == []
    assert [*files.glob("**/bin/pip*")] == []


def test_it_has_the_locked_packages_and_no_others(files: Path) -> None:
    locked = dict(
        re.findall(
            r"^([a-z0-9-]+)(?:\[.*\])?==([^ ;\\]+)",
            (ROOT / "requirements/server.txt").read_text(),
            re.M,
        )
    )
    found = {}
    for metadata in files.glob("opt/partway/lib/python3.*/site-packages/*.dist-info/METADATA"):
        headers = HeaderParser().parsestr(metadata.read_text("utf-8"), headersonly=True)
        found[re.sub(r"[-_.]+", "-", headers["Name"]).lower()] = headers["Version"]
    own = {name: found.pop(name) for name in ("partway-server", "partway-proto")}
    assert {*own.values()} == {image_config()["Labels"]["org.opencontainers.image.version"]}
    # The lock is for every Python and system; some of it is for others.
    assert found.items() <= locked.items()
    assert len(found) > len(locked) * 0.8


def test_its_user_owns_nothing(files: Path) -> None:
    service = [*(files / "opt/partway").rglob("*")]
    assert len(service) > 1000
    assert {each.lstat().st_uid for each in service} == {0}
    # Permissions of symbolic links mean nothing.
    assert [each for each in service if not each.is_symlink() and each.stat().st_mode & 0o002] == []


@pytest.mark.redis
@pytest.mark.s3
async def test_it_serves_an_upload_with_a_read_only_root(
    files: Path, s3: S3, redis_url: str, tmp_path: Path
) -> None:
    address, metrics = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    environ = service_environ(s3, redis_url, address=address, metrics_address=metrics, workers=2)
    with Container(files, tmp_path, environ) as container:

        def healthy() -> bool:
            assert container.process.poll() is None, container.log.read_text()
            return container.run("partway-server", "health").returncode == 0

        await until(healthy)
        (tmp_path / "movie.bin").write_bytes(bytes(range(256)) * 40_000)
        async with Partway(address, tmp_path / "state") as partway:
            sent = await partway.run("upload", "--json", tmp_path / "movie.bin")
            assert sent.code == 0, sent.messages
        assert "partway_calls_in_progress" in await asyncio.to_thread(page, metrics)
        refused = container.run("python3", "-c", "open('/opt/partway/file', 'w')")
        assert "Read-only file system" in refused.stderr
        assert container.run("python3", "-m", "pip").returncode != 0
        assert container.stop() == 0
        lines = [json.loads(each) for each in container.log.read_text().splitlines()]
        assert {each["level"] for each in lines} <= {"debug", "info"}


def page(address: str) -> str:
    """Return what is served to Prometheus."""
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        content: bytes = answer.read()
    return content.decode()


async def test_it_refuses_to_listen_everywhere_without_callers_identified(
    files: Path, tmp_path: Path
) -> None:
    environ = {"PARTWAY_BUCKET": "uploads", "PARTWAY_REDIS_URL": "redis://127.0.0.1:1/0"}
    with Container(files, tmp_path, environ) as container:
        assert container.process.wait(60) == 2
    assert "PARTWAY_IDENTITY" in container.log.read_text()
