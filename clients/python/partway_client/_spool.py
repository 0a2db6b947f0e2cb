"""A stream that can be read only once, kept on disk so that parts can be sent twice."""

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import BinaryIO, TypeVar

from partway_client._source import Source
from partway_client.errors import FileUnreadable, PartwayError, SizeMismatch, SpoolFailed

T = TypeVar("T")

_PIECE_BYTES = 1024 * 1024

Opener = Callable[[], AbstractContextManager[BinaryIO]]
Counted = Callable[[int], None]
"""Is told how many bytes there are so far."""


async def spool(open_stream: Opener, *, name: str, size: int | None, counted: Counted) -> Source:
    """Copy a stream into a file without a name in TMPDIR, to its end.

    `size` is how many bytes there must be (None: any number). Raises SpoolFailed, SizeMismatch,
    or FileUnreadable if the stream cannot be read.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[_Copy] = loop.create_future()
    stopped = threading.Event()

    def work() -> None:
        copy = _Copy()
        try:
            copy.take(open_stream, stopped, lambda count: tell(counted, count))
        except Exception as exc:
            # Whatever the caller's stream raises is the caller's to see.
            copy.error = exc
        tell(_settle, outcome, copy)

    def tell(call: Callable[..., object], *arguments: object) -> None:
        # Once nobody waits, the loop may be closed: then the file goes with the process.
        if not stopped.is_set():
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(call, *arguments)

    # A thread of its own, and a daemon: nothing can interrupt a read from a pipe that stays
    # silent, and neither Ctrl-C nor the end of the loop shall wait for it.
    threading.Thread(target=work, name="partway-spool", daemon=True).start()
    try:
        copy = await outcome
    finally:
        stopped.set()
    if copy.error is not None:
        raise copy.error
    source = Source(fd=os.dup(copy.file.fileno()), name=name, size_bytes=copy.size_bytes)
    copy.file.close()
    if size is not None and size != source.size_bytes:
        source.close()
        raise SizeMismatch(size, source.size_bytes)
    return source
