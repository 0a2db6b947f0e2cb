"""A stream that can be read only once, kept on disk so that parts can be sent twice."""

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import IO, BinaryIO, TypeVar

from partway_client._source import Source
from partway_client.errors import FileUnreadable, SizeMismatch, SpoolFailed

T = TypeVar("T")

_PIECE_BYTES = 1024 * 1024

Opener = Callable[[], AbstractContextManager[BinaryIO]]
Counted = Callable[[int], None]
"""Is told how many bytes there are so far."""


async def spool(opener: Opener, *, name: str, size: int | None, counted: Counted) -> Source:
    """Copy a stream into a file without a name in TMPDIR, to its end.

    `size` is how many bytes there must be (None: any number). Raises SpoolFailed, SizeMismatch,
    or FileUnreadable if the stream cannot be read.
    """
    with _keeping(tempfile.TemporaryFile) as kept:
        count = await _copied(opener, kept, counted)
        source = Source(fd=os.dup(kept.fileno()), name=name, size_bytes=count)
    if size is not None and size != count:
        source.close()
        raise SizeMismatch(size, count)
    return source


async def _copied(opener: Opener, kept: IO[bytes], counted: Counted) -> int:
    """How many bytes went from the stream into `kept`."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[int | Exception] = loop.create_future()
    stopped = threading.Event()

    def tell(call: Callable[..., object], *arguments: object) -> None:
        # Nobody waits once it is stopped, and the loop may be closed.
        with suppress(RuntimeError):
            if not stopped.is_set():
                loop.call_soon_threadsafe(call, *arguments)

    def settle(result: int | Exception) -> None:
        if not outcome.done():
            outcome.set_result(result)

    def work() -> None:
        try:
            tell(settle, _copy(opener, kept, stopped, lambda count: tell(counted, count)))
        except Exception as exc:
            # Whatever the caller's stream raises is the caller's to see.
            tell(settle, exc)

    # A thread of its own, and a daemon: nothing can interrupt a read from a pipe that stays
    # silent, and neither Ctrl-C nor the end of the loop shall wait for it.
    threading.Thread(target=work, name="partway-spool", daemon=True).start()
    try:
        result = await outcome
    finally:
        stopped.set()
    if isinstance(result, Exception):
        raise result
    return result


def _copy(opener: Opener, kept: IO[bytes], stopped: threading.Event, counted: Counted) -> int:
    count = 0
    with _reading(opener) as stream:
        while not stopped.is_set() and (piece := _piece(stream)):
            _keeping(partial(kept.write, piece))
            count += len(piece)
            counted(count)
    _keeping(kept.flush)
    return count


def _piece(stream: BinaryIO) -> bytes:
    piece: bytes | None = _reading(lambda: stream.read(_PIECE_BYTES))
    if piece is None:
        # Nothing there at this moment, which must not pass for the end.
        raise FileUnreadable("the stream does not block; put it into blocking mode")
    return piece


def _reading(read: Callable[[], T]) -> T:
    try:
        return read()
    except OSError as exc:
        raise FileUnreadable(f"cannot read the stream: {exc.strerror}") from None


def _keeping(keep: Callable[[], T]) -> T:
    try:
        return keep()
    except OSError as exc:
        where = tempfile.tempdir or "no directory for temporary files"
        raise SpoolFailed(
            f"a stream is kept on disk while it is sent, and {where} does not take it "
            f"({exc.strerror}); set TMPDIR to a directory with room for all of it"
        ) from None
