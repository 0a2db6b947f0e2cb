"""Tests that a stream is verified by plan and checksum before its last piece goes on."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import InvalidRequest, PartChanged
from partway_server.domain.part_plan import Plan
from partway_server.workflow.verified_stream import checked

from tests.support.uploads import an_upload

CHECK = b"123456789"
"""What https://reveng.sourceforge.io/crc-catalogue/all.htm has check values of."""

CHECKS = {
    Checksum.CRC32C: bytes.fromhex("e3069283"),
    Checksum.CRC64NVME: bytes.fromhex("ae8b14860a799888"),
    Checksum.SHA256: hashlib.sha256(CHECK).digest(),
    Checksum.MD5: hashlib.md5(CHECK).digest(),
    Checksum.NONE: b"",
}


class Passage:
    """A part in transit: what was read from the caller, and what went on."""

    def __init__(self, pieces: Sequence[bytes], *, size: int, checksum: Checksum) -> None:
        self.read: list[bytes] = []
        self.went: list[bytes] = []
        self.counted = 0
        self._pieces = pieces
        opened = an_upload().grant
        self._grant = replace(opened, plan=Plan(size, max(size, 1)), checksum=checksum)

    async def run(self, checksum: bytes) -> None:
        body = checked(
            self._chunks(), grant=self._grant, number=1, checksum=checksum, passed=self._count
        )
        async for piece in body:
            # One behind: the next was read before this one went on.
            assert len(self.read) - len(self.went) <= 2
            self.went.append(piece)

    async def _chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.read.append(piece)
            yield piece

    def _count(self, size: int) -> None:
        self.counted += size


@pytest.mark.parametrize("checksum", CHECKS)
async def test_what_is_right_passes_whole(checksum: Checksum) -> None:
    passage = Passage([b"1234", b"56", b"789"], size=9, checksum=checksum)
    await passage.run(CHECKS[checksum])
    assert passage.went == [b"1234", b"56", b"789"]
    assert passage.counted == 9


@pytest.mark.parametrize("checksum", sorted(set(CHECKS) - {Checksum.NONE}))
async def test_of_what_changed_the_last_piece_never_goes_on(checksum: Checksum) -> None:
    passage = Passage([b"1234", b"5!", b"789"], size=9, checksum=checksum)
    with pytest.raises(PartChanged):
        await passage.run(CHECKS[checksum])
    assert passage.went == [b"1234", b"5!"]


@pytest.mark.parametrize("size", [0, 8, 10])
async def test_of_what_has_another_size_the_last_piece_never_goes_on(size: int) -> None:
    passage = Passage([b"1234", b"56", b"789"], size=size, checksum=Checksum.NONE)
    with pytest.raises(InvalidRequest):
        await passage.run(b"")
    assert sum(map(len, passage.went)) < min(size, 9) or not passage.went


async def test_nothing_is_a_part_of_no_bytes() -> None:
    passage = Passage([], size=0, checksum=Checksum.MD5)
    await passage.run(hashlib.md5(b"").digest())
    assert passage.went == []
    with pytest.raises(PartChanged):
        await passage.run(hashlib.md5(b"x").digest())
