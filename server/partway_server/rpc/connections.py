"""Closes the connection of a peer.

grpc.aio cannot end a single call whose reply is not read: a status waits behind the message, and
cancelling the handler leaves the call open in gRPC's core. Shutting the socket down ends all calls
of the connection, as if the peer had gone.
"""

import ipaddress
import os
import socket
from collections.abc import Collection, Iterator
from urllib.parse import unquote

_DESCRIPTORS = "/dev/fd"

Address = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


def close_connections(peers: Collection[str], *, local_port: int) -> int:
    """Shut down the connections of `peers`, named as gRPC does, to one of our ports.

    Returns how many were found. Peers on Unix sockets have no address, and are never found.
    """
    wanted = {address for address in map(_address_of_peer, peers) if address is not None}
    closed = 0
    for found in _own_sockets() if wanted else ():
        with found:
            try:
                ours, theirs = found.getsockname(), found.getpeername()
                if ours[1] == local_port and _address(*theirs[:2]) in wanted:
                    found.shutdown(socket.SHUT_RDWR)
                    closed += 1
            except (OSError, ValueError):
                # Not connected, or gone meanwhile.
                continue
    return closed


def _own_sockets() -> Iterator[socket.socket]:
    """Yield a duplicate of each TCP socket of this process."""
    for name in os.listdir(_DESCRIPTORS):
        try:
            copy = os.dup(int(name))
        except OSError:
            continue
        try:
            found = socket.socket(fileno=copy)
        except OSError:
            os.close(copy)
            continue
        if found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM:
            yield found
        else:
            found.close()


def _address_of_peer(peer: str) -> Address | None:
    """Return the address in gRPC's name of a peer, such as "ipv4:127.0.0.1:4711"."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    host, _, port = rest.rpartition(":")
    return _address(host.strip("[]"), int(port))


def _address(host: str, port: int) -> Address:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address), port
