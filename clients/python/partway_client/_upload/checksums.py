"""The checksums of a file's parts, computed as they are read, and combined into that of the file.

A part is read twice: once for its checksum, which must be signed into its URL, and once to be
sent. The second reading finds it in the memory of the kernel, and nothing is kept in ours.

CRC-64/NVME is what S3 combines, too:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html.
"""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import anycrc

from partway_client._source.file_source import Source
from partway_client.errors import FileChanged, FileUnreadable
from partway_client.models import Checksum, UploadInfo

_PIECE_BYTES = 2 * 1024 * 1024
"""Few, since each costs a wait for the interpreter's lock, of up to 5 ms while parts are sent."""

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
"""What S3 understands by each, as it stands in the contract: big-endian."""


def combined(checksums: Iterable[tuple[bytes, int]]) -> bytes:
    """The CRC-64/NVME of what has these (CRC-64/NVME, size in bytes) one after the other."""
    whole = 0
    for checksum, size in checksums:
        whole = _CRC64NVME.combine(whole, int.from_bytes(checksum, "big"), size)
    return whole.to_bytes(8, "big")


async def whole_checksum(source: Source) -> bytes:
    """The CRC-64/NVME of a file, which is read for it. Raises FileUnreadable, FileChanged."""
    [whole] = await _computed(source, Checksum.CRC64NVME, [(0, source.size_bytes)])
    return whole


class Sums:
    """The checksums of the parts of `upload`, which is to become of `source`.

    Each is computed when it is first asked for, and then stands: what is sent later must have it.
    """

    def __init__(self, *, source: Source, upload: UploadInfo, whole: bytes = b"") -> None:
        self._source = source
        self._upload = upload
        self._found: dict[int, bytes] = {}
        if whole and upload.part_count == 1 and self.algorithm is Checksum.CRC64NVME:
            self._found[1] = whole

    @property
    def algorithm(self) -> Checksum:
        return self._upload.checksum_algorithm

    async def of(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """By part number; empty if parts carry none. Raises FileUnreadable, FileChanged."""
        wanted = list(numbers) if self.algorithm is not Checksum.NONE else []
        new = [n for n in wanted if n not in self._found]
        self._found.update(zip(new, await self._compute(new), strict=True))
        return {n: self._found[n] for n in wanted}

    async def with_md5(self, number: int) -> tuple[bytes, str]:
        """The checksum of a part, and the hex of its MD5, from one reading of the file.

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
        """Raises FileChanged if the parts are no longer what their checksums were made of."""
        known = await self.of(numbers)
        if list(known.values()) != await self._compute(list(known)):
            raise FileChanged

    async def all(self) -> tuple[dict[int, bytes], bytes]:
        """Those of all parts, and that of the whole file, b"" if the algorithm has none.

        Parts that an earlier run sent are read for it: a file that is another by now is found out.
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
    source: Source,
    algorithm: Checksum,
    slices: Sequence[tuple[int, int]],
    also: Callable[[bytes], object] = lambda piece: None,
) -> list[bytes]:
    """The checksums of (offset, size) slices, in a thread: a disk may keep us waiting.

    `also` is called there with each piece that is read.
    """
    stopped = threading.Event()

    def read(at: int, size: int) -> Iterator[bytes]:
        for piece in _pieces(source, at, size, stopped):
            also(piece)
            yield piece

    def compute() -> list[bytes]:
        return [COMPUTE[algorithm](read(at, size)) for at, size in slices]

    try:
        return await asyncio.to_thread(compute)
    except OSError as exc:
        raise FileUnreadable(f"cannot read {source.name}: {exc.strerror}") from None
    finally:
        # Nobody waits for what is left of it; the end of the loop would.
        stopped.set()


def _pieces(source: Source, at: int, size: int, stopped: threading.Event) -> Iterator[bytes]:
    end = at + size
    while at < end and not stopped.is_set():
        piece = source.read(at, min(_PIECE_BYTES, end - at))
        yield piece
        at += len(piece)
