"""A stream that can be read only once, kept on disk so that parts can be sent twice."""

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from partway_client._source import Source
from partway_client.errors import FileUnreadable, PartwayError, SizeMismatch, SpoolFailed

T = TypeVar("T")

_PIECE_BYTES = 1024 * 1024

Counted = Callable[[int], None]
"""Is told how many bytes there are so far."""


async def spool(
    open_stream: Callable[[], BinaryIO], *, name: str, size: int | None, counted: Counted
) -> Source:
    """Copy a stream into a file without a name in TMPDIR, to its end.

    `size` is how many bytes there must be (None: any number). Raises SpoolFailed, SizeMismatch,
    or FileUnreadable if the stream cannot be read.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[int, int]] = loop.create_future()
    stopped = threading.Event()

    def report(call: Callable[..., object], *arguments: object) -> None:
        if not stopped.is_set():
            loop.call_soon_threadsafe(call, *arguments)

    def work() -> None:
        try:
            copied = _copy(open_stream, stopped, lambda count: report(counted, count))
        except PartwayError as error:
            report(_settle, outcome, None, error)
        else:
            report(_settle, outcome, copied, None)

    # A thread of its own, and a daemon: nothing can interrupt a read from a pipe that stays
    # silent, and neither Ctrl-C nor the end of the loop shall wait for it.
    threading.Thread(target=work, name="partway-spool", daemon=True).start()
    try:
        fd, copied_bytes = await outcome
    finally:
        stopped.set()
    source = Source(fd=fd, name=name, size_bytes=copied_bytes)
    if size is not None and size != copied_bytes:
        source.close()
        raise SizeMismatch(size, copied_bytes)
    return source


def _settle(
    outcome: "asyncio.Future[tuple[int, int]]",
    copied: tuple[int, int] | None,
    error: PartwayError | None,
) -> None:
    if outcome.done():
        return
    if error is not None:
        outcome.set_exception(error)
    elif copied is not None:
        outcome.set_result(copied)


def _copy(
    open_stream: Callable[[], BinaryIO], stopped: threading.Event, counted: Counted
) -> tuple[int, int]:
    """A descriptor of the copy, which the caller closes, and its size."""
    count = 0
    stream = _reading(open_stream)
    try:
        with tempfile.TemporaryFile() as kept:
            while not stopped.is_set() and (piece := _reading(lambda: stream.read(_PIECE_BYTES))):
                kept.write(piece)
                count += len(piece)
                counted(count)
            kept.flush()
            return os.dup(kept.fileno()), count
    except OSError as exc:
        raise SpoolFailed(
            f"a stream is kept on disk while it is sent, and {tempfile.gettempdir()} does not "
            f"take it ({exc.strerror}); set TMPDIR to a directory with room for all of it"
        ) from None


def _reading(read: Callable[[], T]) -> T:
    try:
        return read()
    except OSError as exc:
        raise FileUnreadable(f"cannot read the stream: {exc.strerror}") from None
