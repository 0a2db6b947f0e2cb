"""Tests the examples of other languages against a real stack: uploaders, backends, a gateway.

`make test-examples` builds them and runs this.
"""

import hashlib
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3, connect
from partway_server.runtime.subprocesses import free_port
from standardwebhooks import Webhook

from tests.support.example_programs import BACKENDS, EXAMPLES, UPLOADERS, upload
from tests.support.polling import wait_for
from tests.support.processes import Server

pytestmark = [pytest.mark.examples, pytest.mark.timeout(240)]

MIB = 1024 * 1024
SIZE = 128 * MIB + 1
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
READY_SECONDS = 60.0
MAX_LINES = 200

SOURCES = {
    "go": "go/upload/main.go",
    "java": "java/src/main/java/com/example/Upload.java",
    "python": "python/upload.py",
    "typescript": "typescript/upload.ts",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """The addresses of a running stack."""

    grpc: str
    s3: S3

    def digest(self, key: str) -> str:
        """Return the SHA-256 of an object."""
        body = connect(self.s3).get_object(Bucket=self.s3.bucket, Key=key)["Body"]
        return hashlib.sha256(body.read()).hexdigest()


@contextmanager
def running_stack(log: Path, **environ: str) -> Iterator[Stack]:
    with Server("dev", log=log, environ=environ) as server:
        ready = server.ready()
        yield Stack(ready["grpc"], S3(**ready["s3"]))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack") / "log") as stack:
        yield stack


@pytest.fixture
def stub(stack: Stack) -> Iterator[Any]:
    with grpc.insecure_channel(stack.grpc) as channel:
        yield UploadServiceStub(channel)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "film.bin"
    path.write_bytes(hashlib.shake_256(b"film").digest(SIZE))
    return path


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("language", SOURCES)
def test_an_uploader_is_small(language: str) -> None:
    lines = (EXAMPLES / SOURCES[language]).read_text().splitlines()
    code = [
        line
        for line in lines
        if line.strip() and not line.lstrip().startswith(("//", "#", "/*", "*"))
    ]
    assert len(code) < MAX_LINES


@pytest.mark.parametrize("language", UPLOADERS)
@pytest.mark.parametrize("size", [0, 5, SIZE], ids=["empty", "small", "large"])
def test_an_uploader_sends_a_file(
    language: str, size: int, stack: Stack, file: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part.bin"
    part.write_bytes(file.read_bytes()[:size])
    done = upload(language, stack.grpc, str(part))
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip().removeprefix(f"s3://{stack.s3.bucket}/")
    assert stack.digest(key) == digest(part)


@pytest.mark.parametrize("language", UPLOADERS)
def test_an_uploader_resumes(
    language: str, stack: Stack, stub: Any, file: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.bin"
    own.write_bytes(file.read_bytes())
    request = pb.ListUploadsRequest(state=upload_pb2.UPLOAD_STATE_ACTIVE)
    before = {each.id for each in stub.ListUploads(request).uploads}
    command = [*UPLOADERS[language], "--server", stack.grpc, str(own)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        begun = wait_for(
            lambda: [u for u in stub.ListUploads(request).uploads if u.id not in before],
            "the uploader begins no Upload",
            READY_SECONDS,
        )
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    done = upload(language, stack.grpc, str(own))
    assert done.returncode == 0, done.stderr
    assert "resuming" in done.stderr
    assert done.stdout.strip() == begun[0].object.uri
    assert stack.digest(begun[0].object.key) == digest(file)


@pytest.mark.parametrize("language", UPLOADERS)
def test_an_uploader_reports_the_reason(language: str, stack: Stack, file: Path) -> None:
    done = upload(language, stack.grpc, "--upload-id", "unknown", str(file))
    assert done.returncode != 0
    assert "ERROR_REASON_UPLOAD_NOT_FOUND" in done.stderr


class Backend:
    """A running backend, as a page calls it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """Return the HTTP status and the answer; with a body it is a POST."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        return self.send(urllib.request.Request(self.url + path, data, headers))

    def send(self, request: urllib.request.Request) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text, status = answer.read(), answer.status
        except urllib.error.HTTPError as error:
            text, status = error.read(), error.code
        return status, json.loads(text) if text.startswith(b"{") else text

    def deliver(self, event: Mapping[str, Any], secret: str = SECRET) -> int:
        """Send an event as the service does."""
        body, now = json.dumps(event), datetime.now(UTC)
        headers = {
            "webhook-id": str(event["id"]),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(str(event["id"]), now, body),
            "content-type": "application/cloudevents+json",
        }
        url = f"{self.url}/webhooks/partway"
        return self.send(urllib.request.Request(url, body.encode(), headers))[0]


@pytest.fixture(scope="module")
def ports() -> Mapping[str, int]:
    return {language: free_port() for language in BACKENDS}


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory, ports: Mapping[str, int]) -> Iterator[Stack]:
    """A stack that believes its backends, and calls each of them."""
    folder = tmp_path_factory.mktemp("hooked")
    (folder / "webhooks.toml").write_text(
        "\n".join(
            f'[webhook.{language}]\nurl = "http://127.0.0.1:{port}/webhooks/partway"\n'
            'secret_env = "EXAMPLE_SECRET"\nallow_http = true\nallow_private = true\n'
            for language, port in ports.items()
        )
    )
    environ = {
        "PARTWAY_IDENTITY": "metadata",
        "PARTWAY_WEBHOOK_FILE": str(folder / "webhooks.toml"),
        "EXAMPLE_SECRET": SECRET,
    }
    with running_stack(folder / "log", **environ) as stack:
        yield stack


@contextmanager
def running_backend(language: str, port: int, stack: Stack, folder: Path) -> Iterator[Backend]:
    environ = {
        **os.environ,
        "PARTWAY_SERVER": stack.grpc,
        "WEBHOOK_SECRET": SECRET,
        "DATABASE": str(folder / "backend.db"),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*BACKENDS[language], str(port)], env=environ, stderr=log)
    backend = Backend(f"http://127.0.0.1:{port}")
    try:
        wait_for(lambda: answers(backend), "the backend does not start", READY_SECONDS)
        yield backend
    finally:
        process.terminate()
        try:
            assert process.wait(60) in (0, -signal.SIGTERM), (folder / "log").read_text()
        finally:
            process.kill()


def answers(backend: Backend) -> bool:
    try:
        return backend.call("/uploads/none")[0] == 401
    except urllib.error.URLError:
        return False


@pytest.mark.parametrize("language", BACKENDS)
def test_a_backend_is_a_whole_application(
    language: str, hooked: Stack, ports: Mapping[str, int], file: Path, tmp_path: Path
) -> None:
    with running_backend(language, ports[language], hooked, tmp_path) as backend:
        alice, bob = (logged_in(backend, name) for name in ("alice", "bob"))
        assert backend.call("/login", {"name": "alice", "password": "guess"})[0] == 401
        assert backend.call("/uploads", {"file_name": "a", "size_bytes": 1})[0] == 401
        assert backend.call("/uploads", {"file_name": "a", "size_bytes": -1}, alice)[0] == 422

        wanted = {"file_name": "film.bin", "size_bytes": SIZE}
        status, begun = backend.call("/uploads", wanted, alice)
        assert status == 201, begun
        record = f"/uploads/{begun['id']}"
        assert backend.call(record, token=alice)[1]["state"] == "pending"
        assert backend.call(record, token=bob)[0] == 404

        arguments = (hooked.grpc, "--upload-id", begun["upload_id"], str(file))
        done = upload("go", *arguments, token=begun["token"])
        assert done.returncode == 0, done.stderr
        wait_for(
            lambda: backend.call(record, token=alice)[1]["state"] == "processed",
            "the upload is not processed",
            READY_SECONDS,
        )
        key = done.stdout.strip().removeprefix(f"s3://{hooked.s3.bucket}/")
        assert hooked.digest(key) == digest(file)

        failed = {"id": "1", "type": "upload.failed", "data": {"key": key}}
        assert backend.deliver(failed, secret="whsec_" + "A" * 32) == 401
        assert [backend.deliver(failed) for _ in range(2)] == [204, 204]
        assert backend.call(record, token=alice)[1]["state"] == "processed"


def logged_in(backend: Backend, name: str) -> str:
    credentials = {"name": name, "password": f"{name}'s secret"}
    assert backend.call("/users", credentials)[0] == 201
    assert backend.call("/users", credentials)[0] == 409
    status, answer = backend.call("/login", credentials)
    assert status in (200, 201)
    return str(answer["token"])
