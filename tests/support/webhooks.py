"""Webhooks from both ends: an endpoint that a test controls, and one process's dispatcher."""

import asyncio
import contextlib
import itertools
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from partway_server.events.delivery_queue import DeliveryQueue
from partway_server.events.dispatcher import WebhookDispatcher
from partway_server.events.webhook_file import Webhook
from partway_server.events.webhook_sender import HttpSender, Sender
from partway_server.events.webhook_worker import WebhookWorker
from partway_server.observability.metrics import Metrics
from partway_server.redis_client.topology import SLOTS, RedisTopology, SlotRange, connect
from partway_server.redis_client.urls import Address
from partway_server.runtime.webhook_reload import WebhookReloader
from partway_server.sessions.redis_keys import due_key, events_key, shard_of
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from tests.support.clock import FakeClock
from tests.support.relay import Relay

SECRET = bytes(range(32))
LEASE = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Got:
    """A request as the endpoint received it."""

    id: str
    body: bytes
    headers: Mapping[str, str]
    path: str


@dataclass(slots=True)
class Endpoint:
    """A receiver of webhooks. `answer` responds to each, by default 204; `handle` replaces it."""

    url: str = ""
    answer: Callable[[Got], web.Response | int] = lambda got: 204
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    got: list[Got] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [each.id for each in self.got]

    async def receive(self, request: web.Request) -> web.StreamResponse:
        if self.handle:
            return await self.handle(request)
        got = Got(
            request.headers["webhook-id"],
            await request.read(),
            dict(request.headers),
            request.raw_path,
        )
        self.got.append(got)
        answer = self.answer(got)
        return answer if isinstance(answer, web.Response) else web.Response(status=answer)


@contextlib.asynccontextmanager
async def an_endpoint(tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    """Run an endpoint on loopback."""
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", endpoint.receive)
    # A handler that never ends is cut off with its connection.
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        _, port = runner.addresses[0]
        endpoint.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"
        yield endpoint
    finally:
        await runner.cleanup()


class Names(AbstractResolver):
    """A resolver that answers each lookup with the next of these addresses."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for address in self._answers.pop(0)
        ]

    async def close(self) -> None:
        pass


def a_webhook(url: str, *, name: str = "orders", **rules: Any) -> Webhook:
    """Return a webhook to loopback."""
    return Webhook(
        **{
            "name": name,
            "url": url,
            "secrets": (SECRET,),
            "allow_http": True,
            "allow_private": True,
            **rules,
        }
    )


def an_event(
    number: object, *, upload: str = "00", kind: str = "upload.completed", tenant: str = "acme"
) -> dict[Any, Any]:
    """Return the fields of an entry in the stream."""
    event = {
        "specversion": "1.0",
        "id": f"event-{number}",
        "type": kind,
        "source": "/partway",
        "subject": upload,
        "data": {"upload": upload, "tenant": tenant, "key": f"{tenant}/film.mp4", "name": "Ü"},
    }
    text = json.dumps(event, ensure_ascii=False)
    return {"id": f"event-{number}", "type": kind, "upload": upload, "event": text}


async def publish(redis: Any, number: object, **changes: str) -> str:
    """Append an event to the stream of its upload, and return its id."""
    entry = an_event(number, **changes)
    await redis.xadd(events_key(shard_of(entry["upload"])), entry)
    return str(entry["id"])


def as_a_cluster(redis_url: str, relay: Relay, shard: int) -> RedisTopology:
    """Make one Redis look like two masters, the one with this shard behind the relay."""
    slot = key_slot(due_key(shard).encode())
    near, far = ("near", 0), ("far", 0)

    async def find() -> list[SlotRange]:
        return [
            SlotRange(slot, slot, far),
            SlotRange(0, slot - 1, near),
            SlotRange(slot + 1, SLOTS - 1, near),
        ]

    def client(address: Address) -> Redis:
        url = f"redis://{relay.address}" if address == far else redis_url
        return Redis.from_url(url, retry=Retry(NoBackoff(), retries=0))

    return RedisTopology(find=find, client=client, cluster=True)


class Begun:
    """Detached tasks, as `Tasks` has them, that a test can wait for."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        return task

    async def done(self) -> None:
        """Wait for all tasks, and for those that they start. Raises what one of them raised."""
        async with asyncio.timeout(60):
            while self._running:
                await asyncio.gather(self._running.pop())


class Office:
    """One process's webhook work, on the clock of the test. `file` reads the webhook file."""

    def __init__(
        self,
        redis: str | RedisTopology,
        *webhooks: Webhook,
        clock: FakeClock,
        owner: str = "one",
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        patience: float = 30.0,
        **more: Any,
    ) -> None:
        self.tasks, self.metrics = Begun(), Metrics()
        servers = connect(redis) if isinstance(redis, str) else redis
        self.store = DeliveryQueue(servers, owner=owner, clock=clock, patience=patience)
        marks = (f"{owner}-{number}" for number in itertools.count())
        self._clock, self._senders = clock, list[HttpSender]()
        self.dispatcher = WebhookDispatcher(store=self.store, clock=clock, lease=LEASE)

        def open_worker(webhook: Webhook, sender: Sender) -> WebhookWorker:
            return WebhookWorker(
                webhook,
                store=self.store,
                sender=sender,
                tasks=self.tasks,  # type: ignore[arg-type]
                metrics=self.metrics,
                clock=clock,
                sleep=sleep,
                chance=lambda: 0.0,
                new_mark=lambda: next(marks),
                began=clock.now(),
                lease=LEASE,
                **more,
            )

        self.file: Callable[[], Sequence[Webhook]] = lambda: webhooks
        self.webhook_reloader = WebhookReloader(
            read=lambda: self.file(),
            open_sender=self._open_sender,
            open_worker=open_worker,
            dispatcher=self.dispatcher,
        )
        self.webhook_reloader.apply(webhooks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for sender in self._senders:
            await sender.aclose()
        await self.store.aclose()

    def _open_sender(self, webhook: Webhook) -> Sender:
        self._senders.append(HttpSender(webhook, clock=self._clock))
        return self._senders[-1]

    async def turn(self) -> None:
        """Take a step, and wait for everything it starts."""
        await self.dispatcher.step()
        await self.tasks.done()
