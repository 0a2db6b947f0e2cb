"""The base of TCP relays in front of storage: it accepts, connects and forwards."""

import asyncio
import contextlib
from typing import Self
from urllib.parse import urlsplit


class ForwardingRelay:
    """A relay in front of the server at `url`, used as a context. Its own address is `url`, too.

    A subclass forwards the requests; answers pass unchanged.
    """

    def __init__(self, url: str) -> None:
        upstream = urlsplit(url)
        self._upstream = (upstream.hostname, upstream.port)
        self._listener: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()
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

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass requests on until the caller hangs up, then raise ConnectionResetError."""
        raise NotImplementedError

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
                group.create_task(self.forward(reader, up_writer))
                group.create_task(_copy(up_reader, writer))
        except* (OSError, EOFError, asyncio.CancelledError):
            pass  # One end has gone, or the test is over: so is this connection.
        finally:
            for end in ends:
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    # Ends the other direction as well.
    raise ConnectionResetError
