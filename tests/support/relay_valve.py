"""A TCP relay in front of storage that lets through only as much as a test allows."""

import asyncio
import re
from collections import Counter

from tests.support.forwarding_relay import ForwardingRelay

_PUT = re.compile(rb"PUT \S*[?&]partNumber=(\d+)")


class Valve(ForwardingRelay):
    """Lets through what it is allowed to.

    It is open at first. While it is closed, requests stop in it at any byte; `blocked` counts the
    connections that wait. `puts` counts the tries of each part, by number. `held` is set once
    `close_at` has stopped a request.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._changed = asyncio.Condition()
        self._left = float("inf")
        self._close_at: bytes | None = None
        self.held = asyncio.Event()
        self.puts: Counter[int] = Counter()
        self.blocked = 0

    async def allow(self, size_bytes: float) -> None:
        """Let that many bytes of requests through from now on, to within a few kB."""
        async with self._changed:
            self._left = size_bytes
            self._changed.notify_all()

    async def open(self) -> None:
        """Let everything through."""
        await self.allow(float("inf"))

    def close_at(self, sent: bytes) -> None:
        """Stop the next request whose head contains `sent`, before it reaches the server."""
        self._close_at = sent

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            if put := _PUT.match(chunk):
                self.puts[int(put[1])] += 1
            if self._close_at is not None and self._close_at in chunk:
                self._close_at, self._left = None, 0
                self.held.set()
            await self._admit(len(chunk))
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError

    async def _admit(self, size_bytes: int) -> None:
        async with self._changed:
            self.blocked += 1
            try:
                await self._changed.wait_for(lambda: self._left > 0)
            finally:
                self.blocked -= 1
            self._left -= size_bytes
