"""Opens what a caller wants uploaded: a file directly, a stream by way of a copy on disk."""

import contextlib
import io
import os
import stat
from collections.abc import AsyncIterable
from pathlib import Path
from typing import BinaryIO

from partway_client._progress_meter import ProgressMeter
from partway_client._source.file_source import FileSource
from partway_client._source.spool import OpenStream, spool, spool_pieces
from partway_client.errors import SizeMismatch
from partway_client.models import Phase

Uploadable = str | os.PathLike[str] | BinaryIO | bytes | AsyncIterable[bytes]
"""What can be uploaded: a file at a path, a binary stream, bytes, or what yields bytes."""


async def open_source(
    file: Uploadable,
    name: str,
    size: int | None,
    meter: ProgressMeter,
) -> FileSource:
    """Open `file` under `name`, or by default its own name. `size`, if given, must match.

    Raises FileUnreadable, SizeMismatch, SpoolFailed; TypeError if it is neither of these, or
    a text stream, or yields something else than bytes.
    """
    if isinstance(file, AsyncIterable):
        meter.enter(Phase.SPOOLING)
        return await spool_pieces(
            file,
            name=name or "stream",
            size=size,
            on_count=lambda count: meter.spooled(count, size or 0),
        )
    if isinstance(file, bytes):
        file = io.BytesIO(file)
    if isinstance(file, io.TextIOBase):
        raise TypeError("a text stream cannot be uploaded: open the file with mode 'rb'")
    if isinstance(file, (str, os.PathLike)):
        if not _is_stream(file):
            return _sized(FileSource.open(file, name), size)
        name = name or Path(file).name
    elif not hasattr(file, "read"):
        raise TypeError(
            f"a {type(file).__name__} cannot be uploaded: give a path, a binary stream, bytes, or"
            " an asynchronous iterator of bytes"
        )
    else:
        name = name or _name_of(file)
        if _is_plain_file(file):
            return _sized(FileSource.rest_of(file, name), size)
    meter.enter(Phase.SPOOLING)
    return await spool(
        _opener(file), name=name, size=size, on_count=lambda count: meter.spooled(count, size or 0)
    )


def _name_of(stream: BinaryIO) -> str:
    """Return the name of the file that a stream reads, as `open` keeps it."""
    raw = stream.raw if isinstance(stream, io.BufferedReader) else stream
    # What is unpacked on the way is not the file; one opened by its descriptor has that as a name.
    path = raw.name if isinstance(raw, io.FileIO) else None
    return Path(path).name if isinstance(path, (str, os.PathLike)) else "stream"


def _sized(source: FileSource, size: int | None) -> FileSource:
    if size is not None and size != source.size_bytes:
        source.close()
        raise SizeMismatch(size, source.size_bytes)
    return source


def _opener(file: str | os.PathLike[str] | BinaryIO) -> OpenStream:
    if isinstance(file, (str, os.PathLike)):
        # Unbuffered: a thread blocked in a buffered read delays the exit of the interpreter.
        return lambda: open(file, "rb", buffering=0)
    return lambda: contextlib.nullcontext(file)


def _is_stream(path: str | os.PathLike[str]) -> bool:
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode):
            return not found.st_size and _has_bytes(path)
    except OSError:
        # Opening it will report why.
        return False
    return not stat.S_ISDIR(found.st_mode)


def _has_bytes(path: str | os.PathLike[str]) -> bool:
    """Return whether a file of size 0 has content all the same, like those in /proc."""
    with open(path, "rb", buffering=0) as file:
        return bool(file.read(1))


def _is_plain_file(stream: BinaryIO) -> bool:
    """Return whether the stream reads its descriptor as it is: a GzipFile does not."""
    raw = stream.raw if isinstance(stream, io.BufferedReader) else stream
    return isinstance(raw, io.FileIO) and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
