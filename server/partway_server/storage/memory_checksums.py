"""Compute checksums as an S3 store does, for storage in memory. Slow, without dependencies.

The parameters of the CRCs are those of https://reveng.sourceforge.io/crc-catalogue/all.htm.
"""

import hashlib
from collections.abc import Callable, Mapping

from partway_server.domain.checksum import Checksum


class Crc:
    """A reflected CRC with inverted start and end. The polynomial is in reversed bit order."""

    def __init__(self, polynomial: int, bits: int) -> None:
        self._polynomial = polynomial
        self._bits = bits
        self._table = []
        for byte in range(256):
            for _ in range(8):
                byte = self._times_x(byte)
            self._table.append(byte)

    def __call__(self, body: bytes) -> bytes:
        table, ones = self._table, (1 << self._bits) - 1
        crc = ones
        for byte in body:
            crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        return (crc ^ ones).to_bytes(self._bits // 8)

    def shifted(self, crc: int, size_bytes: int) -> int:
        """Return the contribution of `crc` to the CRC of its bytes followed by `size_bytes` more.

        That is `crc` times x to the number of bits, modulo the polynomial, by squaring.
        """
        power, left = self._times_x(1 << (self._bits - 1)), size_bytes * 8
        while left:
            if left & 1:
                crc = self._times(crc, power)
            power, left = self._times(power, power), left >> 1
        return crc

    def _times(self, one: int, other: int) -> int:
        product = 0
        for bit in reversed(range(self._bits)):
            if one >> bit & 1:
                product ^= other
            other = self._times_x(other)
        return product

    def _times_x(self, value: int) -> int:
        return (value >> 1) ^ (self._polynomial if value & 1 else 0)


CRC64NVME = Crc(0x9A6C9329AC4BC9B5, 64)

CHECKSUMS: Mapping[Checksum, Callable[[bytes], bytes]] = {
    Checksum.CRC32C: Crc(0x82F63B78, 32),
    Checksum.SHA256: lambda body: hashlib.sha256(body).digest(),
    Checksum.CRC64NVME: CRC64NVME,
    Checksum.MD5: lambda body: hashlib.md5(body).digest(),
}
