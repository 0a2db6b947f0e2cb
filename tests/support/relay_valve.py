"""A TCP relay in front of storage that lets through only as much as a test allows."""

import asyncio
import contextlib
import re
from collections import Counter
from typing import Self
from urllib.parse import urlsplit

_PUT = re.compile(rb"PUT \S*[?&]partNumber=(\d+)")


class Valve:
    """A relay in front of the server at `url`, used as a context. Its own address is `url`, too.

    It is open at first. While it is closed, requests stop in it at any byte; `blocked` counts the
    connections that wait. `puts` counts the tries of each part, by number. `held` is set once
    `close_at` has stopped a request.
    """

    def __init__(self, url: str) -> None:
        upstream = urlsplit(url)
        self._upstream = (upstream.hostname, upstream.port)
        self._listener: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self._left = float("inf")
        self._close_at: bytes | None = None
        self.held = asyncio.Event()
        self.puts: Counter[int] = Counter()
        self.blocked = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        await self.drop()

    async def drop(self) -> None:
        """Drop all connections, and the data in them."""
        for handler in self._handlers:
            handler.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)

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

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        ends = [writer]
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._upstream)
            ends.append(up_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(reader, up_writer))
                group.create_task(_copy(up_reader, writer))
        except* (OSError, asyncio.CancelledError):
            pass  # One end has gone, or the test is over: so is this connection.
        finally:
            for end in ends:
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    # Ends the other direction as well.
    raise ConnectionResetError
