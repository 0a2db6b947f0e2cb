"""Records what Prometheus would scrape during a real outage.

python -m tests.alerts.record NAME FOLDER

It runs the service over a real Redis and real storage, with callers and a webhook, breaks one of
them for a while as NAME says, and scrapes all the time. The samples go to FOLDER/NAME.json: the
names and labels of the series, each with its value at each scrape, null where it was missing, and
when the outage began and ended. It takes up to 35 minutes, because the windows of alerts are that
long. `python -m tests.alerts.keep FOLDER` then keeps what the rules and the board read.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import grpc
from aiohttp import web
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import start_seaweedfs, start_valkey
from partway_server.runtime.subprocesses import Child, free_port

from tests.support import processes
from tests.support.processes import Service
from tests.support.scrapes import Scrape, recording, scrape

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

EVERY = 15
"""Seconds between scrapes, as in deploy/prometheus/prometheus.yml."""

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclasses.dataclass(frozen=True)
class Outage:
    """What breaks, after how many scrapes, for how many, and how many follow."""

    breaks: str
    healthy: int
    broken: int
    after: int


OUTAGES = {
    "storage-hangs": Outage("storage", healthy=12, broken=16, after=32),
    "redis-away": Outage("redis", healthy=24, broken=52, after=52),
    "webhook-refuses": Outage("webhook", healthy=16, broken=92, after=24),
    "service-restarts": Outage("service", healthy=16, broken=24, after=24),
}


class World:
    """A service with its stores, an endpoint of webhooks, and callers."""

    def __init__(self, service: Service, storage: Child, redis: Child, metrics: str) -> None:
        self._service, self._metrics = service, metrics
        self._suspended = {"storage": storage, "redis": redis}
        self.webhook_refuses = False

    async def receive(self, request: web.Request) -> web.Response:
        """Receive an event."""
        return web.Response(status=500 if self.webhook_refuses else 204)

    def set_broken(self, what: str, broken: bool) -> None:
        """Break or repair a part of the world."""
        if what == "webhook":
            self.webhook_refuses = broken
        elif what in self._suspended:
            number = signal.SIGSTOP if broken else signal.SIGCONT
            os.kill(self._suspended[what].pid, number)

    async def restart(self) -> None:
        """Stop the service as a deployment does, and start it again."""
        await asyncio.to_thread(self._service.server.stop)
        await asyncio.to_thread(self._service.start)

    async def scrape(self, http: aiohttp.ClientSession) -> Scrape:
        """Return each series with its value; nothing if the service does not answer."""
        return await scrape(http, self._metrics)


@contextlib.asynccontextmanager
async def world(folder: Path) -> AsyncIterator[tuple[World, str]]:
    """Run everything; yield it with the address of the service."""
    for name in ("redis", "storage"):
        (folder / name).mkdir()
    redis, redis_url = start_valkey(folder / "redis", keep=False)
    storage, s3 = start_seaweedfs(folder / "storage", keep=False)
    ports = [free_port(), free_port()]
    hooks = folder / "webhooks.toml"
    rules = 'secret_env = "ORDERS_SECRET"\nallow_http = true\nallow_private = true\n'
    hooks.write_text(f'[webhook.orders]\nurl = "http://127.0.0.1:{ports[0]}/"\n{rules}')
    os.environ["ORDERS_SECRET"] = SECRET
    settings = {"metrics_address": f"127.0.0.1:{ports[1]}", "webhook_file": hooks}
    settings |= {"janitor_seconds": 15, "log_level": "info", "call_timeout_seconds": 30}
    service = Service(folder, s3, redis_url, **settings)
    with redis, storage, service:
        made = World(service, storage, redis, f"127.0.0.1:{ports[1]}")
        app = web.Application()
        app.router.add_post("/", made.receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", ports[0]).start()
        service.start()
        yield made, service.address
        await runner.cleanup()


class Callers:
    """Small uploads at a steady rate, however those before ended."""

    def __init__(self, stub: "UploadServiceAsyncStub", http: aiohttp.ClientSession) -> None:
        self._stub, self._http = stub, http

    async def run(self, rate: float) -> None:
        """Begin an upload `rate` times a second, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._try())
                await asyncio.sleep(1 / rate)

    async def _try(self) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError, aiohttp.ClientError, TimeoutError):
            await self._upload()

    async def _upload(self) -> None:
        request = pb.InitializeRequest(file_name="a.bin", size_bytes=5, presign_parts=1)
        opened = await self._stub.Initialize(request, timeout=20)
        [part] = opened.parts
        async with self._http.request(
            part.method,
            part.url,
            data=b"bytes",
            headers=dict(part.headers),
            timeout=aiohttp.ClientTimeout(20),
        ) as answer:
            answer.raise_for_status()
        status = pb.StatusRequest(upload_id=opened.upload.id)
        await self._stub.Status(status, timeout=20)
        await self._stub.Complete(pb.CompleteRequest(upload_id=opened.upload.id), timeout=20)


async def record(outage: Outage, rate: float) -> tuple[list[Scrape], float]:
    """Return a scrape for each interval, and the time of the first."""
    scrapes = []
    with tempfile.TemporaryDirectory() as folder:
        async with (
            world(Path(folder)) as (made, address),
            grpc.aio.insecure_channel(address) as channel,
            aiohttp.ClientSession() as http,
        ):
            callers = asyncio.create_task(Callers(UploadServiceStub(channel), http).run(rate))
            began, at = time.monotonic(), time.time()
            for turn in range(outage.healthy + outage.broken + outage.after):
                await asyncio.sleep(began + turn * EVERY - time.monotonic())
                scrapes.append(await made.scrape(http))
                if turn == outage.healthy:
                    made.set_broken(outage.breaks, True)
                if turn == outage.healthy + outage.broken:
                    made.set_broken(outage.breaks, False)
                broken = outage.healthy <= turn < outage.healthy + outage.broken
                if outage.breaks == "service" and broken and turn % 8 == 0:
                    await made.restart()
            callers.cancel()
            await asyncio.gather(callers, return_exceptions=True)
    return scrapes, at


def main(name: str, folder: Path) -> None:
    outage = OUTAGES[name]
    # Nothing is judged by how long a busy machine takes to start.
    processes.READY_SECONDS = processes.STOP_SECONDS = 300.0
    scrapes, at = asyncio.run(record(outage, rate=2))
    recorded = recording(scrapes, at=at, every=EVERY, **dataclasses.asdict(outage))
    (folder / f"{name}.json").write_text(json.dumps(recorded))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
