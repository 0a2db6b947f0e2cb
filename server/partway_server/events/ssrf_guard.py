"""Which addresses a webhook or a JWKS URL may connect to: the public internet, unless it is allowed
more.

An operator writes the URLs, but the owners of the names in them decide what they resolve to. So
each address is checked when a connection to it is made, and not earlier.
"""

import errno
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Its last 32 bits are an IPv4 address (RFC 6052)."""

_NOT_PUBLIC = tuple(
    map(
        ipaddress.ip_network,
        (
            # NAT64 within an organisation (RFC 8215), 6to4 and its relays (RFC 3056, 7526), and
            # what a translator or a tunnel in the host itself may read as IPv4 (RFC 7335, 4380).
            *("64:ff9b:1::/48", "2002::/16", "192.88.99.0/24", "192.0.0.0/24", "2001::/32"),
        ),
    )
)
"""Networks that Python's ipaddress reports as public, some of them."""


def forbidden(address: str) -> bool:
    """Return whether an address is outside the public internet, as any other text is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return True
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return forbidden(str(found.ipv4_mapped))
        if found in _NAT64:
            return forbidden(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
        if found.is_site_local or found.scope_id:
            return True
    return (
        not found.is_global
        or found.is_multicast
        or found.is_reserved
        or found.is_unspecified
        or any(found in net for net in _NOT_PUBLIC if net.version == found.version)
    )


class ForbiddenAddress(OSError):
    """A name resolves to a forbidden address, or the URL contains one."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the address is not on the public internet")


class PublicResolver(AbstractResolver):
    """A resolver that refuses a name with any forbidden address."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if any(forbidden(result["host"]) for result in found):
            raise ForbiddenAddress
        return found

    async def close(self) -> None:
        await self._resolver.close()


def public_socket(address: Sequence[Any]) -> socket.socket:
    """Return a socket for a connection to that address, as getaddrinfo gives it.

    Every connection is made through this, so the check also covers an address that stands in a URL
    and that no resolver sees. Raises ForbiddenAddress.
    """
    family, kind, protocol, _, place = address
    if forbidden(place[0]):
        raise ForbiddenAddress
    return socket.socket(family, kind, protocol)


def connector(
    *,
    public_only: bool,
    resolver: AbstractResolver | None = None,
    tls: ssl.SSLContext | bool = True,
) -> aiohttp.TCPConnector:
    """Return a connector that checks each address if `public_only`.

    `resolver` and `tls` replace those of the machine. Must be called inside the event loop.
    """
    resolver = resolver or aiohttp.ThreadedResolver()
    return aiohttp.TCPConnector(
        # No cache: the address that is connected to is the one that was just checked.
        use_dns_cache=False,
        resolver=PublicResolver(resolver) if public_only else resolver,
        socket_factory=public_socket if public_only else None,
        ssl=tls,
    )
