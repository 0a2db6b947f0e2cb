"""Opens a client's connections: to the service by gRPC, and to storage by HTTP."""

import re
from collections.abc import Mapping, Sequence

import aiohttp
import grpc
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

from partway_client._transport.call_credentials import CallCredentials
from partway_client._transport.proxies import grpc_proxy_for
from partway_client._transport.retrying_caller import ServiceConnection

Channel = grpc.aio.Channel
ChannelCredentials = grpc.ChannelCredentials

_CHANNEL_OPTIONS = (
    # Only `retrying_caller.py` repeats calls.
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    # gRPC's own reconnect back-off grows to two minutes: too long for our tries.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Ends a call whose connection silently died, instead of waiting for its deadline.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.primary_user_agent", "partway-client"),
)

_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")
_NAMED = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):")
_MOST_PORT = 65535

_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[ -~]*")
"""https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Custom-Metadata. Keys ending in
-bin are for bytes; we have none to send."""


def checked_metadata(given: Mapping[str, str]) -> dict[str, str]:
    """Return call metadata with its keys in lower case.

    Raises ValueError if gRPC could not send it, without any value in the message.
    """
    metadata = {key.lower(): value for key, value in given.items()}
    for key, value in metadata.items():
        if not _KEY.fullmatch(key) or key.endswith("-bin"):
            raise ValueError(
                f"call metadata key {key!r} is invalid: use letters, digits and _.-,"
                " and no ending -bin"
            )
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of call metadata {key!r} must be printable ASCII")
    return metadata


def checked_server(server: str) -> str:
    """Return the address of a service. Raises ValueError if it is none that gRPC can call.

    HOST:PORT, with brackets around an IPv6 address, or one with a scheme of gRPC's naming
    (https://github.com/grpc/grpc/blob/master/doc/naming.md).
    """
    if _NAMED.match(server):
        return server
    if (found := _HOST_AND_PORT.fullmatch(server)) and int(found["port"]) <= _MOST_PORT:
        return server
    hint = ""
    if "://" in server:
        hint = ", without http:// or https://; TLS is an option of its own"
    elif server.count(":") > 1:
        hint = "; an IPv6 address needs brackets, such as [::1]:50051"
    raise ValueError(f"the server must be HOST:PORT, not {server!r}{hint}")


def open_channel(server: str, credentials: ChannelCredentials | None) -> Channel:
    """Open a channel to the service at `server`, over TLS if there are credentials."""
    options = (*_CHANNEL_OPTIONS, *_proxy_options(server))
    if credentials is None:
        return grpc.aio.insecure_channel(server, options=options)
    return grpc.aio.secure_channel(server, credentials, options=options)


def _proxy_options(server: str) -> Sequence[tuple[str, str | int]]:
    """Return what makes gRPC use the proxy that HTTP requests would use, or none."""
    if (found := _HOST_AND_PORT.fullmatch(server)) is None:
        return ()
    proxy = grpc_proxy_for(found["host"].strip("[]"), int(found["port"]))
    return (("grpc.http_proxy", proxy),) if proxy else (("grpc.enable_http_proxy", 0),)


def service_at(server: str, channel: Channel, credentials: CallCredentials) -> ServiceConnection:
    """Return the connection to the service `server` over `channel`."""
    return ServiceConnection(server, UploadServiceStub(channel), credentials)


def open_http_session(connect_seconds: float) -> aiohttp.ClientSession:
    """Open the session that sends parts to their presigned URLs."""
    return aiohttp.ClientSession(
        # As many connections as parts in flight, which are bounded already.
        connector=aiohttp.TCPConnector(limit=0),
        # A part may take hours; stalls are noticed part by part.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
