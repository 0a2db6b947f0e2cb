"""The connections of a client: to the service by gRPC, and to storage by HTTP."""

import re
from collections.abc import Mapping

import aiohttp
import grpc

_CHANNEL_OPTIONS = (
    # One place repeats calls, and it is `_calls.py`.
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    # gRPC's own wait before it connects again grows to two minutes: too long for our tries.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # A call whose connection silently died ends after this, not at its deadline.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.primary_user_agent", "partway-client"),
)


_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[ -~]*")
"""https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Custom-Metadata; of the keys for
bytes, which end in -bin, we have none to send."""


def checked_metadata(given: Mapping[str, str]) -> dict[str, str]:
    """What can go with a call, keys in lower case. Raises ValueError, with no value in it."""
    metadata = {key.lower(): value for key, value in given.items()}
    for key, value in metadata.items():
        if not _KEY.fullmatch(key) or key.endswith("-bin"):
            raise ValueError(f"{key!r} is no key of call metadata: letters, digits, and _.-")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the call metadata {key!r} must be printable ASCII")
    return metadata


def open_channel(server: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """To the service at `server`, over TLS if there are credentials."""
    if credentials is None:
        return grpc.aio.insecure_channel(server, options=_CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(server, credentials, options=_CHANNEL_OPTIONS)


def open_session(connect_seconds: float) -> aiohttp.ClientSession:
    """For parts, to wherever their URLs lead."""
    return aiohttp.ClientSession(
        # The number of connections is the number of parts in flight, which is bounded already.
        connector=aiohttp.TCPConnector(limit=0),
        # A part may take hours; that nothing moves is noticed part by part.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
