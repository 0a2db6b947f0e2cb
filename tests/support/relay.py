"""A TCP relay that a test can cut, make deaf or slow, or let do harm to chosen requests.

It knows no protocol. A request is what a client sends at once, so that a pattern finds its head,
or the whole of a small request, in one piece:

    relay.on(rb"\\APOST /\\S*[?&]uploadId=", Fault(end=End.RESET))
    relay.on(rb"EVALSHA", Fault(request_bytes=0, end=End.SILENCE), skip=2)
"""

import asyncio
import contextlib
import re
import socket
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Self

INFINITY = float("inf")

_CHUNK_BYTES = 65536
_PIECE_SECONDS = 0.02
_HEAD = re.compile(rb"\A[A-Z]+ /.* HTTP/1\.1")


class End(Enum):
    """The end of a connection when a fault strikes."""

    CLOSE = "closed in order, on both sides"
    HALF = "closed towards the client alone, which may go on sending"
    RESET = "reset (RST) towards the client, and closed towards the server"
    SILENCE = "nothing comes any more, and nothing gets through, until the client leaves"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a request, and the end of the connection that carried it.

    It strikes once the server has `request_bytes` of the request; None: once the server has all of
    it, and has replied with a piece that contains `reply`. From that piece on, the client gets
    `reply_bytes` of the reply. Then `answer` is sent in the server's place.
    """

    request_bytes: int | None = None
    reply: bytes = b""
    reply_bytes: int = 0
    answer: bytes = b""
    end: End = End.RESET


LOST = {
    "closed": Fault(end=End.CLOSE),
    "half closed": Fault(end=End.HALF),
    "reset": Fault(end=End.RESET),
    "silence": Fault(end=End.SILENCE),
}
"""The ways in which the reply to a request that went through is lost."""


@dataclass(slots=True)
class _Rule:
    pattern: re.Pattern[bytes]
    fault: Fault
    skip: int
    times: float


class _Line:
    """A connection: the client's end, the server's, and the fault that its request has met."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.from_client, self.to_client = client
        self.from_server, self.to_server = server
        self.fault: Fault | None = None
        self.left = INFINITY
        self.struck = False
        self.asked = False

    def meet(self, fault: Fault) -> None:
        self.fault = fault
        self.left = INFINITY if fault.request_bytes is None else fault.request_bytes

    async def strike(self, fault: Fault) -> None:
        """Raise ConnectionResetError if nothing more is to be relayed."""
        self.struck = True
        self.to_client.write(fault.answer)
        await self.to_client.drain()
        if fault.end is End.RESET:
            # If it does not linger, closing a socket sends RST (socket(7), SO_LINGER).
            end = self.to_client.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.to_client.transport.abort()
            raise ConnectionResetError
        if fault.end is not End.SILENCE:
            self.to_client.write_eof()
        if fault.end is End.CLOSE:
            self.to_server.close()
        self.left = INFINITY if fault.end is End.HALF else 0


class Relay:
    """A relay between clients and a server, used as a context; `port` is its own.

    `accepted` counts its connections, `struck` the faults; `requests` are the first lines of
    HTTP/1.1 requests; `round_trips` counts how often a client that had sent something got an
    answer. While it is `deaf`, it forwards no requests. Each direction of a connection carries
    `bytes_per_second`, and each piece arrives `delay` seconds late.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._rules: list[_Rule] = []
        self.port = 0
        self.accepted = 0
        self.struck = 0
        self.round_trips = 0
        self.requests: list[bytes] = []
        self.deaf = False
        self.bytes_per_second = INFINITY
        self.delay = 0.0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Accept connections, on the same port as before."""
        self._listener = await asyncio.start_server(self._handle, "127.0.0.1", self.port)
        end = self._listener.sockets[0]
        # Little is under way in the relay's own end, so that clients feel how slow it is.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CHUNK_BYTES)
        self.port = end.getsockname()[1]

    async def cut(self) -> None:
        """Drop all connections and accept no more."""
        if self._listener is not None:
            self._listener.close()
        self.drop()
        if self._handlers:
            await asyncio.wait(self._handlers)

    def drop(self) -> None:
        """Drop all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def on(self, pattern: bytes, fault: Fault, *, skip: int = 0, times: float = 1) -> None:
        """Apply `fault` to that many requests that match `pattern`, after `skip` matches."""
        self._rules.append(_Rule(re.compile(pattern, re.DOTALL), fault, skip, times))

    def spare(self) -> None:
        """Clear the faults that were set with `on`."""
        self._rules.clear()

    def count(self, pattern: bytes) -> int:
        """Return the number of HTTP requests whose first line matches."""
        return sum(1 for line in self.requests if re.search(pattern, line))

    def _fault_for(self, chunk: bytes) -> Fault | None:
        for rule in self._rules:
            if rule.times and rule.pattern.search(chunk):
                if rule.skip:
                    rule.skip -= 1
                else:
                    rule.times -= 1
                    return rule.fault
        return None

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)
        ours = {writer}
        try:
            line = _Line((reader, writer), await asyncio.open_connection(*self._upstream))
            ours.add(line.to_server)
            self._writers |= ours
            if self._listener is None or not self._listener.is_serving():
                raise ConnectionResetError  # Cut meanwhile.
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward(line))
                group.create_task(self._return(line))
        except* OSError:
            pass  # Cut, or no one is there: that is what the relay is for.
        finally:
            self._writers -= ours
            for each in ours:
                each.close()
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _forward(self, line: _Line) -> None:
        while chunk := await line.from_client.read(_CHUNK_BYTES):
            line.asked = True
            if head := _HEAD.match(chunk):
                self.requests.append(head[0])
            if line.fault is None and (fault := self._fault_for(chunk)):
                line.meet(fault)
            passed = b"" if self.deaf else chunk[: int(min(line.left, len(chunk)))]
            line.left -= len(passed)
            await self._send(line.to_server, passed)
            if line.fault is not None and not line.left and not line.struck:
                await self._strike(line, line.fault)
        raise ConnectionResetError

    async def _return(self, line: _Line) -> None:
        while chunk := await line.from_server.read(_CHUNK_BYTES):
            self.round_trips += line.asked
            line.asked = False
            if line.struck:
                continue
            fault = line.fault
            if fault and fault.request_bytes is None and fault.reply in chunk:
                await self._send(line.to_client, chunk[: fault.reply_bytes])
                await self._strike(line, fault)
            else:
                await self._send(line.to_client, chunk)
        if not line.struck:
            raise ConnectionResetError

    async def _strike(self, line: _Line, fault: Fault) -> None:
        self.struck += 1
        await line.strike(fault)

    async def _send(self, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        size = int(min(max(1, self.bytes_per_second * _PIECE_SECONDS), len(chunk)))
        for start in range(0, len(chunk), size or 1):
            piece = chunk[start : start + size]
            if seconds := self.delay + len(piece) / self.bytes_per_second:
                # A network that is slow takes real time.
                await asyncio.sleep(seconds)
            writer.write(piece)
            await writer.drain()
