"""A stream that can be read only once, kept on disk so that parts can be sent twice."""

import asyncio
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import IO, BinaryIO, TypeVar

from partway_client._source.file_source import Source
from partway_client.errors import FileUnreadable, SizeMismatch, SpoolFailed

T = TypeVar("T")

_PIECE_BYTES = 1024 * 1024

_RESERVE_BYTES = 1024**3
_RESERVE_SHARE = 20
"""What is left of a disk to others: a GiB, or a twentieth of a small one."""

Opener = Callable[[], AbstractContextManager[BinaryIO]]
Counted = Callable[[int], None]
"""Is told how many bytes there are so far."""

Room = Callable[[int], int]
"""By how many bytes the file with this descriptor may grow."""


def room_on_disk(fd: int) -> int:
    """What is free where the file is, but for a reserve: a stream may have no end."""
    disk = os.fstatvfs(fd)
    if not disk.f_blocks:
        # Some file systems do not say. A write will fail in time.
        return sys.maxsize
    reserve = min(_RESERVE_BYTES, disk.f_blocks * disk.f_frsize // _RESERVE_SHARE)
    return disk.f_bavail * disk.f_frsize - reserve


async def spool(
    opener: Opener, *, name: str, size: int | None, counted: Counted, room: Room = room_on_disk
) -> Source:
    """Copy a stream into a file without a name in TMPDIR, to its end.

    `size` is how many bytes there must be (None: any number). Raises SpoolFailed, SizeMismatch,
    or FileUnreadable if the stream cannot be read.
    """
    with _keeping(tempfile.TemporaryFile) as kept:
        if size is not None and size > room(kept.fileno()):
            raise _not_kept("not enough of its disk is free")
        count = await _copied(partial(_copy, opener, kept, size, room), counted)
        source = Source(fd=os.dup(kept.fileno()), name=name, size_bytes=count)
    if size is not None and size != count:
        source.close()
        raise SizeMismatch(size, count)
    return source


async def _copied(copy: Callable[[threading.Event, Counted], int], counted: Counted) -> int:
    """What `copy` returns, which runs until it ends or the event is set."""
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
            tell(settle, copy(stopped, lambda count: tell(counted, count)))
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


def _copy(
    opener: Opener,
    kept: IO[bytes],
    size: int | None,
    room: Room,
    stopped: threading.Event,
    counted: Counted,
) -> int:
    """How many bytes went from the stream into `kept`; no more than one piece above `size`."""
    count = 0
    with _reading(opener) as stream:
        while not stopped.is_set() and (piece := _piece(stream)):
            if len(piece) > room(kept.fileno()):
                raise _not_kept(f"its disk is nearly full after {count:,} bytes of the stream")
            _keeping(partial(kept.write, piece))
            count += len(piece)
            counted(count)
            if size is not None and count > size:
                break
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
        raise _not_kept(exc.strerror) from None


def _not_kept(why: str | None) -> SpoolFailed:
    where = tempfile.tempdir or "no directory for temporary files"
    return SpoolFailed(
        f"a stream is kept on disk while it is sent, and {where} does not take it "
        f"({why}); set TMPDIR to a directory with room for all of it"
    )
