"""The REST gateway of the embedded stack: Envoy, by the file that operators use."""

import asyncio
import importlib.resources
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from partway_server.devstack.servers import answers, start_envoy
from partway_server.runtime.subprocesses import Child, ChildError, free_port

_HOST = "127.0.0.1"
_LOOK_SECONDS = 0.2
_READY_SECONDS = 10.0
_CORS = "envoy.filters.http.cors"
_TRANSCODER = "envoy.filters.http.grpc_json_transcoder"


def start_gateway(folder: Path, port: int, rest_port: int, origins: Sequence[str]) -> Child:
    """Start Envoy in front of the service, which it finds once that is up.

    Pages at `origins` may call it.
    """
    admin_port = free_port()
    envoy = start_envoy(folder, bootstrap(port, rest_port, admin_port, origins))
    envoy.wait(lambda: answers(admin_port, "/ready") == 200)
    return envoy


async def gateway_ready(port: int) -> None:
    """Wait until the gateway finds the service behind it. Raises ChildError."""
    try:
        async with asyncio.timeout(_READY_SECONDS):
            while True:
                if await asyncio.to_thread(answers, port, "/v1/uploads") not in (None, 503):
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise ChildError(f"the REST gateway was not ready after {_READY_SECONDS:.0f} s") from None


def bootstrap(port: int, rest_port: int, admin_port: int, origins: Sequence[str]) -> dict[str, Any]:
    """Return the production configuration of the gateway, with our addresses and origins."""
    # Part of the dev extra, like the gateway.
    import yaml

    text = (importlib.resources.files("partway_server.devstack") / "envoy.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    [listener] = found["static_resources"]["listeners"]
    [cluster] = found["static_resources"]["clusters"]
    [connections] = listener["filter_chains"][0]["filters"]
    [service] = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    [host] = connections["typed_config"]["route_config"]["virtual_hosts"]
    found["admin"]["address"] = _address(admin_port)
    listener["address"] = _address(rest_port)
    service["endpoint"]["address"] = _address(port)
    host["typed_per_filter_config"][_CORS]["allow_origin_string_match"] = [
        {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin}
        for origin in origins
    ]
    descriptors = importlib.resources.files("partway.v1") / "descriptors.binpb"
    for transcoder in _transcoders(connections["typed_config"], host):
        transcoder["proto_descriptor"] = str(descriptors)
    return found


def _transcoders(connections: Any, host: Any) -> Iterator[dict[str, Any]]:
    """Yield each configuration of the transcoder: the general one, and those of routes."""
    for part in connections["http_filters"]:
        if part["name"] == _TRANSCODER:
            yield part["typed_config"]
    for route in host["routes"]:
        own = route.get("typed_per_filter_config", {}).get(_TRANSCODER, {})
        if "proto_descriptor" in own:
            yield own


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": _HOST, "port_value": port}}
