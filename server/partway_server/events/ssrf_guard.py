"""Which addresses a webhook may be sent to: the public internet's, unless it is allowed more.

An operator writes the URLs, but the names in them are resolved by whoever owns those names. So each
address is looked at when a connection to it is made, and not before.
"""

import errno
import ipaddress
import socket
from collections.abc import Sequence
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""An IPv4 address is in its last 32 bits (RFC 6052)."""

_ODD = tuple(
    map(
        ipaddress.ip_network,
        (
            # NAT64 within an organisation (RFC 8215), 6to4 and its relays (RFC 3056, 7526), and
            # what a translator or a tunnel in the host itself may take for IPv4 (RFC 7335, 4380).
            *("64:ff9b:1::/48", "2002::/16", "192.88.99.0/24", "192.0.0.0/24", "2001::/32"),
        ),
    )
)
"""Python's ipaddress takes some of these for public."""


def forbidden(address: str) -> bool:
    """Whether an IP address is none of the public internet. What is not one at all is forbidden."""
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
        or any(found in odd for odd in _ODD if odd.version == found.version)
    )


class ForbiddenAddress(OSError):
    """A name leads to an address that is not allowed, or the address itself stands in the URL."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the address is not of the public internet")


class PublicResolver(AbstractResolver):
    """Resolves as another does, and refuses a name with any address that is forbidden."""

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
    """A socket for a connection to that address, as getaddrinfo has it. Raises ForbiddenAddress.

    Every connection is made by it, so that it has the last word: also about an address that stands
    in a URL, which no resolver sees.
    """
    family, kind, protocol, _, place = address
    if forbidden(place[0]):
        raise ForbiddenAddress
    return socket.socket(family, kind, protocol)
