"""A TCP relay that a test can cut, make deaf, or let lose a reply."""

import asyncio
import contextlib
from typing import Self


class Relay:
    """Stands between a client and a server. Use it as a context; `port` is its own.

    `accepted` counts the connections it took; while it is `deaf`, requests end in it.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._lose_after: bytes | None = None
        self.port = 0
        self.accepted = 0
        self.deaf = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def open(self) -> None:
        """Take connections, on the same port as before."""
        self._listener = await asyncio.start_server(self._handle, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Drop all connections and take no more."""
        if self._listener is not None:
            self._listener.close()
        self.drop()
        if self._handlers:
            await asyncio.wait(self._handlers)

    def drop(self) -> None:
        """Drop all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def lose_reply_to(self, sent: bytes) -> None:
        """Let the next request that contains `sent` through, and drop everything at its reply."""
        self._lose_after = sent

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        ours = {writer, up_writer}
        self._writers |= ours
        losing = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(reader, up_writer, losing))
                group.create_task(self._return(up_reader, writer, losing))
        except* OSError:
            pass  # Cut: that is what the relay is for.
        finally:
            self._writers -= ours
            for each in ours:
                each.close()
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while chunk := await reader.read(65536):
            if self._lose_after is not None and self._lose_after in chunk:
                self._lose_after = None
                losing.set()
            if not self.deaf:
                writer.write(chunk)
                await writer.drain()
        raise ConnectionResetError

    async def _return(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while chunk := await reader.read(65536):
            if losing.is_set():
                raise ConnectionResetError
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError
