"""A connection that sends HTTP/2 frames as they are given, valid or not."""

import asyncio
import struct
from collections.abc import Iterable
from typing import Self

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(5, 10)
END_STREAM, END_HEADERS = 0x1, 0x4

CONNECT_SECONDS = 10.0

Header = tuple[str | bytes, str | bytes]
Headers = Iterable[Header]


def frame(kind: int, flags: int, stream: int, body: bytes = b"", length: int = -1) -> bytes:
    """Return a frame; `length` is what its head says instead of the truth."""
    size = len(body) if length < 0 else length
    return (
        struct.pack(">I", size)[1:]
        + bytes([kind & 255, flags & 255])
        + struct.pack(">I", stream & 0xFFFFFFFF)
        + body
    )


def message(data: bytes, flag: int = 0, length: int = -1) -> bytes:
    """Return a gRPC message; `length` is what its prefix says instead of the truth."""
    return bytes([flag & 255]) + struct.pack(">I", len(data) if length < 0 else length) + data


def call_headers(path: str, *more: Header) -> list[Header]:
    """Return the headers of a gRPC call, and more."""
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("partway-tenant", "acme"),
        ("partway-subject", "alice"),
        *more,
    ]


class Line:
    """One connection. Use `opened`; what it reads it forgets, unless a response is awaited."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._encoder = hpack.Encoder()

    @classmethod
    async def opened(cls, address: str, *, preface: bool = True) -> Self:
        """Connect and, with `preface`, begin as HTTP/2 demands."""
        host, _, port = address.rpartition(":")
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(host, int(port))
        line = cls(reader, writer)
        if preface:
            await line.send(PREFACE + frame(SETTINGS, 0, 0))
        return line

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def block(self, headers: Headers) -> bytes:
        """Return the headers as HPACK, by the state of this connection."""
        return bytes(self._encoder.encode(list(headers)))

    async def call(self, stream: int, headers: Headers, body: bytes = b"") -> None:
        """Send a whole call."""
        await self.send(frame(HEADERS, END_HEADERS, stream, self.block(headers)))
        for at in range(0, len(body) or 1, 16384):
            last = at + 16384 >= len(body)
            await self.send(frame(DATA, END_STREAM * last, stream, body[at : at + 16384]))

    async def trailers(self, seconds: float) -> dict[str, str]:
        """Return the headers that end the response, {} if it ends otherwise."""
        decoder = hpack.Decoder(max_header_list_size=1 << 20)
        found: dict[str, str] = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    head = await self._reader.readexactly(9)
                    body = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
                    if head[3] == HEADERS:
                        for name, value in decoder.decode(body, raw=True):
                            found[name.decode()] = value.decode("utf-8", "replace")
                        if head[4] & END_STREAM:
                            return found
                    if head[3] in (RST_STREAM, GOAWAY):
                        return found
        except (OSError, EOFError, TimeoutError):
            # Closed or silent: that is an answer as well.
            return found
