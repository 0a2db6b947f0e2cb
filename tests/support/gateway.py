"""The gateway of deploy/envoy in front of several replicas."""

import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partway_server.devstack.gateway import bootstrap
from partway_server.devstack.servers import answers, start_envoy
from partway_server.runtime.subprocesses import free_port


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway."""

    address: str
    admin_port: int

    def healthy(self) -> int:
        """Return to how many replicas the gateway sends calls."""
        return self.count("membership_healthy")

    def count(self, name: str) -> int:
        """Return the counter whose name ends so."""
        url = f"http://127.0.0.1:{self.admin_port}/stats?filter={name}$"
        with urllib.request.urlopen(url) as answer:
            return int(answer.read().decode().rpartition(":")[2])


@contextmanager
def gateway(
    folder: Path, ports: Sequence[int], *, filters: Sequence[Any] = (), tls: Any = None
) -> Iterator[Gateway]:
    """Run the gateway in front of replicas on these ports.

    `filters` come before its own; `tls` is the transport socket by which it reaches the replicas,
    and then each connection takes a few calls only, so that there are handshakes all the time.
    """
    rest, admin = free_port(), free_port()
    config = bootstrap(ports[0], rest, admin, [])
    [cluster] = config["static_resources"]["clusters"]
    [endpoints] = cluster["load_assignment"]["endpoints"]
    first = endpoints["lb_endpoints"][0]
    endpoints["lb_endpoints"] = [_at(first, port) for port in ports]
    [listener] = config["static_resources"]["listeners"]
    [connections] = listener["filter_chains"][0]["filters"]
    http_filters = connections["typed_config"]["http_filters"]
    http_filters[:0] = filters
    if tls is not None:
        cluster["transport_socket"] = tls
        [options] = cluster["typed_extension_protocol_options"].values()
        options["common_http_protocol_options"] = {"max_requests_per_connection": 20}
    with start_envoy(folder, config) as envoy:
        envoy.wait(lambda: answers(admin, "/ready") == 200)
        yield Gateway(f"127.0.0.1:{rest}", admin)


def _at(endpoint: Any, port: int) -> Any:
    copy = json.loads(json.dumps(endpoint))
    copy["endpoint"]["address"]["socket_address"]["port_value"] = port
    return copy
