"""A storage server on a real socket that keeps what it receives, and fails on demand."""

import asyncio
import hashlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""Answers instead of the storage, or None to let it go on."""


@dataclass
class Put:
    """One PUT as it arrived."""

    upload: str
    number: int
    raw_path: str
    headers: dict[str, str]


@dataclass
class Storage:
    """A store of parts by upload and number. Each PUT uses up a fault of its part; 0: any part."""

    keep_bytes: bool = True
    stored: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    content: dict[tuple[str, int], bytes] = field(default_factory=dict)
    puts: list[Put] = field(default_factory=list)
    faults: dict[int, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    on_stored: Callable[[str, int], None] = lambda upload, number: None
    refused_serials: int = 0
    open_puts: int = 0
    most_open_puts: int = 0
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    base: str = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_put("/{path:.*}", self._put)
        # Stalled handlers end with the server, which does not wait for them.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.0, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finished.set()
        await self._runner.cleanup()

    def fail(self, number: int, *faults: Fault) -> None:
        """Make the next PUTs of the part fail with `faults`."""
        self.faults[number].extend(faults)

    def bytes_of(self, upload: str) -> bytes:
        return b"".join(self.content[upload, n] for n in sorted(self.stored[upload]))

    def numbers_put(self) -> list[int]:
        return [put.number for put in self.puts]

    async def _put(self, request: web.Request) -> web.StreamResponse:
        upload, number = request.query["uploadId"], int(request.query["partNumber"])
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.puts.append(Put(upload, number, request.raw_path, headers))
        self.open_puts += 1
        self.most_open_puts = max(self.most_open_puts, self.open_puts)
        try:
            return await self._answer(request, upload, number)
        except ConnectionResetError:
            # The client has disconnected, and no one reads this.
            return web.Response()
        finally:
            self.open_puts -= 1

    async def _answer(self, request: web.Request, upload: str, number: int) -> web.StreamResponse:
        for queue in (self.faults[number], self.faults[0]):
            if queue and (answer := await queue.popleft()(request)):
                return answer
        if int(request.query["serial"]) < self.refused_serials:
            return error(403, "AccessDenied", "Request has expired")
        size, digest, pieces = 0, hashlib.md5(), []
        async for piece in request.content.iter_any():
            size += len(piece)
            if self.keep_bytes:
                pieces.append(piece)
                digest.update(piece)
        self.stored[upload][number] = size
        self.content[upload, number] = b"".join(pieces)
        self.on_stored(upload, number)
        return web.Response(headers={"ETag": f'"{digest.hexdigest()}"'})


def error(status: int, code: str, message: str = "") -> web.Response:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def answering(status: int, code: str = "", message: str = "") -> Fault:
    """Read the body, then answer with an error."""

    async def fault(request: web.Request) -> web.StreamResponse:
        await request.read()
        return error(status, code, message)

    return fault


def refusing(status: int, code: str) -> Fault:
    """Answer with an error before reading the body."""

    async def fault(request: web.Request) -> web.StreamResponse:
        return error(status, code)

    return fault


async def resetting(request: web.Request) -> web.StreamResponse:
    """Break the connection in the middle of the body."""
    await request.content.read(1)
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def waiting(event: asyncio.Event) -> Fault:
    """Wait for `event`, then continue."""

    async def fault(request: web.Request) -> None:
        await event.wait()

    return fault
