"""A TCP relay that behaves like one of the simulated lines, towards any number of servers.

Answers are late, too, but neither slow nor lost: little comes back of an upload. It counts what
passed, so that bytes sent twice show. Its own buffers are small: a client feels how slow it is.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from typing import Self

from bench.line.lines import SimulatedLine

_LEAST_BYTES, _MOST_BYTES = 8 * 1024, 1024 * 1024
_SLICE_SECONDS = 0.02
_CATCH_UP_SECONDS = 0.3
"""How much of its time the line makes good for: the relay may have to wait for the processor."""
_BUFFER_SECONDS = 0.1
_LEAST_BUFFER, _MOST_BUFFER = 32 * 1024, 4 * 1024 * 1024


class Budget:
    """What may pass at `rate` bytes per second: each claim takes its time after those before."""

    def __init__(self, rate: float, now: Callable[[], float]) -> None:
        self._rate, self._now = rate, now
        self._until = 0.0

    async def claim(self, size_bytes: int) -> None:
        """Wait until the bytes have passed."""
        now = self._now()
        # What was not used before is lost, as on a line.
        self._until = max(self._until, now - _CATCH_UP_SECONDS) + size_bytes / self._rate
        if self._until > now:
            await asyncio.sleep(self._until - now)


class LineRelay:
    """A relay used as a context. `passed_bytes` counts what clients sent, `resets` the breaks."""

    def __init__(self, line: SimulatedLine, *, seed: int = 1) -> None:
        self._line = line
        self._dice = random.Random(seed)
        self._servers: list[asyncio.Server] = []
        self._handlers: set[asyncio.Task[None]] = set()
        self.passed_bytes = self.resets = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._budget = Budget(self._line.rate, self._loop.time)
        self._began = self._loop.time()
        self._moved = asyncio.Condition()
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for handler in self._handlers:
            handler.cancel()
        if self._handlers:
            await asyncio.wait(self._handlers)

    def restart(self) -> None:
        """Count from here on, and begin the time between stalls."""
        self.passed_bytes = self.resets = 0
        self._began = self._loop.time()

    async def passed(self, size_bytes: float) -> None:
        """Wait until that much has passed."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.passed_bytes >= size_bytes)

    async def to(self, host: str, port: int, *, at: int = 0, breaks: bool = True) -> int:
        """Return the port on which the line leads to that server; `breaks`: it may be reset.

        `at` is the port to listen on, 0 any.
        """

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
            await self._relay(reader, writer, host, port, breaks)

        end = socket.socket()
        end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rate = min(self._line.rate, self._line.connection_rate)
        room = min(max(int(rate * _BUFFER_SECONDS), _LEAST_BUFFER), _MOST_BUFFER)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        end.bind(("127.0.0.1", at))
        # asyncio pauses reading at twice the limit.
        self._servers.append(await asyncio.start_server(handle, sock=end, limit=room))
        found: int = end.getsockname()[1]
        return found

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: str,
        port: int,
        breaks: bool,
    ) -> None:
        ends = [writer]
        try:
            # A handshake there and back.
            await asyncio.sleep(2 * self._line.delay)
            up_reader, up_writer = await asyncio.open_connection(host, port)
            ends.append(up_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send(reader, up_writer, writer, breaks))
                group.create_task(self._return(up_reader, writer))
        except* (OSError, EOFError, asyncio.CancelledError):
            pass  # One end has gone: so is this connection.
        finally:
            for end in ends:
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _send(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        breaks: bool,
    ) -> None:
        line = self._line
        own = Budget(line.connection_rate, self._loop.time)
        rate = min(line.rate, line.connection_rate)
        slice_bytes = min(max(int(rate * _SLICE_SECONDS), _LEAST_BYTES), _MOST_BYTES)
        left = self._dice.uniform(*line.reset_bytes) if breaks and line.reset_bytes else None
        idle = True
        while chunk := await reader.read(slice_bytes):
            if idle:
                # A request is late as a whole; its bytes follow each other closely.
                await asyncio.sleep(line.delay)
            idle = False
            await self._stalled()
            await own.claim(len(chunk))
            await self._budget.claim(len(chunk))
            self.passed_bytes += len(chunk)
            async with self._moved:
                self._moved.notify_all()
            if left is not None:
                left -= len(chunk)
                if left <= 0:
                    self.resets += 1
                    _reset(client)
                    raise ConnectionResetError
            upstream.write(chunk)
            await upstream.drain()
        raise ConnectionResetError

    async def _return(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_MOST_BYTES):
            await asyncio.sleep(self._line.delay)
            client.write(chunk)
            await client.drain()
        raise ConnectionResetError

    async def _stalled(self) -> None:
        line = self._line
        if not line.stall_seconds:
            return
        since = (self._loop.time() - self._began) % (line.stall_every + line.stall_seconds)
        if since > line.stall_every:
            await asyncio.sleep(line.stall_every + line.stall_seconds - since)


def _reset(client: asyncio.StreamWriter) -> None:
    """Close with RST (socket(7), SO_LINGER)."""
    end = client.get_extra_info("socket")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.transport.abort()
