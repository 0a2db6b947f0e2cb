"""Tests one delivery over HTTP, to well-behaved and to hostile endpoints."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from partway_server.events.retry_schedule import DeliveryResponse
from partway_server.events.webhook_file import Webhook
from partway_server.events.webhook_sender import HttpSender
from partway_server.runtime.subprocesses import free_port
from standardwebhooks import Webhook as Verifier

from tests.support.clock import FakeClock
from tests.support.server_certificate import NAME, certificate
from tests.support.webhooks import SECRET, Names, a_webhook, an_endpoint

BODY = '{"id":"event-1"}'


@asynccontextmanager
async def a_sender(
    webhook: Webhook, *, names: AbstractResolver | None = None, tls: ssl.SSLContext | bool = True
) -> AsyncIterator[HttpSender]:
    clock = FakeClock(datetime.now(UTC))
    sender = HttpSender(webhook, clock=clock, resolver=names, tls=tls)
    try:
        yield sender
    finally:
        await sender.aclose()


def _https(url: str) -> Webhook:
    return a_webhook(url, allow_http=False)


async def test_tls_is_verified_against_the_name_in_the_url(tmp_path: Path) -> None:
    server, client = certificate(tmp_path)
    async with an_endpoint(server) as endpoint:
        named = endpoint.url.replace("127.0.0.1", NAME)
        async with a_sender(_https(named), names=Names(("127.0.0.1",)), tls=client) as sender:
            assert await sender.send("event-1", BODY) == DeliveryResponse(204)
        [got] = endpoint.got
        Verifier(SECRET).verify(got.body, dict(got.headers))
        assert got.headers["Host"] == named.split("/")[2]

        other = _https(named.replace(NAME, "other.example"))
        async with a_sender(other, names=Names(("127.0.0.1",)), tls=client) as sender:
            assert await sender.send("event-1", BODY) == DeliveryResponse(0, "TLS failed")
        async with a_sender(_https(named), names=Names(("127.0.0.1",))) as sender:
            assert await sender.send("event-1", BODY) == DeliveryResponse(0, "TLS failed")
        assert len(endpoint.got) == 1


async def test_the_url_is_asked_as_it_is_written() -> None:
    async with an_endpoint() as endpoint:
        async with a_sender(a_webhook(endpoint.url + "/%2Fa?t=%41+b")) as sender:
            await sender.send("event-1", BODY)
        assert endpoint.got[0].path == "/hook/%2Fa?t=%41+b"


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with an_endpoint() as endpoint, an_endpoint() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        async with a_sender(a_webhook(endpoint.url)) as sender:
            assert (await sender.send("event-1", BODY)).status == 204
        assert (len(endpoint.got), proxy.got) == (1, [])


async def test_an_answer_without_an_end_is_not_waited_for() -> None:
    async with an_endpoint() as endpoint:
        ended = asyncio.Event()

        async def forever(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                while True:
                    await response.write(bytes(65536))
            finally:
                ended.set()

        endpoint.handle = forever
        async with a_sender(a_webhook(endpoint.url)) as sender:
            async with asyncio.timeout(40):
                assert (await sender.send("event-1", BODY)).status == 200
                await ended.wait()


async def test_no_answer_in_time_is_a_failure() -> None:
    async with an_endpoint() as endpoint:

        async def never(request: web.Request) -> web.StreamResponse:
            await asyncio.Event().wait()
            raise AssertionError

        endpoint.handle = never
        async with a_sender(a_webhook(endpoint.url, timeout_seconds=0.1)) as sender:
            assert await sender.send("event-1", BODY) == DeliveryResponse(0, "no answer in time")


async def test_what_goes_wrong_is_told_without_the_url() -> None:
    async with a_sender(a_webhook(f"http://127.0.0.1:{free_port()}/hunter2")) as sender:
        answer = await sender.send("event-1", BODY)
    assert (answer.status, answer.why) == (0, "no connection: Connection refused")


class NoNames(Names):
    """A resolver that knows no name."""

    async def resolve(self, *_: Any, **__: Any) -> list[ResolveResult]:
        raise OSError


async def test_a_host_that_nobody_knows_is_told_as_that() -> None:
    webhook = a_webhook("http://hooks.example/hunter2")
    async with a_sender(webhook, names=NoNames()) as sender:
        assert await sender.send("event-1", BODY) == DeliveryResponse(0, "host name not found")


async def test_a_connection_that_breaks_is_told_as_that() -> None:
    async with an_endpoint() as endpoint:

        async def broken(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.close()
            return web.Response()

        endpoint.handle = broken
        async with a_sender(a_webhook(endpoint.url)) as sender:
            assert await sender.send("event-1", BODY) == DeliveryResponse(
                0, "the connection was lost"
            )
