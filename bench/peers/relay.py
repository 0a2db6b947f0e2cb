"""Passes TCP connections on, and counts their bytes and round trips."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

_READ_BYTES = 256 * 1024


class CountingRelay:
    """Connections to `target`, HOST:PORT, through `address`.

    A round trip is a request and its answer: what is sent before an answer comes is one request.
    """

    def __init__(self, target: str) -> None:
        self.bytes = 0
        self.round_trips = 0
        self.address = ""
        self._host, _, self._port = target.rpartition(":")
        self._writers: set[asyncio.StreamWriter] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, target: str) -> AsyncIterator["CountingRelay"]:
        relay = cls(target)
        server = await asyncio.start_server(relay._serve, "127.0.0.1", 0)
        relay.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield relay
        finally:
            server.close()
            for each in list(relay._writers):
                each.close()
            await relay._idle.wait()

    def reset(self) -> None:
        self.bytes = self.round_trips = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(self._host, int(self._port))
        both = {writer, to_there}
        self._writers |= both
        self._idle.clear()
        waits = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass(reader, to_there, waits, forward=True))
                tasks.create_task(self._pass(there, writer, waits, forward=False))
        except* ConnectionError:
            pass  # One side is gone, and so is the other now.
        finally:
            for each in both:
                each.close()
            self._writers -= both
            if not self._writers:
                self._idle.set()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        waits: asyncio.Event,
        *,
        forward: bool,
    ) -> None:
        while data := await reader.read(_READ_BYTES):
            self.bytes += len(data)
            if not forward:
                waits.clear()
            elif not waits.is_set():
                waits.set()
                self.round_trips += 1
            writer.write(data)
            await writer.drain()
        writer.write_eof()
