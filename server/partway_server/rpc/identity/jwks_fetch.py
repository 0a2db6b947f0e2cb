"""Fetches a JWKS over HTTPS: within bounds, without redirects, and only from allowed addresses."""

import ssl

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver

from partway_server import __version__
from partway_server.events.ssrf_guard import ForbiddenAddress, connector
from partway_server.rpc.identity.jwks import FetchFailed

MAX_BYTES = 256 * 1024
TIMEOUT_SECONDS = 5.0

_HEADERS = {
    "accept": "application/jwk-set+json, application/json",
    # Uncompressed, so that the limit is that of what is read.
    "accept-encoding": "identity",
    "user-agent": f"partway/{__version__}",
}


class JwksFetcher:
    """Fetches the JWKS of one URL. `resolver` and `tls` replace those of the machine.

    Unless `allow_private`, each address is checked when a connection to it is made.
    """

    def __init__(
        self,
        url: str,
        *,
        allow_private: bool,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | bool = True,
    ) -> None:
        self._url = yarl.URL(url, encoded=True)
        self._allow_private = allow_private
        self._resolver = resolver
        self._tls = tls

    async def __call__(self) -> bytes:
        """Return the body. Raises FetchFailed."""
        try:
            # A session for each fetch: there is one in ten minutes, and nothing is left to close.
            async with aiohttp.ClientSession(
                connector=connector(
                    public_only=not self._allow_private, resolver=self._resolver, tls=self._tls
                ),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                # No proxy from the environment: it would resolve names itself.
                trust_env=False,
                auto_decompress=False,
            ) as http:
                async with http.get(self._url, headers=_HEADERS, allow_redirects=False) as reply:
                    return await _body(reply)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchFailed(_why(error)) from error


async def _body(reply: aiohttp.ClientResponse) -> bytes:
    if reply.status != 200:
        raise FetchFailed(f"HTTP {reply.status}")
    body = bytearray()
    async for chunk in reply.content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise FetchFailed(f"it is larger than {MAX_BYTES} bytes")
    return bytes(body)


def _why(error: Exception) -> str:
    """Describe a failure with nothing that may contain the URL."""
    match error:
        case ForbiddenAddress() | aiohttp.ClientConnectorError(os_error=ForbiddenAddress()):
            return (
                "its address is not on the public internet; if that is right, set"
                " PARTWAY_JWT_JWKS_ALLOW_PRIVATE=true"
            )
        case TimeoutError():
            return f"no answer within {TIMEOUT_SECONDS:g} s"
        case aiohttp.ClientSSLError():
            return "TLS failed; SSL_CERT_FILE names a file of further CAs to trust"
        case aiohttp.ClientConnectorDNSError():
            return "host name not found"
        case aiohttp.ClientConnectorError():
            return "no connection"
        case _:
            return type(error).__name__
