"""Tests which peers may name callers."""

from ipaddress import ip_address
from typing import Any

import pytest
from partway_server.config.identity_settings import networks
from partway_server.rpc.identity.peers import TrustedPeers, peer_address

from tests.support.issuer import ACall


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:50051", "10.1.2.3"),
        ("ipv6:[::1]:50051", "::1"),
        ("ipv6:%5B::1%5D:50051", "::1"),
        ("ipv6:%5B2001:db8::7%5D:1", "2001:db8::7"),
        ("ipv6:%5B::ffff:10.1.2.3%5D:50051", "10.1.2.3"),
        ("ipv6:[::ffff:a01:203]:50051", "10.1.2.3"),
        ("ipv6:%5Bfe80::1%25eth0%5D:50051", "fe80::1"),
        ("unix:", "127.0.0.1"),
        ("unix:/run/partway.sock", "127.0.0.1"),
        ("unix-abstract:partway", "127.0.0.1"),
    ],
)
def test_a_peer_has_an_address(peer: str, address: str) -> None:
    assert peer_address(peer) == ip_address(address)


@pytest.mark.parametrize(
    "peer",
    [
        *("", "ipv4:", "ipv4:localhost:1", "ipv4:127.1:1", "ipv4:0x7f000001:1", "ipv4:[::1]:1"),
        *("ipv6:::1:1", "ipv6:[]:1", "ipv6:[127.0.0.1", "ipv6:%5B%5D:1", "127.0.0.1:50051"),
        *("dns:localhost:1", "vsock:1:2", "unixy:/x", "IPV4:127.0.0.1:1", "ipv4:127.0.0.1%00:1"),
    ],
)
def test_a_peer_that_cannot_be_read_has_none_and_is_not_trusted(peer: str) -> None:
    assert peer_address(peer) is None
    assert not vouches("0.0.0.0/0,::/0", peer)


@pytest.mark.parametrize(
    ("trusted", "peer", "believed"),
    [
        ("127.0.0.0/8,::1/128", "ipv4:127.0.0.1:1", True),
        ("127.0.0.0/8,::1/128", "ipv6:%5B::1%5D:1", True),
        ("127.0.0.0/8,::1/128", "ipv6:%5B::ffff:127.0.0.1%5D:1", True),
        ("127.0.0.0/8,::1/128", "unix:", True),
        ("127.0.0.0/8,::1/128", "ipv4:10.0.0.1:1", False),
        ("127.0.0.0/8,::1/128", "ipv6:%5B::2%5D:1", False),
        ("10.0.0.0/8", "ipv4:10.255.0.1:1", True),
        ("10.0.0.0/8", "ipv4:11.0.0.1:1", False),
        ("10.0.0.0/8", "ipv4:127.0.0.1:1", False),
        ("10.0.0.0/8", "unix:", False),
        ("fd00::/8", "ipv6:%5Bfd12::1%5D:1", True),
        ("fe80::/10", "ipv6:%5Bfe80::1%25eth0%5D:1", True),
        ("", "ipv4:127.0.0.1:1", False),
    ],
)
def test_a_peer_is_trusted_by_its_network(trusted: str, peer: str, believed: bool) -> None:
    assert vouches(trusted, peer) is believed


def vouches(trusted: str, peer: str) -> bool:
    call: Any = ACall(peer_name=peer)
    return TrustedPeers(networks(trusted))(call)
