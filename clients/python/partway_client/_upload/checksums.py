"""Computes the checksums of a file's parts, and combines them into that of the whole file.

A part is read twice: once for its checksum, which must be signed into its URL, and once to be
sent. The second read finds it in the kernel's page cache; nothing is kept in our own memory.

S3 combines CRC-64/NVME in the same way:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html.
"""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import anycrc

from partway_client._source.file_source import FileSource
from partway_client.errors import FileChanged, FileUnreadable
from partway_client.models import Checksum, UploadInfo

_PIECE_BYTES = 2 * 1024 * 1024
"""Large, since each piece costs a wait of up to 5 ms for the GIL while parts are sent."""

Compute = Callable[[Iterable[bytes]], bytes]

_CRC64NVME = anycrc.Model("CRC64-NVME")


def _crc(model: "anycrc.CRC", size: int) -> Compute:
    def compute(pieces: Iterable[bytes]) -> bytes:
        value: int = model.calc(b"")
        for piece in pieces:
            value = model.calc(piece, value)
        return value.to_bytes(size, "big")

    return compute


def _digest(name: str) -> Compute:
    def compute(pieces: Iterable[bytes]) -> bytes:
        digest = hashlib.new(name, usedforsecurity=False)
        for piece in pieces:
            digest.update(piece)
        return digest.digest()

    return compute


def _nothing(pieces: Iterable[bytes]) -> bytes:
    for _ in pieces:
        pass
    return b""


COMPUTE: Mapping[Checksum, Compute] = {
    Checksum.NONE: _nothing,
    Checksum.CRC64NVME: _crc(_CRC64NVME, 8),
    Checksum.CRC32C: _crc(anycrc.Model("CRC32C"), 4),
    Checksum.SHA256: _digest("sha256"),
    Checksum.MD5: _digest("md5"),
}
"""Each as S3 defines it and as the proto says: big-endian."""


def combined(checksums: Iterable[tuple[bytes, int]]) -> bytes:
    """Return the CRC-64/NVME of the concatenation of parts with these (checksum, size) pairs."""
    whole = 0
    for checksum, size in checksums:
        whole = _CRC64NVME.combine(whole, int.from_bytes(checksum, "big"), size)
    return whole.to_bytes(8, "big")


async def whole_checksum(source: FileSource) -> bytes:
    """Read the file and return its CRC-64/NVME. Raises FileUnreadable, FileChanged."""
    [whole] = await _computed(source, Checksum.CRC64NVME, [(0, source.size_bytes)])
    return whole


class PartChecksums:
    """The checksums of the parts of `source` in `upload`.

    Each is computed when it is first asked for and then fixed: what is sent later must match it.
    """

    def __init__(self, *, source: FileSource, upload: UploadInfo, whole: bytes = b"") -> None:
        self._source = source
        self._upload = upload
        self._found: dict[int, bytes] = {}
        if whole and upload.part_count == 1 and self.algorithm is Checksum.CRC64NVME:
            self._found[1] = whole

    @property
    def algorithm(self) -> Checksum:
        """The algorithm of the parts' checksums."""
        return self._upload.checksum_algorithm

    async def of(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """Return checksums by part number; empty if parts carry none.

        Raises FileUnreadable, FileChanged.
        """
        needed = list(numbers) if self.algorithm is not Checksum.NONE else []
        new = [n for n in needed if n not in self._found]
        self._found.update(zip(new, await self._compute(new), strict=True))
        return {n: self._found[n] for n in needed}

    async def with_md5(self, number: int) -> tuple[bytes, str]:
        """Return the checksum of a part and its MD5 in hex, from one read of the file.

        Raises FileUnreadable, FileChanged.
        """
        upload = self._upload
        md5 = hashlib.md5(usedforsecurity=False)
        part = (upload.part_offset(number), upload.part_size(number))
        [checksum] = await _computed(self._source, self.algorithm, [part], md5.update)
        if self.algorithm is not Checksum.NONE:
            self._found[number] = checksum
        return checksum, md5.hexdigest()

    async def check(self, numbers: Iterable[int]) -> None:
        """Raise FileChanged if the parts no longer match their checksums."""
        known = await self.of(numbers)
        if list(known.values()) != await self._compute(list(known)):
            raise FileChanged

    async def all(self) -> tuple[dict[int, bytes], bytes]:
        """Return those of all parts, and that of the whole file, b"" if it cannot be combined.

        Also reads the parts that an earlier run sent, which detects a file that changed since.
        """
        upload = self._upload
        found = await self.of(range(1, upload.part_count + 1))
        if self.algorithm is not Checksum.CRC64NVME:
            return found, b""
        return found, combined((checksum, upload.part_size(n)) for n, checksum in found.items())

    async def _compute(self, numbers: Sequence[int]) -> list[bytes]:
        upload = self._upload
        slices = [(upload.part_offset(n), upload.part_size(n)) for n in numbers]
        return await _computed(self._source, self.algorithm, slices) if slices else []


async def _computed(
    source: FileSource,
    algorithm: Checksum,
    slices: Sequence[tuple[int, int]],
    on_piece: Callable[[bytes], object] = lambda piece: None,
) -> list[bytes]:
    """Compute the checksums of (offset, size) slices in a thread, since a disk may be slow.

    `on_piece` is called in that thread with each piece.
    """
    stopped = threading.Event()

    def read(at: int, size: int) -> Iterator[bytes]:
        for piece in _pieces(source, at, size, stopped):
            on_piece(piece)
            yield piece

    def compute() -> list[bytes]:
        return [COMPUTE[algorithm](read(at, size)) for at, size in slices]

    try:
        return await asyncio.to_thread(compute)
    except OSError as exc:
        raise FileUnreadable(f"cannot read {source.name}: {exc.strerror}") from None
    finally:
        # If cancelled, no one needs the rest, but closing the loop would wait for the thread.
        stopped.set()


def _pieces(source: FileSource, at: int, size: int, stopped: threading.Event) -> Iterator[bytes]:
    end = at + size
    while at < end and not stopped.is_set():
        piece = source.read(at, min(_PIECE_BYTES, end - at))
        yield piece
        at += len(piece)
