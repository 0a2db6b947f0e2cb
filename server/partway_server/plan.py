"""How an Upload is cut into parts: arithmetic only.

All parts but the last are equal. Cloudflare R2 requires it of every upload
(https://developers.cloudflare.com/r2/objects/multipart-objects/), so it holds for all backends,
and it lets both sides know each part's offset and size from two numbers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MIB = 1024 * 1024
GIB = 1024 * MIB

MAX_PARTS = 10_000
"""The most parts of one upload (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""


@dataclass(frozen=True, slots=True)
class PartLimits:
    """What a backend takes, in bytes. The defaults are those of AWS S3, as of its `qfacts` page."""

    min_part_bytes: int = 5 * MIB
    max_part_bytes: int = 5 * GIB
    max_object_bytes: int = MAX_PARTS * 5 * GIB


@dataclass(frozen=True, slots=True)
class Plan:
    """A file of `size_bytes`, cut into equal parts of `part_size_bytes` but for the last.

    An empty file is one part of no bytes.
    """

    size_bytes: int
    part_size_bytes: int

    @property
    def part_count(self) -> int:
        return max(1, -(-self.size_bytes // self.part_size_bytes))

    @property
    def last_part_size_bytes(self) -> int:
        return self.size_bytes - (self.part_count - 1) * self.part_size_bytes

    def offset(self, part_number: int) -> int:
        """Where the part begins, in bytes. Parts are numbered from 1."""
        return (part_number - 1) * self.part_size_bytes

    def size(self, part_number: int) -> int:
        """How long the part is, in bytes."""
        if part_number < self.part_count:
            return self.part_size_bytes
        return self.last_part_size_bytes

    def numbers(self) -> range:
        return range(1, self.part_count + 1)


def make_plan(size_bytes: int, wanted_bytes: int, limits: PartLimits) -> Plan:
    """Cut `size_bytes` into parts near `wanted_bytes`, as `limits` and 10,000 parts allow.

    The part size is rounded up to a whole MiB. Raises ValueError if no plan can hold the file.
    """
    if size_bytes > limits.max_object_bytes:
        raise ValueError(f"storage takes at most {limits.max_object_bytes} bytes in one object")
    needed = max(wanted_bytes, limits.min_part_bytes, -(-size_bytes // MAX_PARTS), 1)
    rounded = -(-needed // MIB) * MIB
    return Plan(size_bytes, min(rounded, limits.max_part_bytes))


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as (first, last) runs: 1, 2, 3, 7 is (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def unroll(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    """The numbers of (first, last) runs, in the order given."""
    for first, last in ranges:
        yield from range(first, last + 1)
