"""Tests the REST gateway, as used by someone who has nothing but curl."""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from huggingface_hub import CommitOperationAdd
from huggingface_hub.lfs import _upload_multi_part
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_server.devstack.gateway import start_gateway
from partway_server.devstack.servers import S3, connect
from partway_server.runtime.subprocesses import free_port

from tests.support.issuer import AUDIENCE, ISSUER, jwks, signing_key, token
from tests.support.processes import Server, until

pytestmark = [pytest.mark.redis, pytest.mark.s3]

MIB = 1024 * 1024
PAGE, OTHER_PAGE = "http://localhost:3000", "https://app.example"
STRANGER = "https://stranger.example"

Curl = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    origins = ("--cors-origin", PAGE, "--cors-origin", OTHER_PAGE)
    folder = tmp_path_factory.mktemp("rest")
    data = ("--data-dir", str(folder / "data"))
    with Server("dev", "--rest", *origins, *data, log=folder / "dev.log") as server:
        yield {**server.ready(), "gateway_log": folder / "data/envoy.log"}


@pytest.fixture(scope="module")
def curl(stack: dict[str, Any]) -> Curl:
    """Call the gateway; return the HTTP status and the response as JSON or text."""

    def call(path: str, *arguments: str, body: Any = None) -> tuple[int, Any]:
        data = () if body is None else ("--json", json.dumps(body))
        answer = run_curl(stack["rest"] + path, "-w", "\n%{http_code}", *data, *arguments)
        text, _, status = answer.rpartition("\n")
        return int(status), json.loads(text) if text.startswith(("{", "[")) else text

    return call


def run_curl(*arguments: str) -> str:
    assert shutil.which("curl"), "these tests need curl"
    command = ["curl", "--silent", "--show-error", "--max-time", "30", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def put(part: dict[str, Any], file: Path, tmp_path: Path) -> None:
    """Send one part with curl, with exactly the headers that it states."""
    slice_ = tmp_path / f"part-{part['partNumber']}"
    with file.open("rb") as source:
        source.seek(int(part["offsetBytes"]))
        slice_.write_bytes(source.read(int(part["sizeBytes"])))
    headers = [word for k, v in part["headers"].items() for word in ("-H", f"{k}: {v}")]
    status = run_curl(
        "-X", part["method"], "-T", str(slice_), *headers, "-w", "%{http_code}", part["url"]
    )
    assert status == "200"


@pytest.mark.parametrize(
    ("size", "parts"), [(17 * MIB + 1, 4), (3, 1)], ids=["in parts", "in a single request"]
)
def test_a_whole_upload_needs_only_curl(
    curl: Curl, stack: dict[str, Any], tmp_path: Path, size: int, parts: int
) -> None:
    file = tmp_path / "file.bin"
    file.write_bytes(hashlib.shake_256(b"bytes").digest(size))

    initialize = {"fileName": "file.bin", "sizeBytes": str(size), "partSizeBytes": str(5 * MIB)}
    status, answer = curl("/v1/uploads", body=initialize)
    assert status == 200
    path = f"/v1/uploads/{answer['upload']['id']}"
    assert answer["upload"]["state"] == "UPLOAD_STATE_ACTIVE"
    assert answer["upload"]["partCount"] == parts

    status, presigned = curl(f"{path}:batchPresignParts", body={})
    assert status == 200
    assert [part["partNumber"] for part in presigned["parts"]] == list(range(1, parts + 1))
    for part in presigned["parts"]:
        put(part, file, tmp_path)

    status, progress = curl(f"{path}?view=STATUS_VIEW_PROGRESS")
    assert (status, progress["progress"]["partsStored"]) == (200, parts)

    status, completed = curl(f"{path}:complete", body={})
    assert (status, completed["upload"]["state"]) == (200, "UPLOAD_STATE_COMPLETED")

    status, answer = curl(path)
    assert status == 200
    assert answer["upload"] == completed["upload"]
    found = answer["upload"]["object"]
    assert found["sizeBytes"] == str(size)
    with closing(connect(S3(**stack["s3"]))) as storage:
        stored = storage.get_object(Bucket=found["bucket"], Key=found["key"])["Body"]
        assert stored.read() == file.read_bytes()


def test_a_thousand_parts_fit_into_one_answer(curl: Curl) -> None:
    # With the longest key there is: non-ASCII grows threefold in a URL.
    initialize = {"fileName": "ü" * 200, "sizeBytes": str(1000 * 5 * MIB), "partSizeBytes": 5 * MIB}
    _, answer = curl("/v1/uploads", body=initialize)
    status, presigned = curl(f"/v1/uploads/{answer['upload']['id']}:batchPresignParts", body={})
    assert (status, len(presigned["parts"])) == (200, 1000)


def test_the_stream_arrives_as_one_message_a_line(stack: dict[str, Any], curl: Curl) -> None:
    initialize = {"fileName": "f", "sizeBytes": str(300 * 5 * MIB), "partSizeBytes": 5 * MIB}
    _, answer = curl("/v1/uploads", body=initialize)
    url = f"{stack['rest']}/v1/uploads/{answer['upload']['id']}:presignParts"
    messages = [json.loads(line) for line in run_curl(url, "--json", "{}").splitlines()]
    assert [p["partNumber"] for m in messages for p in m["parts"]] == list(range(1, 301))
    assert len(messages) > 1
    assert messages[-1]["remainingCount"] == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "reason"),
    [
        ("/v1/uploads", {"sizeBytes": "-1"}, 400, 3, "ERROR_REASON_INVALID_REQUEST"),
        ("/v1/uploads/unknown", None, 404, 5, "ERROR_REASON_UPLOAD_NOT_FOUND"),
        ("/v1/uploads/unknown:complete", {}, 404, 5, "ERROR_REASON_UPLOAD_NOT_FOUND"),
    ],
)
def test_an_error_arrives_as_json_with_its_reason(
    curl: Curl, path: str, body: Any, status: int, code: int, reason: str
) -> None:
    answered, error = curl(path, body=body)
    assert answered == status
    assert set(error) == {"code", "message", "details"}
    assert error["code"] == code
    assert error["message"]
    [info] = [d for d in error["details"] if d["@type"].endswith("google.rpc.ErrorInfo")]
    assert info["reason"] == reason


def test_completing_without_the_parts_tells_which_are_missing(curl: Curl) -> None:
    initialize = {"fileName": "f", "sizeBytes": str(20 * MIB), "partSizeBytes": 5 * MIB}
    _, answer = curl("/v1/uploads", body=initialize)
    status, error = curl(f"/v1/uploads/{answer['upload']['id']}:complete", body={})
    assert status == 400
    assert error["code"] == 9
    assert "1-4" in json.dumps(error["details"])


@pytest.mark.parametrize("query", ["uploadId={}", "upload_id={}", "upload%49d={}", "&uploadId={}"])
def test_no_query_names_another_upload_than_the_path(curl: Curl, query: str) -> None:
    first, second = (curl("/v1/uploads", body={"sizeBytes": 1})[1]["upload"]["id"] for _ in "ab")
    status, text = curl(f"/v1/uploads/{first}:abort?{query.format(second)}", body={})
    assert (status, text["message"]) == (
        400,
        "An upload and its parts are named by the path alone.",
    )
    for upload in (first, second):
        assert curl(f"/v1/uploads/{upload}")[1]["upload"]["state"] == "UPLOAD_STATE_ACTIVE"


def test_a_query_may_have_escapes_in_its_values(curl: Curl) -> None:
    query = "createdFrom=2026-01-01T00%3A00%3A00%2B02:00&fingerprint=upload%49d"
    assert curl(f"/v1/uploads?{query}") == (200, {"uploads": [], "nextPageToken": ""})


def test_headers_that_are_too_large_are_no_call_too_many(curl: Curl) -> None:
    # 429 would be worth repeating. The first has the longest id in its path, too.
    assert curl(f"/v1/uploads/{'a' * 8192}", "-H", f"x-token: {'a' * 5000}")[0] == 404
    assert curl("/v1/uploads", "-H", f"x-token: {'a' * 30_000}")[0] == 431


async def test_grpc_passes_through(stack: dict[str, Any]) -> None:
    async with grpc.aio.insecure_channel(stack["rest"].removeprefix("http://")) as channel:
        answer = await rpc.UploadServiceStub(channel).Initialize(
            pb.InitializeRequest(file_name="f", size_bytes=1)
        )
    assert answer.upload.part_count == 1


def test_grpc_web_passes_through(stack: dict[str, Any], tmp_path: Path) -> None:
    message = pb.InitializeRequest(file_name="f", size_bytes=1).SerializeToString()
    request = tmp_path / "request"
    request.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    answer = tmp_path / "answer"
    path = "/partway.v1.UploadService/Initialize"
    headers = ("-H", "content-type: application/grpc-web+proto", "-H", "x-grpc-web: 1")
    run_curl(stack["rest"] + path, *headers, "--data-binary", f"@{request}", "-o", str(answer))
    size = int.from_bytes(answer.read_bytes()[1:5], "big")
    assert pb.InitializeResponse.FromString(answer.read_bytes()[5 : 5 + size]).upload.id
    assert b"grpc-status:0" in answer.read_bytes()[5 + size :]


@pytest.mark.parametrize(
    "path", ["/grpc.health.v1.Health/Check", "/partway.v1.Nothing/Call", "/", "/v2/uploads"]
)
def test_nothing_but_the_api_is_reachable(curl: Curl, path: str) -> None:
    assert curl(path, body={})[0] == 404


def test_who_calls_is_said_by_a_token_alone(tmp_path: Path) -> None:
    key, keys = signing_key("gateway"), tmp_path / "keys.json"
    keys.write_bytes(jwks(key))
    environ = {
        "PARTWAY_IDENTITY": "jwt,metadata",
        "PARTWAY_JWT_ISSUER": ISSUER,
        "PARTWAY_JWT_AUDIENCE": AUDIENCE,
        "PARTWAY_JWT_JWKS_FILE": str(keys),
    }
    with Server("dev", "--rest", log=tmp_path / "dev.log", environ=environ) as server:
        url = server.ready()["rest"] + "/v1/uploads"
        named = ("-H", "partway-tenant: acme", "-H", "partway-subject: alice")
        assert json.loads(run_curl(url, *named))["code"] == 16
        bearer = f"authorization: Bearer {token(key, exp=int(time.time()) + 600)}"
        opened = json.loads(
            run_curl(url, "-H", bearer, "--json", '{"sizeBytes": 0, "uploadToken": {}}')
        )
        upload, holder = opened["upload"]["id"], opened["uploadToken"]["token"]
        assert json.loads(run_curl(url, "-H", bearer))["uploads"][0]["id"] == upload
        by_upload_token = ("-H", f"authorization: Partway {holder}", "-T", os.devnull)
        part = json.loads(run_curl(f"{url}/{upload}/parts/1", *by_upload_token))
        assert part["part"]["partNumber"] == 1
        forged = f"authorization: Bearer {token(signing_key('other'), exp=int(time.time()) + 600)}"
        assert json.loads(run_curl(url, "-H", forged))["code"] == 16


def preflight(url: str, origin: str, method: str, headers: str) -> dict[str, str]:
    """Ask as a browser does before a call; return the headers of the answer."""
    asked = [
        f"origin: {origin}",
        f"access-control-request-method: {method}",
        f"access-control-request-headers: {headers}",
    ]
    return head_of(url, "-X", "OPTIONS", *(word for h in asked for word in ("-H", h)))


def head_of(*arguments: str) -> dict[str, str]:
    """Return the headers of an answer, by their names in small letters."""
    head = run_curl(*arguments, "-o", os.devnull, "-D", "-").splitlines()
    pairs = (line.partition(":") for line in head[1:] if line)
    return {name.lower(): value.strip() for name, _, value in pairs}


@pytest.mark.parametrize("origin", [PAGE, OTHER_PAGE])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_pages_at_named_origins_may_call(stack: dict[str, Any], origin: str, method: str) -> None:
    answer = preflight(f"{stack['rest']}/v1/uploads", origin, method, "authorization,content-type")
    assert answer["access-control-allow-origin"] == origin
    assert method in answer["access-control-allow-methods"].split(", ")
    assert {"authorization", "content-type"} <= {
        *answer["access-control-allow-headers"].split(", ")
    }
    error = head_of(f"{stack['rest']}/v1/uploads/unknown", "-H", f"origin: {origin}")
    assert error["access-control-allow-origin"] == origin


def test_other_pages_may_not_call(stack: dict[str, Any]) -> None:
    url = f"{stack['rest']}/v1/uploads"
    for answer in (preflight(url, STRANGER, "POST", ""), head_of(url, "-H", f"origin: {STRANGER}")):
        assert not [name for name in answer if name.startswith("access-control-")]


def test_pages_at_named_origins_may_send_parts_and_read_their_tags(
    curl: Curl, stack: dict[str, Any]
) -> None:
    upload = curl("/v1/uploads", body={"sizeBytes": 1, "presignParts": 1})[1]
    part = upload["parts"][0]
    answer = preflight(part["url"], PAGE, "PUT", ",".join(part["headers"]).lower())
    assert answer["access-control-allow-origin"] == PAGE
    assert "PUT" in answer["access-control-allow-methods"]
    allowed = answer["access-control-allow-headers"].split(", ")
    assert allowed == ["*"] or {name.lower() for name in part["headers"]} <= {*allowed}
    headers = [word for k, v in part["headers"].items() for word in ("-H", f"{k}: {v}")]
    sent = head_of("-X", "PUT", "-d", "x", "-H", f"origin: {PAGE}", *headers, part["url"])
    assert sent["access-control-allow-origin"] == PAGE
    assert "ETag" in sent["access-control-expose-headers"]
    assert sent["etag"]
    assert "access-control-allow-origin" not in preflight(part["url"], STRANGER, "PUT", "")


# ---- what the gateway answers itself


def is_status(answer: Any, code: int) -> bool:
    """Return whether the body is a google.rpc.Status of the gateway's own."""
    return set(answer) == {"code", "message", "details"} and (
        answer["code"],
        answer["details"],
    ) == (code, [])


@pytest.mark.parametrize(
    ("path", "arguments", "status", "code"),
    [
        ("/v1/uploads", ("--json", '{"sizeBytes":'), 400, 3),
        ("/v1/uploads", ("--json", '{"sizeBytes": "many"}'), 400, 3),
        ("/v1/uploads?nothing=1", (), 400, 3),
        ("/v1/uploads?state=NOTHING", (), 400, 3),
        ("/v1/uploads/x%2Fy", (), 400, 3),
        ("/v1/uploads/x/parts/one", ("-T", os.devnull), 400, 3),
        ("/v1/nothing", (), 404, 5),
        ("/v1/uploads", ("-X", "PUT"), 405, 12),
        ("/v1/uploads", ("-d", '{"sizeBytes": 1}'), 415, 3),
        ("/v1/uploads", ("-d", '{"sizeBytes": 1}', "-H", "content-type: text/plain"), 415, 3),
        ("/v1/uploads", ("-F", "sizeBytes=1"), 415, 3),
        ("/v1/uploads", ("-X", "POST", "-H", f"origin: {STRANGER}"), 415, 3),
    ],
)
def test_refusals_of_the_gateway_are_json_too(
    curl: Curl, path: str, arguments: tuple[str, ...], status: int, code: int
) -> None:
    answered, error = curl(path, *arguments)
    assert answered == status
    assert is_status(error, code)


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/v1/uploads", "PUT", {"GET", "POST"}),
        ("/v1/uploads", "HEAD", {"GET", "POST"}),
        ("/v1/uploads/x", "DELETE", {"GET"}),
        ("/v1/uploads/x", "POST", {"GET"}),
        ("/v1/uploads/x:complete", "GET", {"POST"}),
        ("/v1/uploads/x%3Acomplete", "GET", {"POST"}),
        ("/v1/uploads/x/parts/1", "POST", {"PUT"}),
    ],
)
def test_another_method_is_answered_with_those_that_there_are(
    stack: dict[str, Any], path: str, method: str, allowed: set[str]
) -> None:
    word = ("--head",) if method == "HEAD" else ("-X", method)
    headers = head_of(stack["rest"] + path, "-H", "content-type: application/json", *word)
    assert set(headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("colon", ["%3A", "%3a"])
def test_the_colon_of_a_verb_may_be_escaped(curl: Curl, colon: str) -> None:
    upload = curl("/v1/uploads", body={"sizeBytes": 1})[1]["upload"]["id"]
    status, presigned = curl(f"/v1/uploads/{upload}{colon}batchPresignParts", body={})
    assert (status, len(presigned["parts"])) == (200, 1)
    status, aborted = curl(f"/v1/uploads/{upload}{colon}abort", body={})
    assert (status, aborted["upload"]["state"]) == (200, "UPLOAD_STATE_ABORTED")


@pytest.mark.parametrize(
    "body", ['{"fileName": "a", "size_byte": "5"}', '{"sizeBytes": null}', "{}"]
)
def test_an_upload_of_no_size_is_refused(curl: Curl, body: str) -> None:
    for arguments in (("--json", body), ("-X", "POST"), ("--json", "")):
        status, error = curl("/v1/uploads", *arguments)
        assert (status, error["code"]) == (400, 3)
        assert "size_bytes: is missing" in error["message"]


def test_a_load_balancer_can_ask_for_health(curl: Curl) -> None:
    assert curl("/healthz") == (200, "")


async def test_the_access_log_has_names_and_no_secrets(curl: Curl, stack: dict[str, Any]) -> None:
    answer = curl("/v1/uploads", body={"sizeBytes": 1, "uploadToken": {}})[1]
    upload, token = answer["upload"]["id"], answer["uploadToken"]["token"]
    authorization = ("-H", f"authorization: Partway {token}")
    for path in (
        f"/v1/uploads/{upload}",
        f"/v1/uploads/{upload}?uploadId={upload}",
        f"/x/{upload}",
    ):
        curl(path, *authorization)
    log: Path = stack["gateway_log"]
    await until(lambda: '"unknown path"' in log.read_text())
    text = await asyncio.to_thread(log.read_text)
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert {line["route"] for line in lines} >= {
        "Initialize",
        "Status",
        "refused query",
        "unknown path",
    }
    assert upload not in text and token not in text


def test_without_a_service_the_gateway_says_so(tmp_path: Path) -> None:
    port = free_port()
    with start_gateway(tmp_path, free_port(), port, []):
        url = f"http://127.0.0.1:{port}"
        answer = run_curl(f"{url}/v1/uploads", "-w", "\n%{http_code}")
        body, _, status = answer.rpartition("\n")
        assert status == "503"
        assert is_status(json.loads(body), 14)
        assert run_curl(f"{url}/healthz", "-o", os.devnull, "-w", "%{http_code}") == "503"


# ---- streams


def opened(curl: Curl, **fields: Any) -> str:
    upload_id: str = curl("/v1/uploads", body={"fileName": "f", **fields})[1]["upload"]["id"]
    return upload_id


def test_a_stream_comes_as_events_where_the_caller_accepts_them(
    curl: Curl, stack: dict[str, Any]
) -> None:
    upload = opened(curl, sizeBytes=300 * 5 * MIB, partSizeBytes=5 * MIB)
    url = f"{stack['rest']}/v1/uploads/{upload}"
    accept = ("-H", "accept: text/event-stream")
    head, _, text = run_curl(f"{url}:presignParts", *accept, "--json", "{}", "-i").partition("\n\n")
    assert "content-type: text/event-stream" in head.lower()
    events = [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n") if event]
    assert [p["partNumber"] for event in events for p in event["parts"]] == list(range(1, 301))
    curl(f"/v1/uploads/{upload}:abort", body={})
    assert run_curl(f"{url}:watch", *accept).startswith('data: {"upload":')
    assert json.loads(run_curl(f"{url}:watch"))["upload"]["state"] == "UPLOAD_STATE_ABORTED"
    error = head_of(f"{stack['rest']}/v1/uploads/unknown:watch", *accept)
    assert error["content-type"] == "application/json"


def test_a_stream_that_fails_says_why_in_its_last_message(tmp_path: Path) -> None:
    with Server("dev", "--rest", log=tmp_path / "dev.log") as server:
        rest = server.ready()["rest"]
        answer = json.loads(run_curl(f"{rest}/v1/uploads", "--json", '{"sizeBytes": 1}'))
        url = f"{rest}/v1/uploads/{answer['upload']['id']}:watch"
        # Whatever the caller itself says of it.
        command = ["curl", "--silent", "--no-buffer", "-H", "partway-stream-errors: status", url]
        with contextlib.ExitStack() as stack:
            watching = [
                stack.enter_context(
                    subprocess.Popen(
                        [*command, "-H", f"accept: {accept}"], stdout=subprocess.PIPE, text=True
                    )
                )
                for accept in ("*/*", "text/event-stream")
            ]
            for each in watching:
                assert each.stdout is not None
                assert "UPLOAD_STATE_ACTIVE" in each.stdout.readline()
            server.stop()
            for each in watching:
                *_, last = filter(None, each.communicate()[0].splitlines())
                status = json.loads(last.removeprefix("data: "))["status"]
                assert status["code"] == grpc.StatusCode.UNAVAILABLE.value[0]
                assert "ERROR_REASON_STOPPING" in json.dumps(status["details"])


# ---- parts through the gateway


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2-prior-knowledge"])
def test_parts_go_through_the_gateway_by_curl_alone(
    curl: Curl, stack: dict[str, Any], tmp_path: Path, protocol: str
) -> None:
    body = hashlib.shake_256(b"bytes").digest(12 * MIB + 7)
    upload = opened(curl, sizeBytes=len(body), partSizeBytes=5 * MIB)
    for number, at in enumerate(range(0, len(body), 5 * MIB), start=1):
        piece = tmp_path / "piece"
        piece.write_bytes(body[at : at + 5 * MIB])
        path = f"/v1/uploads/{upload}/parts/{number}"
        status, answer = curl(path, protocol, "-T", str(piece))
        assert (status, answer["part"]["sizeBytes"]) == (200, str(piece.stat().st_size))
    completed = curl(f"/v1/uploads/{upload}:complete", body={})[1]["upload"]["object"]
    with closing(connect(S3(**stack["s3"]))) as storage:
        stored = storage.get_object(Bucket=completed["bucket"], Key=completed["key"])["Body"]
        assert stored.read() == body


@pytest.mark.parametrize("arguments", [("-T", os.devnull), ("-X", "PUT"), ("-X", "PUT", "-d", "")])
def test_an_empty_file_has_an_empty_part(curl: Curl, arguments: tuple[str, ...]) -> None:
    upload = opened(curl, sizeBytes=0)
    status, answer = curl(f"/v1/uploads/{upload}/parts/1", *arguments)
    assert (status, answer["part"]["sizeBytes"]) == (200, "0")
    assert curl(f"/v1/uploads/{upload}:complete", body={})[0] == 200


def test_the_checksum_of_a_part_is_in_the_query(curl: Curl, tmp_path: Path) -> None:
    body = b"some bytes"
    upload = opened(curl, sizeBytes=len(body), checksumAlgorithm="CHECKSUM_ALGORITHM_SHA256")
    piece, path = tmp_path / "piece", f"/v1/uploads/{upload}/parts/1"
    piece.write_bytes(body)
    status, error = curl(path, "-T", str(piece))
    assert (status, error["message"].partition(":")[0]) == (400, "checksum")
    for content, expected in ((b"other", 409), (body, 200)):
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert curl(f"{path}?checksum={checksum}", "-T", str(piece))[0] == expected


def test_a_part_that_is_refused_is_not_waited_for(stack: dict[str, Any]) -> None:
    # The answer comes while nearly all of the body is still to come: nothing gathers it.
    host, _, port = stack["rest"].removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = "PUT /v1/uploads/unknown/parts/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 67108864"
        connection.sendall(head.encode() + b"\r\n\r\n" + bytes(MIB))
        assert connection.recv(64).startswith(b"HTTP/1.1 404")


@pytest.mark.filterwarnings("ignore::DeprecationWarning:httpx2")
def test_the_uploader_of_another_project_sends_parts_and_completes(
    curl: Curl, stack: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(hashlib.shake_256(b"model").digest(12 * MIB + 7))
    operation = CommitOperationAdd(path_in_repo="model.bin", path_or_fileobj=str(file))
    upload = opened(curl, sizeBytes=operation.upload_info.size, partSizeBytes=5 * MIB)
    parts = curl(f"/v1/uploads/{upload}:batchPresignParts", body={})[1]["parts"]
    assert not any(part["headers"] for part in parts)
    header = {str(part["partNumber"]): part["url"] for part in parts}
    complete = f"{stack['rest']}/v1/uploads/{upload}:complete"
    _upload_multi_part(operation, header, 5 * MIB, complete)
    found = curl(f"/v1/uploads/{upload}")[1]["upload"]
    assert found["state"] == "UPLOAD_STATE_COMPLETED"
    with closing(connect(S3(**stack["s3"]))) as storage:
        stored = storage.get_object(Bucket=found["object"]["bucket"], Key=found["object"]["key"])
        assert stored["Body"].read() == file.read_bytes()
