"""Choose the proxy for a connection, by one rule for gRPC and HTTP.

`http_proxy` and `https_proxy`, and for gRPC before them `grpc_proxy`, name the proxy, in lower case
or capitals, and as HOST:PORT too, as curl takes it. `no_proxy` lists what is reached without one:
`*`, hosts, which include their subdomains, HOST:PORT, and networks such as 10.0.0.0/8. Loopback
never goes through a proxy, as in Go (https://pkg.go.dev/net/http#ProxyFromEnvironment).
"""

import ipaddress
import os
from collections.abc import Iterable

_GRPC_NAMES = ("grpc", "https", "http")
"""In this order: https://github.com/grpc/grpc/blob/master/doc/environment_variables.md."""


def http_proxy_for(scheme: str, host: str, port: int | None) -> str | None:
    """Return the URL of the proxy for an HTTP request, None for a direct connection."""
    return _proxy_for((scheme,), host, port)


def grpc_proxy_for(host: str, port: int | None) -> str | None:
    """Return the URL of the proxy for a gRPC channel, None for a direct connection."""
    return _proxy_for(_GRPC_NAMES, host, port)


def _proxy_for(names: Iterable[str], host: str, port: int | None) -> str | None:
    proxy = next((value for name in names if (value := _variable(name))), None)
    if proxy is None or _is_bypassed(_variable("no"), host.lower(), port):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(name: str) -> str:
    """Return the value of NAME_proxy or, only if that is not set at all, of NAME_PROXY."""
    lower = os.environ.get(f"{name}_proxy")
    if lower is not None:
        return lower
    if name == "http" and "REQUEST_METHOD" in os.environ:
        # A CGI script: HTTP_PROXY would come from a header of the request (https://httpoxy.org).
        return ""
    return os.environ.get(f"{name.upper()}_PROXY", "")


def _is_bypassed(no_proxy: str, host: str, port: int | None) -> bool:
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    entries = (entry.strip().lower() for entry in no_proxy.split(","))
    return any(_matches(entry, host, port, address) for entry in entries if entry)


def _matches(
    entry: str,
    host: str,
    port: int | None,
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
) -> bool:
    if entry == "*":
        return True
    if address is not None:
        network = _network(entry)
        if network is not None:
            return address in network
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit():
        if int(number) != port:
            return False
        entry = name
    entry = entry.removeprefix("*").removeprefix(".").strip("[]")
    return host == entry or host.endswith(f".{entry}")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
