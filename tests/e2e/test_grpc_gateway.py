"""Tests the contract behind Go's grpc-gateway, the second gateway that it has to work with."""

import hashlib
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from partway_server.devstack.servers import S3, connect
from partway_server.runtime.subprocesses import free_port

from tests.support.example_programs import BUILT
from tests.support.processes import Server

pytestmark = [pytest.mark.examples, pytest.mark.timeout(120)]

MIB = 1024 * 1024
JSON = {"content-type": "application/json"}
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


class Gateway:
    """A running gateway, and the storage behind it."""

    def __init__(self, url: str, s3: S3) -> None:
        self.url, self.s3 = url, s3

    def call(
        self, verb: str, path: str, body: Any = None, headers: Mapping[str, str] = JSON
    ) -> tuple[int, Any]:
        """Return the HTTP status and the answer."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, dict(headers), method=verb)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, [json.loads(line) for line in answer.read().splitlines()]
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    log = tmp_path_factory.mktemp("gateway") / "log"
    with Server("dev", log=log) as server:
        ready, listen = server.ready(), f"127.0.0.1:{free_port()}"
        command = [str(BUILT / "grpc-gateway"), "-listen", listen, "-server", ready["grpc"]]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            assert "listening" in process.stderr.readline()
            yield Gateway(f"http://{listen}", S3(**ready["s3"]))
        finally:
            process.terminate()
            assert process.wait(60) == 0
            process.stderr.close()


def reason(error: Mapping[str, Any]) -> str:
    [info] = [each for each in error["details"] if each["@type"] == ERROR_INFO]
    assert info["domain"] == "partway"
    return str(info["reason"])


def test_a_whole_upload_through_the_service(gateway: Gateway) -> None:
    content = hashlib.shake_256(b"part").digest(7 * MIB)
    wanted = {"fileName": "a", "sizeBytes": str(len(content)), "partSizeBytes": str(5 * MIB)}
    status, [opened] = gateway.call("POST", "/v1/uploads", wanted)
    assert status == 200
    path = f"/v1/uploads/{opened['upload']['id']}"

    status, error = gateway.call("POST", f"{path}:complete", {})
    assert (status, reason(error)) == (400, "ERROR_REASON_PARTS_MISSING")
    [missing] = error["details"][1]["violations"]
    assert missing["subject"] == "parts/1-2"

    for number, part in ((1, content[: 5 * MIB]), (2, content[5 * MIB :])):
        kind = {"content-type": "application/octet-stream"}
        status, [sent] = gateway.call("PUT", f"{path}/parts/{number}", part, kind)
        assert (status, sent["part"]["sizeBytes"]) == (200, str(len(part)))
    status, [done] = gateway.call("POST", f"{path}:complete", {})
    assert (status, done["upload"]["state"]) == (200, "UPLOAD_STATE_COMPLETED")
    status, states = gateway.call("GET", f"{path}:watch")
    assert states[-1]["result"]["upload"]["state"] == "UPLOAD_STATE_COMPLETED"

    key = done["upload"]["object"]["key"]
    stored = connect(gateway.s3).get_object(Bucket=gateway.s3.bucket, Key=key)["Body"].read()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "why"),
    [
        ("GET", "/v1/uploads/unknown", None, 404, "ERROR_REASON_UPLOAD_NOT_FOUND"),
        ("POST", "/v1/uploads", {"fileName": "a"}, 400, "ERROR_REASON_INVALID_REQUEST"),
        ("PUT", "/v1/uploads/unknown/parts/1", b"x", 404, "ERROR_REASON_UPLOAD_NOT_FOUND"),
    ],
)
def test_an_error_reaches_the_caller_with_its_details(
    gateway: Gateway, verb: str, path: str, body: Any, status: int, why: str
) -> None:
    answered, error = gateway.call(verb, path, body)
    assert (answered, reason(error)) == (status, why)
    assert len(error["details"]) == 2


@pytest.mark.parametrize(
    ("verb", "path", "body", "headers", "status"),
    [
        ("POST", "/v1/uploads", {"sizeBytes": "1", "fileNam": "a"}, JSON, 400),
        ("POST", "/v1/uploads", {"sizeBytes": "1"}, {"content-type": "text/plain"}, 415),
        ("DELETE", "/v1/uploads", None, JSON, 405),
        ("GET", "/v2/uploads", None, JSON, 404),
    ],
    ids=["unknown field", "without a preflight", "wrong method", "unknown path"],
)
def test_what_the_gateway_refuses(
    gateway: Gateway, verb: str, path: str, body: Any, headers: Mapping[str, str], status: int
) -> None:
    answered, error = gateway.call(verb, path, body, headers)
    assert (answered, "code" in error) == (status, True)


def test_no_caller_says_who_it_is(gateway: Gateway) -> None:
    """The service believes partway-tenant from a gateway, so the gateway must not pass it on."""
    wanted = {"fileName": "a", "sizeBytes": "0"}
    headers = {**JSON, "grpc-metadata-partway-tenant": "evil", "partway-tenant": "evil"}
    _, [opened] = gateway.call("POST", "/v1/uploads", wanted, headers)
    status, _ = gateway.call("GET", f"/v1/uploads/{opened['upload']['id']}")
    assert status == 200
