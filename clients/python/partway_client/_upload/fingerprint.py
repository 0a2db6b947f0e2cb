"""Computes a file's fingerprint, which is the same on every machine.

ListUploads finds an Upload by its fingerprint, so that another process or machine can resume it.
It is made of the file's size, samples of its content, and the options of the upload; not of path,
modification time, or server. It is a hint, never a proof: two large files that differ only between
the samples share a fingerprint. So the parts of an Upload found by it are compared with the file.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator

from partway_client._source.file_source import FileSource
from partway_client.errors import FileUnreadable

WHOLE_BYTES = 16 * 1024 * 1024
"""Up to this size the whole file is read, as it is for the checksum in Initialize."""

_SAMPLES = 48
_SAMPLE_BYTES = 64 * 1024


async def content_of(source: FileSource) -> str:
    """Return the start of this file's fingerprint. Raises FileUnreadable, FileChanged."""
    try:
        return f"partway1:{await asyncio.to_thread(_digest, source)}:"
    except OSError as exc:
        raise FileUnreadable(f"cannot read {source.name}: {exc.strerror}") from None


async def content_at(path: str | os.PathLike[str]) -> str:
    """Return the start of the fingerprint of the file at a path. Raises as `content_of` does."""
    with contextlib.closing(FileSource.open(path)) as source:
        return await content_of(source)


def options_of(name: str, *options: object) -> str:
    """Return the end of a fingerprint: a hash of the file's name and JSON-serializable options."""
    # macOS normalizes names differently.
    facts = (unicodedata.normalize("NFC", name), *options)
    packed = json.dumps(facts, sort_keys=True, ensure_ascii=True).encode("ascii")
    return hashlib.sha256(packed).hexdigest()[:32]


def samples(size_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the (offset, size) samples to read: the first bytes, the last, and some between."""
    if size_bytes <= WHOLE_BYTES:
        if size_bytes:
            yield 0, size_bytes
        return
    last = size_bytes - _SAMPLE_BYTES
    for n in range(_SAMPLES):
        yield last * n // (_SAMPLES - 1), _SAMPLE_BYTES


def _digest(source: FileSource) -> str:
    digest = hashlib.sha256(f"{source.size_bytes}\n".encode("ascii"))
    for start, size in samples(source.size_bytes):
        at, end = start, start + size
        while at < end:
            piece = source.read(at, min(_SAMPLE_BYTES, end - at))
            digest.update(piece)
            at += len(piece)
    return digest.hexdigest()
