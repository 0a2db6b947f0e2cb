"""The checksum algorithms that a part can be sent with."""

from enum import Enum, StrEnum


class Checksum(StrEnum):
    """A checksum algorithm for parts."""

    NONE = "none"
    CRC32C = "crc32c"
    SHA256 = "sha256"
    CRC64NVME = "crc64nvme"
    MD5 = "md5"

    @property
    def size_bytes(self) -> int:
        return {"none": 0, "crc32c": 4, "sha256": 32, "crc64nvme": 8, "md5": 16}[self.value]


class ChecksumChoice(Enum):
    """What a caller asks for who names no checksum algorithm."""

    DEFAULT = "what the policy says"
    BEST = "the best that storage can verify"


BEST_FIRST = (Checksum.CRC64NVME, Checksum.CRC32C, Checksum.SHA256, Checksum.MD5)
"""The order of preference for a caller who asks for the best algorithm.

Only CRC64NVME can also be verified over the whole object; the CRCs cost a client a twentieth of
what the digests do; MD5 is the fallback where storage supports nothing else.
"""
