"""Tests how long the gateway lets calls last, from its configuration, to avoid real waits."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from partway_server.rpc.deadlines import CLIENT_STREAM_SECONDS

CONFIG = (Path(__file__).parents[2] / "deploy/envoy/envoy.yaml").read_text()
HTTP = yaml.safe_load(CONFIG)["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0][
    "typed_config"
]
[HOST] = HTTP["route_config"]["virtual_hosts"]


def route(path: str) -> dict[str, Any]:
    """Return the route that Envoy takes for a call: the first one whose match has the path."""
    for found in HOST["routes"]:
        match = found["match"]
        if "headers" not in match and (
            match.get("path") == path
            or path.startswith(match.get("prefix", "no prefix"))
            or re.fullmatch(match.get("safe_regex", {"regex": ""})["regex"], path)
        ):
            return dict(found["route"])
    raise LookupError(path)


def test_callers_may_send_a_token_and_never_say_who_they_are() -> None:
    [mutation] = HTTP["early_header_mutation_extensions"]
    removed = [rule["remove"] for rule in mutation["typed_config"]["mutations"]]
    assert removed == ["partway-tenant", "partway-subject"]
    cors = HOST["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert cors["allow_origin_string_match"] == []
    allowed = cors["allow_headers"]
    assert "authorization" in allowed.split(", ")
    assert not [header for header in allowed.split(", ") if header.startswith("partway-")]


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


@pytest.mark.parametrize("path", ["/partway.v1.UploadService/Watch", "/v1/uploads/Ab-_9:watch"])
def test_a_watch_may_be_silent_for_an_hour(path: str) -> None:
    watch = route(path)
    assert (watch["timeout"], watch.get("idle_timeout")) == ("3600s", "3600s")


def test_a_part_through_the_service_may_take_as_long_as_the_service_lets_it() -> None:
    part = route("/partway.v1.UploadService/UploadPart")
    assert seconds(part["timeout"]) == CLIENT_STREAM_SECONDS


@pytest.mark.parametrize(
    "path", ["/partway.v1.UploadService/Complete", "/v1/uploads", "/v1/uploads/Ab:presignParts"]
)
def test_all_other_calls_have_a_minute(path: str) -> None:
    assert route(path)["timeout"] == HTTP["stream_idle_timeout"] == "60s"
