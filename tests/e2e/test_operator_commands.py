"""Runs the commands of all documents that need no tools of others, beside a real service.

They run as they are written, but for the ids, files and hosts that a reader puts in; which ones,
tests/contract/documented_commands.py says.
"""

import base64
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from partway_server.config.settings import Settings
from partway_server.devstack.servers import S3, start_valkey
from partway_server.rpc.health_client import serving
from partway_server.runtime.subprocesses import free_port
from partway_server.storage.capabilities import KNOWN

from tests.contract.documented_commands import OPERATOR, run_by
from tests.support.documents import ROOT, Command, commands
from tests.support.processes import COMMANDS, Service, service_environ

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(300)]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECONDS = 120
REDIS_CLI = f"""#!{sys.executable}
import os, sys, redis
server = redis.Redis.from_url(os.environ["PARTWAY_REDIS_URL"], socket_timeout=None)
print(server.execute_command(*sys.argv[1:]))
"""
"""What stands for redis-cli, which not every machine has: the words go to Redis as they are."""

ALL = [command for command in commands() if run_by(command) == OPERATOR]
SETTINGS = re.compile(r"(export )?PARTWAY_\w+=")


@dataclass(frozen=True)
class Place:
    """A folder with the files that the documents name, beside a service with an upload in it."""

    folder: Path
    environ: Mapping[str, str]
    upload_id: str
    dead_event: str

    def shell(self, script: str, *, timeout: float = SECONDS, **variables: str) -> str:
        """Run a script until a command fails; return what it printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**self.environ, **variables},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


class Endpoint(BaseHTTPRequestHandler):
    """Accepts tests, and has no use for any other event: 410 makes it a dead letter."""

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(204 if event["type"] == "partway.test" else 410)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Redis in which there are no events but those of the commands."""
    child, url = start_valkey(tmp_path_factory.mktemp("valkey"), keep=False)
    with child:
        yield url


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, s3: S3, endpoint: str
) -> Iterator[Place]:
    folder = prepare(tmp_path_factory.mktemp("place"), endpoint)
    rules = {"webhook_file": folder / "webhooks.toml", "sealing_keys_file": folder / "keys"}
    settings = {**rules, "sealing_keys": ""}
    environ = environment(folder, service_environ(s3, redis_url, **settings))
    with service(folder, s3, redis_url, settings) as address:
        environ |= {"PARTWAY_ADDRESS": address, "PARTWAY_SERVER": address}
        begun = Place(folder, environ, "", "")
        begun.shell("partway upload movie.mp4")
        listed = json.loads(begun.shell("partway list --json").splitlines()[0])
        events = "until partway-server events dead --json | grep -m1 .; do sleep 0.3; done"
        dead = json.loads(begun.shell(events).splitlines()[0])
        yield Place(folder, environ, listed["upload_id"], dead["id"])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def prepare(folder: Path, endpoint: str) -> Path:
    """Write the files that the commands name."""
    (folder / "movie.mp4").write_bytes(bytes(range(256)) * 4096)
    (folder / "keys").write_bytes(base64.b64encode(secrets.token_bytes(64)))
    webhook = f'url = "{endpoint}"\nsecret_env = "ORDERS_SECRET"\n'
    rules = "allow_http = true\nallow_private = true\n"
    (folder / "webhooks.toml").write_text(f"[webhook.orders]\n{webhook}{rules}")
    (toml,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/operate.md").read_text(), re.S)
    (folder / "policies.toml").write_text(toml)
    for name in ("iam/control.json", "iam/signer.json", "bucket/policy.json", "bucket/cors.json"):
        shutil.copy(ROOT / "deploy" / name, folder)
    (folder / "made").mkdir()
    redis_cli = folder / "bin/redis-cli"
    redis_cli.parent.mkdir()
    redis_cli.write_text(REDIS_CLI)
    redis_cli.chmod(0o755)
    return folder


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: v for name, v in os.environ.items() if not name.startswith("PARTWAY_")}
    path = f"{folder / 'bin'}:{COMMANDS}:{os.environ['PATH']}"
    state = {"PARTWAY_STATE_DIR": str(folder / "state"), "ORDERS_SECRET": SECRET, "PATH": path}
    return {**kept, **settings, **state}


@contextmanager
def service(folder: Path, s3: S3, redis_url: str, settings: Mapping[str, object]) -> Iterator[str]:
    os.environ["ORDERS_SECRET"] = SECRET
    try:
        with Service(folder, s3, redis_url, **settings) as service:
            service.start()
            yield service.address
    finally:
        del os.environ["ORDERS_SECRET"]


@pytest.mark.parametrize("command", [c for c in ALL if not SETTINGS.match(c.text)], ids=str)
def test_a_command_of_the_documents(command: Command, place: Place) -> None:
    script = as_typed(command.text, place)
    if "partway-server serve" in script:
        serves(script, place)
    elif "--follow" in script:
        follows(script, place)
    else:
        place.shell(f"pg_dump() {{ seq 10000; }}\n{script}")
    for made in (place.folder / "made").glob("*.json"):
        json.loads(made.read_text())


@pytest.mark.parametrize("command", [c for c in ALL if SETTINGS.match(c.text)], ids=str)
def test_the_settings_of_the_documents(command: Command, tmp_path: Path) -> None:
    """Set variables as a reader does, up to this one; what is set has no problem of its own."""
    script = f"set -a\n{command.before}\n{command.text}\nenv -0"
    done = subprocess.run(
        ["bash", "-euc", script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    environ = dict(line.split("=", 1) for line in done.stdout.rstrip("\0").split("\0"))
    _, problems = Settings.examine(environ, backends=KNOWN)
    assert [p for p in problems if p.split(":")[0] in environ and "needs" not in p] == []


def as_typed(text: str, place: Place) -> str:
    """Put in what a reader does."""
    for written, there in (
        (".venv/bin/", ""),
        ("UPLOAD_ID", place.upload_id),
        ("EVENT_ID", place.dead_event),
        ("/tmp/", f"{place.folder}/made/"),
        ("/etc/envoy/", f"{place.folder}/made/"),
    ):
        text = text.replace(written, there)
    return text


def serves(script: str, place: Place) -> None:
    """Run a service until it serves, and stop it."""
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        ["bash", "-c", f"exec {script}"],
        cwd=place.folder,
        env={**place.environ, "PARTWAY_ADDRESS": address},
    ) as process:
        while not serving(address, 1.0):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


def follows(script: str, place: Place) -> None:
    """Read a line of what goes on until Ctrl-C, and press that."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {script}"],
        cwd=place.folder,
        env=dict(place.environ),
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(SECONDS) in (0, 130)
