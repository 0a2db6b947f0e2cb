"""The endpoint of a webhook during a run: it breaks off, refuses, and writes down what it took."""

import asyncio
import base64
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import redis.asyncio
from aiohttp import web
from standardwebhooks import Webhook

from tests.chaos.consumer_process import Heard, heard_of, settled

_NAME = "audit"
_SECRET_VARIABLE = "CHAOS_WEBHOOK_SECRET"
_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode("ascii")
_SETTLE_SECONDS = 90.0
"""An attempt that failed is repeated after 5 s, and a lease of a dead process is waited out."""


class WebhookReceiver:
    """A webhook of all services, and its endpoint. Use it as a context.

    The first attempt at an event is refused, or broken off after the event was taken, one time in
    ten each.
    """

    def __init__(self, folder: Path, url: str, chance: random.Random) -> None:
        self._folder, self._url, self._chance = folder, url, chance
        self._runner = web.AppRunner(_app(self._receive), shutdown_timeout=0.1)
        self._tried: set[str] = set()
        self.heard: list[Heard] = []
        self.wrong: list[str] = []

    @property
    def environ(self) -> Mapping[str, str]:
        """What services need to deliver to it."""
        return {"PARTWAY_WEBHOOK_FILE": str(self._file), _SECRET_VARIABLE: _SECRET}

    @property
    def _file(self) -> Path:
        return self._folder / "webhooks.toml"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        _, port = self._runner.addresses[0]
        lines = [
            f"[webhook.{_NAME}]",
            f'url = "http://127.0.0.1:{port}/"',
            f'secret_env = "{_SECRET_VARIABLE}"',
            "allow_http = true",
            "allow_private = true",
        ]
        self._file.write_text("\n".join([*lines, ""]), "utf-8")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def settle(self) -> None:
        """Wait until all there is was delivered. Fails after a minute and a half."""
        async with redis.asyncio.Redis.from_url(self._url, decode_responses=True) as client:
            async with asyncio.timeout(_SETTLE_SECONDS):
                # Polling: deliveries are in the hands of other processes.
                while not await settled(client, f"webhook:{_NAME}"):  # noqa: ASYNC110 (processes that say nothing)
                    await asyncio.sleep(0.2)

    async def _receive(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode("utf-8")
        name = request.headers["webhook-id"]
        self._check(name, body, request.headers)
        first = name not in self._tried
        self._tried.add(name)
        fate = self._chance.random() if first else 1.0
        if fate < 0.1:
            return web.Response(status=503)
        # The order of arrival is what is promised here.
        self.heard.append(heard_of(json.loads(body), time.monotonic(), (0, len(self.heard))))
        if fate < 0.2 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=204)

    def _check(self, name: str, body: str, headers: Mapping[str, str]) -> None:
        # By the time in the header: services may run by a clock that is days ahead.
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        signed = Webhook(_SECRET).sign(name, at, body)
        if headers["webhook-signature"] != signed:
            self.wrong.append(f"the signature of {name} is wrong")
        with contextlib.suppress(KeyError, ValueError):
            if json.loads(body)["id"] == name:
                return
        self.wrong.append(f"{name} is not the event's id")


def _app(receive: Callable[[web.Request], Awaitable[web.Response]]) -> web.Application:
    app = web.Application()
    app.router.add_post("/", receive)
    return app
