"""Divide an upload into parts. Arithmetic only.

All parts that callers send have the same size, except the last. Cloudflare R2 requires it
(https://developers.cloudflare.com/r2/objects/multipart-objects/), so it applies to all backends,
and it lets both sides compute each part's offset and size from two numbers. The parts of a composed
upload follow its sources instead, because a copy cannot read from two of them.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, repeat
from typing import NamedTuple

from partway_server.domain.errors import SourcesNotJoinable

MIB = 1024 * 1024
GIB = 1024 * MIB

MAX_PARTS = 10_000
"""The maximum per upload (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

_GAP = re.compile(rb"\x00+")

COPY_BYTES = 256 * MIB
"""The maximum of one copy, where 10,000 parts allow: it ends in seconds, so progress is visible."""


@dataclass(frozen=True, slots=True)
class PartLimits:
    """A backend's size limits, in bytes. The defaults are those of AWS S3 (its `qfacts` page)."""

    min_part_bytes: int = 5 * MIB
    max_part_bytes: int = 5 * GIB
    max_object_bytes: int = MAX_PARTS * 5 * GIB


class Slice(NamedTuple):
    """The origin of a part of a composed upload: the index of its source, and its start there.

    `offset` is where the part begins in the whole. Positions and sizes are in bytes.
    """

    source: int
    begin: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The division of `size_bytes` into parts of `part_size_bytes`; the last may be smaller.

    An empty file is one empty part. `cuts` are the sizes of the sources of a composed upload. Each
    source then has its own parts, as few as possible and equal except its last, and
    `part_size_bytes` is the largest. An empty source has no parts.
    """

    size_bytes: int
    part_size_bytes: int
    cuts: tuple[int, ...] = ()

    @property
    def part_count(self) -> int:
        if self.cuts:
            return sum(_pieces(cut, self.part_size_bytes) for cut in self.cuts)
        return max(1, -(-self.size_bytes // self.part_size_bytes))

    @property
    def last_part_size_bytes(self) -> int:
        if self.cuts:
            return self.slice(self.part_count).size
        return self.size_bytes - (self.part_count - 1) * self.part_size_bytes

    def offset(self, part_number: int) -> int:
        """Return the part's offset in bytes. Parts are numbered from 1."""
        if self.cuts:
            return self.slice(part_number).offset
        return (part_number - 1) * self.part_size_bytes

    def size(self, part_number: int) -> int:
        """Return the part's size in bytes."""
        if self.cuts:
            return self.slice(part_number).size
        if part_number < self.part_count:
            return self.part_size_bytes
        return self.last_part_size_bytes

    def numbers(self) -> range:
        return range(1, self.part_count + 1)

    def sizes(self) -> list[int]:
        """Return the sizes of all parts in bytes, in order."""
        if self.cuts:
            return [size for cut in self.cuts for size in _sizes(cut, self.part_size_bytes)]
        return [*repeat(self.part_size_bytes, self.part_count - 1), self.last_part_size_bytes]

    def sources_of(self, numbers: Iterable[int]) -> list[int]:
        """Return the indices of the sources of these parts of a composed upload, in order."""
        wanted = sorted(numbers)
        found, last = [], 0
        for source, cut in enumerate(self.cuts):
            first, last = last + 1, last + _pieces(cut, self.part_size_bytes)
            at = bisect_left(wanted, first)
            if at < len(wanted) and wanted[at] <= last:
                found.append(source)
        return found

    def slice(self, part_number: int) -> Slice:
        """Return the origin of a part of a composed upload. Raises ValueError if out of range."""
        before, start = 1, 0
        for source, cut in enumerate(self.cuts):
            count = _pieces(cut, self.part_size_bytes)
            if part_number < before + count:
                piece = -(-cut // count)
                begin = (part_number - before) * piece
                return Slice(source, begin, start + begin, min(piece, cut - begin))
            before, start = before + count, start + cut
        raise ValueError(f"the plan has no part {part_number}")


def _pieces(cut: int, most: int) -> int:
    return -(-cut // most)


def _sizes(cut: int, most: int) -> list[int]:
    """Return the sizes of the parts of one source: equal, except the last."""
    count = _pieces(cut, most)
    if not count:
        return []
    piece = -(-cut // count)
    return [*repeat(piece, count - 1), cut - (count - 1) * piece]


def make_plan(size_bytes: int, wanted_bytes: int, limits: PartLimits) -> Plan:
    """Divide `size_bytes` into parts of about `wanted_bytes`, within `limits` and 10,000 parts.

    The part size is rounded up to a whole MiB. Raises ValueError if the file is too large.
    """
    if size_bytes > limits.max_object_bytes:
        raise ValueError(f"storage allows at most {limits.max_object_bytes} bytes in one object")
    needed = max(wanted_bytes, limits.min_part_bytes, -(-size_bytes // MAX_PARTS), 1)
    rounded = -(-needed // MIB) * MIB
    return Plan(size_bytes, min(rounded, limits.max_part_bytes))


def make_composed_plan(
    cuts: Sequence[int],
    limits: PartLimits,
    *,
    part_minimum: bool = True,
    equal_parts: bool = False,
    copy_bytes: int = COPY_BYTES,
) -> Plan:
    """Divide sources of these sizes into parts of at most `copy_bytes`, or more if 10,000 need it.

    `part_minimum` and `equal_parts` are what storage requires of all parts except the last, as in
    Capabilities. Raises SourcesNotJoinable, which names the first source that prevents it.
    """
    size = sum(cuts)
    if not size:
        raise SourcesNotJoinable(0, "all sources are empty")
    if size > limits.max_object_bytes:
        problem = f"storage allows at most {limits.max_object_bytes} bytes in one object"
        raise SourcesNotJoinable(_passing(cuts, limits.max_object_bytes), problem)
    # Each source may end with a partial part.
    needed = -(-size // (MAX_PARTS - len(cuts)))
    most = min(max(copy_bytes, needed), limits.max_part_bytes)
    # The largest part gives the same number of pieces as `most`, so it can replace it.
    largest = max(-(-cut // _pieces(cut, most)) for cut in cuts if cut)
    plan = Plan(size, largest, tuple(cuts))
    if plan.part_count > MAX_PARTS:
        raise SourcesNotJoinable(len(cuts) - 1, f"the sources need more than {MAX_PARTS} parts")
    sizes = _distinct_sizes(plan)
    least = limits.min_part_bytes
    small = next((source for source, size in sizes[:-1] if size < least), None)
    if part_minimum and small is not None:
        problem = f"storage requires at least {least} bytes of all but the last"
        raise SourcesNotJoinable(small, problem)
    if equal_parts:
        _check_equal(sizes)
    return plan


def _distinct_sizes(plan: Plan) -> list[tuple[int, int]]:
    """Return (source, size) of the parts, in order; of a source's equal ones, only the first.

    The last part is always one of its own.
    """
    return [
        (source, size)
        for source, cut in enumerate(plan.cuts)
        for sizes in [_sizes(cut, plan.part_size_bytes)]
        for size in sizes[:1] * (len(sizes) > 1) + sizes[-1:]
    ]


def _passing(cuts: Sequence[int], most: int) -> int:
    """Return the index of the source with which the sum exceeds `most`."""
    total = 0
    for source, cut in enumerate(cuts):
        total += cut
        if total > most:
            return source
    raise ValueError("the sum does not exceed the maximum")


def _check_equal(sizes: Sequence[tuple[int, int]]) -> None:
    for at, ((_, first), (source, second)) in enumerate(pairwise(sizes), start=1):
        if second > first or (second < first and at < len(sizes) - 1):
            problem = "storage requires parts of equal size; only the last may be smaller"
            raise SourcesNotJoinable(source, problem)


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as (first, last) runs: 1, 2, 3, 7 is (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def gaps(held: Collection[int], within: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the (first, last) runs of numbers from one to the other that are not in `held`.

    One search of a text of zeros and ones: ten times faster than number by number.
    """
    first, last = within
    present = bytes(map(held.__contains__, range(first, last + 1)))
    for gap in _GAP.finditer(present):
        yield first + gap.start(), first + gap.end() - 1


def leading(ranges: Iterable[tuple[int, int]], count: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of the first `count` numbers of (first, last) runs."""
    for first, last in ranges:
        if count <= 0:
            return
        yield first, min(last, first + count - 1)
        count -= last - first + 1


def unroll(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Yield the numbers of (first, last) runs, in the order given."""
    return chain.from_iterable(range(first, last + 1) for first, last in ranges)
