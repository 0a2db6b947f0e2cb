"""Tests a service that is killed after an endpoint's answer and before recording it."""

import asyncio
import base64
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from partway_server.devstack.servers import S3
from partway_server.sessions.redis_keys import events_key
from redis.asyncio import Redis
from standardwebhooks import Webhook as Verifier

from tests.support.processes import Service, until
from tests.support.webhooks import SECRET, Endpoint, an_endpoint, publish

pytestmark = [pytest.mark.redis, pytest.mark.s3]


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with an_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        await client.flushall()
        yield client


Serve = Callable[[], Service]


@pytest.fixture
def serve(
    tmp_path: Path,
    s3: S3,
    redis_url: str,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Serve]:
    """Run a service with a webhook to the endpoint, and a token in its URL."""
    file = tmp_path / "webhooks.toml"
    file.write_text(
        f'[webhook.orders]\nurl = "{endpoint.url}?token=hunter2"\nsecret_env = "SECRET"\n'
        "allow_http = true\nallow_private = true\n"
    )
    monkeypatch.setenv("SECRET", "whsec_" + base64.b64encode(SECRET).decode())
    with contextlib.ExitStack() as running:

        def serve() -> Service:
            # A short lease, for a killed process has its shards until then.
            settings = {"webhook_file": file, "lease_seconds": 3, "grace_seconds": 10}
            service = running.enter_context(Service(tmp_path, s3, redis_url, **settings))
            service.start()
            return service

        yield serve


async def pending(redis: Redis) -> int:
    return int((await redis.xpending(events_key(0), "webhook:orders"))["pending"])


async def test_a_kill_between_the_post_and_its_settling_repeats_the_event_and_loses_none(
    endpoint: Endpoint, redis: Redis, serve: Serve
) -> None:
    service = await asyncio.to_thread(serve)

    def killed(got: object) -> int:
        service.kill()
        endpoint.answer = lambda got: 204
        return 204

    endpoint.answer = killed
    ids = [await publish(redis, number) for number in range(3)]
    await until(lambda: len(endpoint.got) == 1)
    second = await asyncio.to_thread(serve)
    await until(lambda: len(endpoint.got) == 4)
    # Ends when what follows the last answer is done: so what is pending then was never settled.
    second.server.stop()
    assert await pending(redis) == 0
    assert endpoint.ids == [ids[0], *ids]
    assert endpoint.got[0].body == endpoint.got[1].body
    for got in endpoint.got:
        assert Verifier(SECRET).verify(got.body, dict(got.headers))["id"] == got.id
    logged = service.logged() + second.logged()
    assert "webhook orders: event " in logged
    secrets = ["hunter2", base64.b64encode(SECRET).decode()]
    secrets += [got.headers["webhook-signature"] for got in endpoint.got]
    assert not [secret for secret in secrets if secret in logged]


async def test_a_delivery_under_way_at_sigterm_is_finished_and_the_shards_are_given_back(
    endpoint: Endpoint, redis: Redis, serve: Serve
) -> None:
    service = await asyncio.to_thread(serve)
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await answer.wait()
        return web.Response(status=204)

    endpoint.handle = wait
    await publish(redis, 1)
    await publish(redis, 2)
    await asyncio.wait_for(arrived.wait(), 60)
    service.server.process.send_signal(signal.SIGTERM)
    await until(lambda: "draining" in service.logged())
    endpoint.handle = None
    answer.set()
    assert await asyncio.to_thread(service.server.process.wait, 20) == 0
    # The first is settled; the second is pending if it was read together with the first.
    assert await pending(redis) <= 1
    assert await redis.keys("*lease*") == []

    # So another needs to wait for no lease.
    await asyncio.to_thread(serve)
    await until(lambda: endpoint.ids == ["event-2"], 2.5)


def has_logged(service: Service, text: str) -> bool:
    return text in service.logged()


async def test_sighup_has_the_file_of_webhooks_read_anew(
    tmp_path: Path, endpoint: Endpoint, redis: Redis, serve: Serve
) -> None:
    service, file = await asyncio.to_thread(serve), tmp_path / "webhooks.toml"
    rules = file.read_text()
    async with an_endpoint() as second:
        for text, said in (
            (
                "[webhook.orders]\n",
                f"PARTWAY_WEBHOOK_FILE: {file}:1: webhook.orders.url: is missing",
            ),
            (rules.replace(endpoint.url, second.url), "webhooks reloaded: webhook orders changed"),
        ):
            file.write_text(text)
            service.server.process.send_signal(signal.SIGHUP)
            await until(partial(has_logged, service, said))
        await publish(redis, 1)
        await until(lambda: second.ids == ["event-1"])
    assert endpoint.got == []
