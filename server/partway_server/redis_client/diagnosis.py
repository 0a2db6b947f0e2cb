"""Find out why a connection to Redis failed, by looking at what is at the addresses of its URL.

The errors of redis-py do not say: a Redis without TLS, one with TLS, a web server and a dead host
all are a ConnectionError or a TimeoutError. So each address is asked without redis-py.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.connection import SSLConnection, parse_url

from partway_server.domain.obstacle import certificate_word
from partway_server.redis_client.urls import deployment

_PATIENCE_SECONDS = 4.0
_PING = b"PING\r\n"
_GET = b"GET / HTTP/1.0\r\n\r\n"

_REDIS = (b"+", b"-")
"""How Redis begins its answer to PING: with PONG, or an error."""

_WEB = (b"HTTP/", b"<")
"""How a web server answers, some without a status to what is no request."""


async def diagnose(url: str) -> str:
    """Return the word in OBSTACLES for what is between here and Redis; "" if a Redis answers.

    Of several addresses in the URL, any that answers counts; otherwise the first says why.
    """
    try:
        servers = _servers(url)
    except OSError:
        return "files"
    found = [await _look(host, port, context) for host, port, context in servers]
    return "" if "" in found or not found else found[0]


def _servers(url: str) -> list[tuple[str, int, ssl.SSLContext | None]]:
    """Return the host, port and TLS context of each address; nothing for a Unix socket."""
    named = deployment(url)
    if named is None:
        urls = [] if url.startswith("unix:") else [url]
    else:
        of = named.sentinel_url if named.service else named.server_url
        urls = [of(address) for address in named.addresses]
    return [_server(each) for each in urls]


def _server(url: str) -> tuple[str, int, ssl.SSLContext | None]:
    options: Mapping[str, Any] = parse_url(url)
    host, port = str(options.get("host", "localhost")), int(options.get("port", 6379))
    if urlsplit(url).scheme != "rediss":
        return host, port, None
    kept: dict[str, Any] = {
        name: value for name, value in options.items() if name.startswith("ssl_")
    }
    return host, port, SSLConnection(**kept).ssl_context.get()


async def _look(host: str, port: int, context: ssl.SSLContext | None) -> str:
    try:
        async with _connection(host, port, None):
            pass
    except socket.gaierror:
        return "dns"
    except TimeoutError:
        return "timeout"
    except OSError:
        return "connect"
    return await (_plain(host, port) if context is None else _secure(host, port, context))


async def _plain(host: str, port: int) -> str:
    """Look at a server that should speak no TLS."""
    silent = False
    try:
        answer = await _exchange(host, port, _PING, None)
    except TimeoutError:
        answer, silent = b"", True
    except OSError:
        answer = b""
    if answer.startswith(_REDIS):
        return ""
    if await _is_web(host, port, answer):
        return "http"
    if await _speaks_tls(host, port):
        return "wants TLS"
    if answer:
        return "no Redis"
    return "timeout" if silent else "closed"


async def _secure(host: str, port: int, context: ssl.SSLContext) -> str:
    """Look at a server that should speak TLS."""
    try:
        answer = await _exchange(host, port, _PING, context)
    except ssl.SSLCertVerificationError as error:
        return certificate_word(error)
    except ssl.SSLError as error:
        # With TLS 1.3 the refusal comes after the handshake.
        if "CERTIFICATE_REQUIRED" in str(error) or "HANDSHAKE_FAILURE" in str(error):
            return "client certificate"
    except (OSError, asyncio.IncompleteReadError):
        pass
    else:
        if answer.startswith(_REDIS):
            return ""
        if await _is_web(host, port, answer, context):
            return "http"
        return "no Redis" if answer else "closed"
    answer = await _answer(host, port, _PING)
    if answer.startswith(_REDIS):
        return "plain"
    return "http" if await _is_web(host, port, answer) else "tls"


async def _is_web(
    host: str, port: int, answer: bytes, context: ssl.SSLContext | None = None
) -> bool:
    return answer.startswith(_WEB) or (await _answer(host, port, _GET, context)).startswith(_WEB)


async def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with _connection(host, port, context):
            return True
    except OSError:
        return False


async def _answer(
    host: str, port: int, request: bytes, context: ssl.SSLContext | None = None
) -> bytes:
    """Return the beginning of the answer, b"" if none comes."""
    try:
        return await _exchange(host, port, request, context)
    except OSError:
        return b""


async def _exchange(host: str, port: int, request: bytes, context: ssl.SSLContext | None) -> bytes:
    async with _connection(host, port, context) as (reader, writer):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            writer.write(request)
            await writer.drain()
            return await reader.read(64)


@contextlib.asynccontextmanager
async def _connection(
    host: str, port: int, context: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, with TLS if there is a context. Raises OSError, a TimeoutError if it takes long."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
