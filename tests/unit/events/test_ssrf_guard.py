"""Tests that no name or address leads a webhook into the operator's own network."""

import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from partway_server.events.ssrf_guard import (
    ForbiddenAddress,
    PublicResolver,
    forbidden,
    public_socket,
)
from partway_server.events.webhook_file import Webhook
from partway_server.events.webhook_sender import HttpSender

from tests.support.clock import FakeClock
from tests.support.webhooks import Names, a_webhook, an_endpoint

OF_NO_PUBLIC_USE = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1"),
    *("172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255"),
    *("192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2001:0:1::1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
    *("2001:db8::1", "100::1", "2606:4700::1111%1"),
    *("", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
)

FORBIDDEN = "the address is not on the public internet, and allow_private is not set"

PUBLIC = ("8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808")


@pytest.mark.parametrize("address", OF_NO_PUBLIC_USE)
def test_an_address_of_no_public_use_is_forbidden(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not(address: str) -> None:
    assert not forbidden(address)


def test_no_connection_is_made_to_a_forbidden_address() -> None:
    with pytest.raises(ForbiddenAddress):
        public_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80)))
    public_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 80))).close()


async def test_a_name_with_one_forbidden_address_is_refused_whole() -> None:
    resolver = PublicResolver(Names(("8.8.8.8", "8.8.4.4"), ("8.8.8.8", "10.0.0.1")))
    assert len(await resolver.resolve("hooks.example", 443)) == 2
    with pytest.raises(ForbiddenAddress):
        await resolver.resolve("hooks.example", 443)


async def send(webhook: Webhook, names: AbstractResolver) -> str:
    sender = HttpSender(webhook, clock=FakeClock(), resolver=names)
    try:
        return (await sender.send("1", "{}")).why
    finally:
        await sender.aclose()


async def test_a_name_that_is_bound_anew_to_loopback_is_not_called() -> None:
    async with an_endpoint() as endpoint:
        url = endpoint.url.replace("127.0.0.1", "hooks.example")
        webhook = a_webhook(url, allow_private=False)
        assert await send(webhook, Names(("127.0.0.1",))) == FORBIDDEN
        assert endpoint.got == []
        # And it would have been.
        assert await send(a_webhook(url), Names(("127.0.0.1",))) == ""
        assert endpoint.got[0].headers["Host"] == endpoint.url.split("/")[2].replace(
            "127.0.0.1", "hooks.example"
        )


async def test_a_name_is_refused_before_any_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "partway_server.events.ssrf_guard.public_socket",
        lambda place: socket.socket(*place[:3]),
    )
    async with an_endpoint() as endpoint:
        url = endpoint.url.replace("127.0.0.1", "hooks.example")
        webhook = a_webhook(url, allow_private=False)
        assert await send(webhook, Names(("127.0.0.1",))) == FORBIDDEN
        assert endpoint.got == []


class Credulous(PublicResolver):
    """A guard that lets everything pass, as a gap in the known address ranges would."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return await self._resolver.resolve(host, port, family)


async def test_the_connection_itself_is_checked_whatever_was_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("partway_server.events.ssrf_guard.PublicResolver", Credulous)
    async with an_endpoint() as endpoint:
        url = endpoint.url.replace("127.0.0.1", "hooks.example")
        webhook = a_webhook(url, allow_private=False)
        assert await send(webhook, Names(("127.0.0.1",))) == FORBIDDEN
        assert endpoint.got == []
