"""A relay in front of storage that changes a byte of a body in transit."""

import asyncio
import contextlib
import re
from collections import Counter
from typing import Self
from urllib.parse import urlsplit

_PUT = re.compile(rb"PUT (?:\S*[?&]partNumber=(\d+))?")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class CorruptingRelay:
    """A relay in front of the server at `url`, used as a context. Its own address is `url`, too.

    `flip` names the parts to change, once each, in the middle of the body; a single PUT is part 1.
    `flipped` counts the changed bytes and `puts` all tries, by part.
    """

    def __init__(self, url: str) -> None:
        upstream = urlsplit(url)
        self._upstream = (upstream.hostname, upstream.port)
        self._listener: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._wanted: Counter[int] = Counter()
        self.flipped: Counter[int] = Counter()
        self.puts: Counter[int] = Counter()
        self.url = ""

    def flip(self, number: int, times: int = 1) -> None:
        """Change a byte in the next `times` PUTs of the part."""
        self._wanted[number] += times

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        for handler in self._handlers:
            handler.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)

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
        except* (OSError, EOFError, asyncio.CancelledError):
            pass  # One end has gone, or the test is over: so is this connection.
        finally:
            for end in ends:
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = bytearray(await reader.readexactly(int(length[1]) if length else 0))
            if put := _PUT.match(head):
                self._change(int(put[1] or 1), body)
            writer.write(head + body)
            await writer.drain()

    def _change(self, number: int, body: bytearray) -> None:
        self.puts[number] += 1
        if self._wanted[number] > 0:
            self._wanted[number] -= 1
            self.flipped[number] += 1
            body[len(body) // 2] ^= 0x10


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    # Ends the other direction as well.
    raise ConnectionResetError
