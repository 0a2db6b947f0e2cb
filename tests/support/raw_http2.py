"""A gRPC caller that speaks raw HTTP/2, to do what no gRPC library lets one do: read nothing."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterable

from google.protobuf.message import Message

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4


class RawCaller:
    """One connection whose streams have a window of 0. It answers pings and reads no message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._next_stream = 1
        self.headers_received = 0
        self.closed = asyncio.Event()

    def call(
        self, rpc: str, message: Message, metadata: Iterable[tuple[str, str]], *, end: bool = True
    ) -> int:
        """Begin a call, and return the number of its stream. `end` ends the request."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", f"/partway.v1.UploadService/{rpc}"),
            (":authority", "test"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *metadata,
        ]
        self._send(_HEADERS, _END_HEADERS, stream, b"".join(map(_literal, fields)))
        self.send(stream, message, end=end)
        return stream

    def send(self, stream: int, message: Message, *, end: bool = False) -> None:
        """Send a message of a call."""
        raw = message.SerializeToString()
        body = b"\0" + struct.pack(">I", len(raw)) + raw
        self._send(_DATA, _END_STREAM if end else 0, stream, body)

    def _send(self, kind: int, flags: int, stream: int, body: bytes = b"") -> None:
        head = struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream)
        self._writer.write(head + body)

    async def _pump(self) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await self._reader.readexactly(9)
                body = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
                kind, flags = head[3], head[4]
                if kind == _HEADERS:
                    self.headers_received += 1
                if kind in (_PING, _SETTINGS) and not flags & _ACK:
                    self._send(kind, _ACK, 0, body if kind == _PING else b"")
        self.closed.set()


@contextlib.asynccontextmanager
async def raw_caller(port: int) -> AsyncIterator[RawCaller]:
    """Connect to the service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    caller = RawCaller(reader, writer)
    writer.write(_PREFACE)
    caller._send(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, 0))
    pump = asyncio.create_task(caller._pump())
    try:
        yield caller
    finally:
        pump.cancel()
        writer.close()


def _literal(field: tuple[str, str]) -> bytes:
    """Encode a header field without the tables of HPACK."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in field)
