"""What callers give to be uploaded, as a Source: a file as it is, a stream kept on disk."""

import contextlib
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

from partway_client._progress_meter import Meter
from partway_client._source.file_source import Source
from partway_client._source.spool import Opener, spool
from partway_client.errors import SizeMismatch
from partway_client.models import Phase


async def source_of(
    file: str | os.PathLike[str] | BinaryIO, name: str, size: int | None, meter: Meter
) -> Source:
    """What there is to send, under `name` if it is given, with `size` bytes if that is.

    Raises FileUnreadable, SizeMismatch, SpoolFailed.
    """
    if isinstance(file, (str, os.PathLike)):
        if not _leads_to_stream(file):
            return _sized(Source.open(file, name), size)
        name = name or Path(file).name
    else:
        name = name or "stream"
        if _is_plain_file(file):
            return _sized(Source.rest_of(file, name), size)
    meter.enter(Phase.SPOOLING)
    return await spool(
        _opener(file), name=name, size=size, counted=lambda count: meter.spooled(count, size or 0)
    )


def _sized(source: Source, size: int | None) -> Source:
    if size is not None and size != source.size_bytes:
        source.close()
        raise SizeMismatch(size, source.size_bytes)
    return source


def _opener(file: str | os.PathLike[str] | BinaryIO) -> Opener:
    if isinstance(file, (str, os.PathLike)):
        # Unbuffered: a thread that waits in a buffered read holds up the end of the interpreter.
        return lambda: open(file, "rb", buffering=0)
    return lambda: contextlib.nullcontext(file)


def _leads_to_stream(path: str | os.PathLike[str]) -> bool:
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode):
            return not found.st_size and _has_bytes(path)
    except OSError:
        # Opening it says why.
        return False
    return not stat.S_ISDIR(found.st_mode)


def _has_bytes(path: str | os.PathLike[str]) -> bool:
    """Whether a file without a size has content all the same, as those below /proc."""
    with open(path, "rb", buffering=0) as file:
        return bool(file.read(1))


def _is_plain_file(stream: BinaryIO) -> bool:
    """Whether the bytes of the stream are those of its descriptor: not so for a GzipFile."""
    raw = stream.raw if isinstance(stream, io.BufferedReader) else stream
    return isinstance(raw, io.FileIO) and stat.S_ISREG(os.fstat(raw.fileno()).st_mode)
