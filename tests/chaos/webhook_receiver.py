"""A webhook endpoint that drops connections, refuses, and records what it accepted."""

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
"""A failed attempt is retried after 5 s, and the lease of a dead process must run out."""


class WebhookReceiver:
    """The webhook of all services, and its endpoint. Use it as a context manager.

    One in ten first attempts at an event is refused, and one in ten is cut off after the event was
    accepted.
    """

    def __init__(self, folder: Path, url: str, chance: random.Random) -> None:
        self._folder, self._url, self._chance = folder, url, chance
        self._runner = web.AppRunner(_app(self._receive), shutdown_timeout=0.1)
        self._tried: set[str] = set()
        self.heard: list[Heard] = []
        self.wrong: list[str] = []

    @property
    def environ(self) -> Mapping[str, str]:
        """Return the settings that services need to deliver to it."""
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
        """Wait until everything was delivered. Fails after a minute and a half."""
        async with redis.asyncio.Redis.from_url(self._url, decode_responses=True) as client:
            async with asyncio.timeout(_SETTLE_SECONDS):
                # Polling: other processes deliver.
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
        # For webhooks the promise is about the order of arrival.
        self.heard.append(heard_of(json.loads(body), time.monotonic(), (0, len(self.heard))))
        if fate < 0.2 and request.transport is not None:
            request.transport.abort()
        return web.Response(status=204)

    def _check(self, name: str, body: str, headers: Mapping[str, str]) -> None:
        # Sign with the time in the header: the clocks of services may be days ahead.
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
