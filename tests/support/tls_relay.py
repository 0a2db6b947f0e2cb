"""A relay that adds TLS to a server that speaks none, as a proxy in front of it does."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

_CHUNK_BYTES = 65536


@contextlib.asynccontextmanager
async def tls_in_front_of(url: str, certificate: Path, key: Path) -> AsyncIterator[int]:
    """Relay TLS to the host of `url`, and yield the relay's port."""
    upstream = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    lines: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        lines.add(line)
        try:
            up_reader, up_writer = await asyncio.open_connection(upstream.hostname, upstream.port)
            await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))
        finally:
            lines.discard(line)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for line in [*lines]:
            line.cancel()
        if lines:
            await asyncio.wait(lines)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := await source.read(_CHUNK_BYTES):
            sink.write(piece)
            await sink.drain()
    sink.close()
