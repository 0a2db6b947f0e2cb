"""The bytes of a part on their way through the service, verified as they pass.

An error must be found before storage has the last byte, or it would store the part. So the stream
runs one chunk behind: a chunk is forwarded when the next one has arrived and, for the last one,
when the caller has ended the stream and the checksum matches.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

import anycrc

from partway_server.domain.errors import PartChanged
from partway_server.domain.upload import Checksum, Grant
from partway_server.workflow.part_checks import refusal


class Digest(Protocol):
    """A checksum that is computed piece by piece."""

    def update(self, piece: bytes, /) -> object: ...

    def digest(self) -> bytes:
        """Return the checksum as the contract has it: big-endian bytes."""
        ...


class _Crc:
    def __init__(self, name: str, size_bytes: int) -> None:
        self._model = anycrc.Model(name)
        self._size_bytes = size_bytes
        self._value: int = self._model.calc(b"")

    def update(self, piece: bytes, /) -> None:
        self._value = self._model.calc(piece, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size_bytes, "big")


_DIGESTS: Mapping[Checksum, Callable[[], Digest]] = {
    Checksum.CRC64NVME: lambda: _Crc("CRC64-NVME", 8),
    Checksum.CRC32C: lambda: _Crc("CRC32C", 4),
    Checksum.SHA256: hashlib.sha256,
    Checksum.MD5: lambda: hashlib.md5(usedforsecurity=False),
}


async def checked(
    chunks: AsyncIterator[bytes],
    *,
    grant: Grant,
    number: int,
    checksum: bytes,
    passed: Callable[[int], None],
) -> AsyncIterator[bytes]:
    """Yield `chunks`, none of them empty, if they are part `number` of the upload.

    The last one is yielded only when all are verified. `passed` is called with the size of each
    that was taken. Holds two chunks at most. Raises InvalidRequest, PartChanged.
    """
    size = left = grant.plan.size(number)
    digest = _DIGESTS[grant.checksum]() if grant.checksum is not Checksum.NONE else None
    held = b""
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise refusal("chunk", f"part {number} has {size} bytes, and more were sent")
        if digest is not None:
            digest.update(chunk)
        if held:
            yield held
            passed(len(held))
        held = chunk
    if left:
        raise refusal("chunk", f"part {number} has {size} bytes, and {size - left} were sent")
    if digest is not None and digest.digest() != checksum:
        raise PartChanged(grant.sid, number)
    if held:
        yield held
        passed(len(held))
