"""Tests the service from a shell: `buf curl` for RPCs, `curl` for bytes, no code of ours."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2
from partway_server.devstack.servers import S3

from tests.support.bucket import Bucket
from tests.support.files import File
from tests.support.processes import COMMANDS, Service

pytestmark = [pytest.mark.redis, pytest.mark.s3]

UPLOADS = "partway.v1.UploadService"
MIB = 1024 * 1024
EXIT_SHIFT = 3
"""buf's exit code is the gRPC code, shifted by so many bits."""


def buf_curl(service: Service, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    url = f"http://{service.address}{path}"
    command = [str(COMMANDS / "buf"), "curl", "--protocol", "grpc", "--http2-prior-knowledge"]
    return subprocess.run(
        [*command, *arguments, url], capture_output=True, text=True, timeout=30, check=False
    )


def call(service: Service, rpc: str, **request: Any) -> list[dict[str, Any]]:
    """Return the responses; a stream has several."""
    ran = buf_curl(service, f"/{UPLOADS}/{rpc}", "--data", json.dumps(request))
    assert ran.returncode == 0, ran.stderr
    return decoded(ran.stdout)


def decoded(text: str) -> list[dict[str, Any]]:
    found, decoder, text = [], json.JSONDecoder(), text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].lstrip()
    return found


def curl(part: dict[str, Any], body: str | Path) -> str:
    """Send a file as a part, with exactly its headers; return storage's status."""
    headers = [word for k, v in part.get("headers", {}).items() for word in ("-H", f"{k}: {v}")]
    # What curl adds to a body by default.
    if "content-type" not in part.get("headers", {}):
        headers += ["-H", "Content-Type:"]
    command = ["curl", "-sS", "-o", "-", "-w", "%{http_code}", "-X", part["method"], *headers]
    sent = subprocess.run(
        [*command, "--data-binary", f"@{body}", part["url"]],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return sent.stdout


@pytest.mark.parametrize("version", ["grpc-v1", "grpc-v1alpha"])
def test_services_and_methods_are_listed_by_reflection(service: Service, version: str) -> None:
    reflect = ("--reflect-protocol", version)
    services = buf_curl(service, "", "--list-services", *reflect).stdout.split()
    assert {UPLOADS, "grpc.health.v1.Health"} <= set(services)
    methods = buf_curl(service, "", "--list-methods", *reflect).stdout.split()
    assert {
        f"{UPLOADS}/{rpc}" for rpc in ("Initialize", "PresignParts", "Complete", "Status")
    } <= set(methods)


def test_without_reflection_nothing_is_listed(tmp_path: Path, s3: S3, redis_url: str) -> None:
    with Service(tmp_path, s3, redis_url) as silent:
        silent.start()
        listed = buf_curl(silent, "", "--list-services")
    assert listed.returncode != 0
    assert listed.stdout == ""
    assert "unimplemented" in listed.stderr


@pytest.mark.parametrize("size", [1, 11 * MIB + 3], ids=["one byte", "three parts"])
def test_a_whole_upload_takes_buf_curl_and_curl(
    service: Service, bucket: Bucket, tmp_path: Path, size: int
) -> None:
    file = File.write(tmp_path / "film.mp4", size)
    [opened] = call(
        service,
        "Initialize",
        fileName="film.mp4",
        sizeBytes=size,
        partSizeBytes=5 * MIB,
        contentType="video/mp4",
    )
    upload_id = opened["upload"]["id"]
    messages = call(service, "PresignParts", uploadId=upload_id)
    assert messages[-1].get("remainingCount", 0) == 0
    parts = [part for message in messages for part in message["parts"]]
    assert [p["partNumber"] for p in parts] == [n + 1 for n in range(opened["upload"]["partCount"])]
    for part in parts:
        offset, length = int(part.get("offsetBytes", 0)), int(part["sizeBytes"])
        piece = tmp_path / "piece"
        piece.write_bytes(file.path.read_bytes()[offset : offset + length])
        assert curl(part, piece) == "200"
    [completed] = call(service, "Complete", uploadId=upload_id)
    assert completed["upload"]["state"] == "UPLOAD_STATE_COMPLETED"
    [status] = call(service, "Status", uploadId=upload_id)
    assert status["upload"] == completed["upload"]
    assert int(status["upload"]["object"]["sizeBytes"]) == size
    key = status["upload"]["object"]["key"]
    assert bucket.sha256(key) == file.sha256
    head = bucket.client.head_object(Bucket=bucket.name, Key=key)
    assert head["ContentType"] == "video/mp4"


def test_a_part_with_another_length_is_refused_by_storage(service: Service, tmp_path: Path) -> None:
    [opened] = call(service, "Initialize", fileName="film.mp4", sizeBytes=6 * MIB, presignParts=1)
    piece = tmp_path / "piece"
    piece.write_bytes(b"short")
    [part] = opened["parts"]
    assert curl(part, piece).endswith("403")


def test_an_error_arrives_with_its_code_and_its_details(service: Service) -> None:
    [opened] = call(service, "Initialize", fileName="a", sizeBytes=11 * MIB, partSizeBytes=5 * MIB)
    request = json.dumps({"uploadId": opened["upload"]["id"]})
    refused = buf_curl(service, f"/{UPLOADS}/Complete", "--data", request)
    assert refused.returncode == 9 << EXIT_SHIFT
    error = json.loads(refused.stderr)
    assert error["code"] == "failed_precondition"
    details = {detail["type"]: detail for detail in error["details"]}
    info = unpacked(details["google.rpc.ErrorInfo"], error_details_pb2.ErrorInfo())
    assert (info.domain, info.reason) == ("partway", "ERROR_REASON_PARTS_MISSING")
    assert info.metadata["missing_count"] == "3"
    failure = unpacked(
        details["google.rpc.PreconditionFailure"], error_details_pb2.PreconditionFailure()
    )
    assert [(v.type, v.subject) for v in failure.violations] == [("PART_MISSING", "parts/1-3")]


def unpacked(detail: dict[str, Any], message: Any) -> Any:
    value = detail["value"]
    message.ParseFromString(base64.b64decode(value + "=" * (-len(value) % 4)))
    return message
