"""Copies a stream to a temporary file, since a part may have to be sent twice."""

import asyncio
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterable, Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import IO, BinaryIO, TypeVar

from partway_client._source.file_source import FileSource
from partway_client.errors import FileUnreadable, SizeMismatch, SpoolFailed

T = TypeVar("T")

_PIECE_BYTES = 1024 * 1024

_RESERVE_BYTES = 1024**3
_RESERVE_SHARE = 20
"""The disk space left to others: 1 GiB, or a twentieth of a small disk."""

OpenStream = Callable[[], AbstractContextManager[BinaryIO]]
OnCount = Callable[[int], None]
"""Called with the number of bytes so far."""

FreeSpace = Callable[[int], int]
"""Returns by how many bytes the file with this descriptor may grow."""


def free_space(fd: int) -> int:
    """Return what is free on the file's disk beyond a reserve: a stream may be endless."""
    disk = os.fstatvfs(fd)
    if not disk.f_blocks:
        # Some file systems do not report it. A write will fail in time.
        return sys.maxsize
    reserve = min(_RESERVE_BYTES, disk.f_blocks * disk.f_frsize // _RESERVE_SHARE)
    return disk.f_bavail * disk.f_frsize - reserve


async def spool(
    open_stream: OpenStream,
    *,
    name: str,
    size: int | None,
    on_count: OnCount,
    free: FreeSpace = free_space,
) -> FileSource:
    """Copy a stream to its end into an unnamed file in TMPDIR.

    `size` is the number of bytes it must have (None: any). Raises SpoolFailed, SizeMismatch,
    or FileUnreadable if the stream cannot be read.
    """
    with _keeping(tempfile.TemporaryFile) as kept:
        if size is not None and size > free(kept.fileno()):
            raise _not_kept("not enough free disk space")
        count = await _copied(partial(_copy, open_stream, kept, size, free), on_count)
        return _kept_source(kept, name, size, count)


async def spool_pieces(
    pieces: AsyncIterable[bytes],
    *,
    name: str,
    size: int | None,
    on_count: OnCount,
    free: FreeSpace = free_space,
) -> FileSource:
    """Copy what an asynchronous source yields, as `spool` does. Its exceptions go to the caller.

    Raises TypeError if it yields something else than bytes.
    """
    with _keeping(tempfile.TemporaryFile) as kept:
        count, held = 0, bytearray()

        async def keep() -> None:
            if len(held) > free(kept.fileno()):
                raise _not_kept(f"its disk is nearly full after {count:,} bytes of the stream")
            # In a thread: a disk may be slow.
            await asyncio.to_thread(_keeping, partial(kept.write, bytes(held)))
            held.clear()

        async for piece in pieces:
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise TypeError(
                    f"an asynchronous source must yield bytes, not {type(piece).__name__}"
                )
            held += piece
            if len(held) >= _PIECE_BYTES:
                await keep()
            count += memoryview(piece).nbytes
            on_count(count)
            if size is not None and count > size:
                break
        await keep()
        _keeping(kept.flush)
        return _kept_source(kept, name, size, count)


def _kept_source(kept: IO[bytes], name: str, size: int | None, count: int) -> FileSource:
    if size is not None and size != count:
        raise SizeMismatch(size, count)
    return FileSource(fd=os.dup(kept.fileno()), name=name, size_bytes=count)


async def _copied(copy: Callable[[threading.Event, OnCount], int], on_count: OnCount) -> int:
    """Run `copy` in a thread until it ends or its event is set; return its result."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[int | Exception] = loop.create_future()
    stopped = threading.Event()

    def notify(call: Callable[..., object], *arguments: object) -> None:
        # No one waits once it is stopped, and the loop may be closed.
        with suppress(RuntimeError):
            if not stopped.is_set():
                loop.call_soon_threadsafe(call, *arguments)

    def settle(result: int | Exception) -> None:
        if not outcome.done():
            outcome.set_result(result)

    def work() -> None:
        try:
            notify(settle, copy(stopped, lambda count: notify(on_count, count)))
        except Exception as exc:
            # Exceptions of the caller's stream go to the caller.
            notify(settle, exc)

    # A thread of its own, and a daemon: a read from a silent pipe cannot be interrupted, and
    # neither Ctrl-C nor the end of the loop may wait for it.
    threading.Thread(target=work, name="partway-spool", daemon=True).start()
    try:
        result = await outcome
    finally:
        stopped.set()
    if isinstance(result, Exception):
        raise result
    return result


def _copy(
    open_stream: OpenStream,
    kept: IO[bytes],
    size: int | None,
    free: FreeSpace,
    stopped: threading.Event,
    on_count: OnCount,
) -> int:
    """Copy the stream into `kept`, at most one piece more than `size`; return the count."""
    count = 0
    with _reading(open_stream) as stream:
        while not stopped.is_set() and (piece := _piece(stream)):
            if len(piece) > free(kept.fileno()):
                raise _not_kept(f"its disk is nearly full after {count:,} bytes of the stream")
            _keeping(partial(kept.write, piece))
            count += len(piece)
            on_count(count)
            if size is not None and count > size:
                break
    _keeping(kept.flush)
    return count


def _piece(stream: BinaryIO) -> bytes:
    piece: bytes | None = _reading(lambda: stream.read(_PIECE_BYTES))
    if piece is None:
        # No data at this moment, which must not be taken for the end.
        raise FileUnreadable("the stream is in non-blocking mode; set it to blocking")
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
        raise _not_kept(exc.strerror) from None


def _not_kept(why: str | None) -> SpoolFailed:
    where = tempfile.tempdir or "no directory for temporary files"
    return SpoolFailed(
        f"cannot copy the stream to {where} ({why}); it must be kept on disk while it is sent:"
        " set TMPDIR to a directory with enough free space"
    )
