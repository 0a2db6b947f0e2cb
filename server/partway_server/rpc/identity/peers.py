"""Which peers may name callers: by the address that a connection comes from."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

from partway_server.rpc.identity.base import Context

_LOOPBACK = IPv4Address("127.0.0.1")
_MAX_KNOWN_PEERS = 4096


class TrustedPeers:
    """Vouches for the peers whose address is in one of the networks."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        # By peer, and so once for each connection.
        self._known = lru_cache(_MAX_KNOWN_PEERS)(self._vouches)

    def __call__(self, context: Context) -> bool:
        """Return whether the peer that makes a call is trusted."""
        return self._known(context.peer())

    def _vouches(self, peer: str) -> bool:
        address = peer_address(peer)
        return address is not None and any(address in network for network in self._networks)


def peer_address(peer: str) -> IPv4Address | IPv6Address | None:
    """Return the address of a peer as gRPC names it, None if it has none that can be read.

    An IPv4 address that is written as IPv6 is returned as IPv4. A Unix socket is reached from this
    machine only, and so counts as loopback.
    """
    kind, _, place = peer.partition(":")
    if kind in ("unix", "unix-abstract"):
        return _LOOPBACK
    if kind == "ipv4":
        host = place.partition(":")[0]
    elif kind == "ipv6":
        host, bracket, _ = unquote(place).removeprefix("[").partition("]")
        # Of a link-local address, which network interface it belongs to.
        host = host.partition("%")[0] if bracket else ""
    else:
        return None
    try:
        found = ip_address(host)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
