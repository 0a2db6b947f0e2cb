"""Check the health of a running service, as a load balancer would.

An orchestrator starts a process for each check, every few seconds for as long as the service runs.
To import gRPC takes several times the CPU of all else, so this speaks the little of HTTP/2 that one
call of `grpc.health.v1.Health/Check` needs (https://www.rfc-editor.org/rfc/rfc9113), over the
sockets of the standard library. What only TLS needs is imported where it is used.
"""

import socket
import struct
import time
from collections.abc import Iterator
from os import PathLike
from typing import NamedTuple

from partway_server.rpc.health_names import LIVENESS, SERVICE

_PATH = "/grpc.health.v1.Health/Check"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM = _ACK = 0x1
_END_HEADERS, _PADDED = 0x4, 0x8
_STREAM = 1
_MOST_FRAME_BYTES = 16384
"""The most that a peer may send before it learns otherwise."""

_SERVING = 1

PemFile = str | PathLike[str]


class ClientTls(NamedTuple):
    """How to call a service over TLS; all but the name are PEM files.

    `ca` are the CAs to trust, None: the public ones. `certificate` and `key` are the caller's, if
    the service asks for one. `server_name` is the name to expect in the service's certificate, ""
    for the host that is called. With `own`, the service must present that certificate instead,
    whatever its names are.
    """

    ca: PemFile | None = None
    certificate: PemFile | None = None
    key: PemFile | None = None
    server_name: str = ""
    own: PemFile | None = None


def serving(
    address: str, timeout_seconds: float, tls: ClientTls | None = None, *, liveness: bool = False
) -> bool:
    """Return whether the service at `address` reports SERVING. No answer counts as no.

    With `liveness`, whether its process is alive, even if it should get no calls now.
    """
    name = LIVENESS if liveness else SERVICE
    try:
        with _connected(address, timeout_seconds, tls) as connection:
            connection.sendall(_request(address, name, secure=tls is not None))
            return _answer(connection, time.monotonic() + timeout_seconds) == _SERVING
    except (OSError, EOFError, ValueError):
        return False


def _connected(address: str, timeout_seconds: float, tls: ClientTls | None) -> socket.socket:
    """Return a connection. Raises OSError, which includes all errors of TLS."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    connection = socket.create_connection((host, int(port)), timeout_seconds)
    if tls is None:
        return connection
    import ssl

    try:
        context = ssl.create_default_context(cafile=tls.ca)
        context.set_alpn_protocols(["h2"])
        context.check_hostname = tls.own is None
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
        secured = context.wrap_socket(connection, server_hostname=tls.server_name or host)
        if tls.own is not None and secured.getpeercert(binary_form=True) != _first_der(tls.own):
            secured.close()
            raise ConnectionError("another certificate than that of the service")
        return secured
    except BaseException:
        connection.close()
        raise


def _first_der(path: PemFile) -> bytes:
    """Return the first certificate of a PEM file. Raises OSError, ValueError."""
    import ssl

    with open(path, encoding="ascii") as file:
        begin, found, _ = file.read().partition(ssl.PEM_FOOTER)
    return ssl.PEM_cert_to_DER_cert(begin[max(0, begin.find(ssl.PEM_HEADER)) :] + found)


def _request(address: str, name: str, *, secure: bool) -> bytes:
    """Return everything that a call sends: the start of the connection, headers, one message."""
    headers = {
        ":method": "POST",
        ":scheme": "https" if secure else "http",
        ":path": _PATH,
        ":authority": address,
        "content-type": "application/grpc",
        "te": "trailers",
        "user-agent": "partway-server-health",
    }
    # HealthCheckRequest has one field, a string; all of it is shorter than 128 bytes.
    message = b"\x0a" + _text(name)
    return b"".join(
        [
            _PREFACE,
            _frame(_SETTINGS, 0, 0, b""),
            _frame(_HEADERS, _END_HEADERS, _STREAM, b"".join(map(_header, headers.items()))),
            _frame(_DATA, _END_STREAM, _STREAM, b"\0" + struct.pack(">I", len(message)) + message),
        ]
    )


def _header(header: tuple[str, str]) -> bytes:
    """Encode a header as a literal that is not indexed (RFC 7541, 6.2.2), without Huffman."""
    return b"\0" + b"".join(map(_text, header))


def _text(text: str) -> bytes:
    """Encode a text after its length. Raises ValueError if it does not fit into one byte."""
    raw = text.encode("ascii")
    if len(raw) > 126:
        raise ValueError("too long")
    return bytes([len(raw)]) + raw


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _answer(connection: socket.socket, until: float) -> int:
    """Return the status in the answer, 0 without one. Raises OSError, EOFError, ValueError."""
    body = b""
    for kind, flags, stream, payload in _frames(connection, until):
        if kind == _SETTINGS and not flags & _ACK:
            connection.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            connection.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY or (kind == _RST_STREAM and stream == _STREAM):
            return 0
        if stream != _STREAM:
            continue
        if kind == _DATA:
            body += payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
            # Not compressed; after its length, HealthCheckResponse has one number, its status.
            if len(body) >= 5 and len(body) >= 5 + int.from_bytes(body[1:5], "big"):
                return body[6] if body[:1] == b"\0" and body[5:6] == b"\x08" else 0
        if flags & _END_STREAM and kind in (_DATA, _HEADERS):
            return 0
    raise AssertionError("frames end with an error")


def _frames(connection: socket.socket, until: float) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the kind, flags, stream and payload of each frame. Raises EOFError, TimeoutError."""
    while True:
        head = _read(connection, 9, until)
        size = int.from_bytes(head[:3], "big")
        if size > _MOST_FRAME_BYTES:
            raise ValueError("not HTTP/2")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        yield kind, flags, stream & 0x7FFFFFFF, _read(connection, size, until)


def _read(connection: socket.socket, size: int, until: float) -> bytes:
    data = b""
    while len(data) < size:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
