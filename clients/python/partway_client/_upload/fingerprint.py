"""What names a file, and what is asked of it, the same on every machine.

A fingerprint is found by ListUploads, so that an upload goes on from another process or another
machine. It is made of the size, of samples of the content, and of what is asked for; not of path,
modification time, or server. It is a hint, never a proof: two large files that differ only between
the samples have the same one. So what is found by it is held against the file, part by part.
"""

import asyncio
import hashlib
import json
import unicodedata
from collections.abc import Iterator

from partway_client._source.file_source import Source
from partway_client.errors import FileUnreadable

WHOLE_BYTES = 16 * 1024 * 1024
"""Up to here all of the file is read for it, as it is for the checksum that Initialize is told."""

_SAMPLES = 48
_SAMPLE_BYTES = 64 * 1024


async def content_of(source: Source) -> str:
    """What a fingerprint of this file begins with. Raises FileUnreadable, FileChanged."""
    try:
        return f"partway1:{await asyncio.to_thread(_digest, source)}:"
    except OSError as exc:
        raise FileUnreadable(f"cannot read {source.name}: {exc.strerror}") from None


def asked(name: str, *wish: object) -> str:
    """How a fingerprint ends: the file's name and what is asked for, which JSON can hold."""
    # A name has one form on macOS and another elsewhere.
    facts = (unicodedata.normalize("NFC", name), *wish)
    packed = json.dumps(facts, sort_keys=True, ensure_ascii=True).encode("ascii")
    return hashlib.sha256(packed).hexdigest()[:32]


def samples(size_bytes: int) -> Iterator[tuple[int, int]]:
    """(offset, size) of what is read of a file: the first bytes, the last, and some between."""
    if size_bytes <= WHOLE_BYTES:
        if size_bytes:
            yield 0, size_bytes
        return
    last = size_bytes - _SAMPLE_BYTES
    for n in range(_SAMPLES):
        yield last * n // (_SAMPLES - 1), _SAMPLE_BYTES


def _digest(source: Source) -> str:
    digest = hashlib.sha256(f"{source.size_bytes}\n".encode("ascii"))
    for start, size in samples(source.size_bytes):
        at, end = start, start + size
        while at < end:
            piece = source.read(at, min(_SAMPLE_BYTES, end - at))
            digest.update(piece)
            at += len(piece)
    return digest.hexdigest()
