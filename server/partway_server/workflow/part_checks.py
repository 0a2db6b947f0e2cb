"""What callers say of parts, compared with the plan and with storage. No I/O."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

import msgpack

from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import FieldViolation, InvalidRequest, PartsMismatch, PartsMissing
from partway_server.domain.grant import Grant
from partway_server.domain.part_plan import Plan, gaps, runs
from partway_server.domain.steps import Steps, blocks, finish
from partway_server.domain.upload import Manifest
from partway_server.storage.base import StoredPart


class ExpectedPart(NamedTuple):
    """What a caller says of a part it sent; what is zero or empty is not compared.

    A tuple, because a call may name ten thousand.
    """

    number: int
    size_bytes: int = 0
    etag: str = ""
    checksum: bytes = b""

    def differs(self, stored: StoredPart) -> str:
        """Return in words what differs from storage, "" if nothing.

        Entity tags are compared in any case: a proxy may have changed that. Where checksums of both
        sides are there they decide, since they are of the bytes.
        """
        if self.size_bytes and self.size_bytes != stored.size_bytes:
            return "size differs"
        if self.checksum and stored.checksum:
            return "" if self.checksum == stored.checksum else "checksum differs"
        if self.etag and self.etag.lower() != stored.etag.lower():
            return "entity tag differs"
        return ""


def as_planned(plan: Plan, stored: Sequence[StoredPart]) -> list[StoredPart]:
    """Return the stored parts whose number and size match the plan, if they are few."""
    return finish(planned(plan, stored))


def planned(plan: Plan, stored: Sequence[StoredPart]) -> Steps[list[StoredPart]]:
    """Return the stored parts whose number and size match the plan."""
    sizes, found = plan.sizes(), []
    for _, block in blocks(stored):
        found += [
            p for p in block if 1 <= p.number <= len(sizes) and p.size_bytes == sizes[p.number - 1]
        ]
        yield len(block)
    return found


def check_parts(
    sid: str, plan: Plan, stored: Sequence[StoredPart], expected: Sequence[ExpectedPart]
) -> Steps[None]:
    """Compare the stored parts with the plan, and with what the caller says of them.

    Raises PartsMissing or PartsMismatch.
    """
    found: dict[int, StoredPart] = {}
    for _, block in blocks(stored):
        found.update({part.number: part for part in block})
        yield len(block)
    if missing := list(gaps(found.keys(), (1, plan.part_count))):
        raise PartsMissing(sid, missing)
    wrong = yield from _unplanned(plan, stored)
    for _, named in blocks(expected):
        for part in named:
            if difference := part.differs(found[part.number]):
                wrong.setdefault(part.number, difference)
        yield len(named)
    if wrong:
        raise PartsMismatch(sid, sorted(wrong.items()))


def _unplanned(plan: Plan, stored: Sequence[StoredPart]) -> Steps[dict[int, str]]:
    """Return in words what is wrong with stored parts that do not match the plan, by number."""
    sizes, wrong = plan.sizes(), {}
    for _, block in blocks(stored):
        for number, size, *_ in block:
            if number > len(sizes):
                wrong[number] = "not in the plan"
            elif size != sizes[number - 1]:
                wrong[number] = f"{size} bytes in storage, {sizes[number - 1]} planned"
        yield len(block)
    return wrong


def refusal(field: str, description: str) -> InvalidRequest:
    """Return the error for one invalid field."""
    return InvalidRequest([FieldViolation(field, description)])


def part_outside(number: int, count: int, within: tuple[int, int] | None) -> str:
    """Return in words why a caller may not name this part of `count`, "" if it may.

    `within` are the first and the last part that the caller's token is for.
    """
    if not 1 <= number <= count:
        return f"the upload has parts 1 to {count}"
    if within and not within[0] <= number <= within[1]:
        return f"the upload token is for parts {within[0]} to {within[1]}"
    return ""


def check_ranges(
    ranges: Iterable[tuple[int, int]], plan: Plan, within: tuple[int, int] | None = None
) -> None:
    """Refuse ranges outside the plan, or the caller's own limit. Raises InvalidRequest."""
    count = plan.part_count
    wrong = [
        FieldViolation(f"ranges[{i}]", outside)
        for i, (first, last) in enumerate(ranges)
        if (outside := part_outside(first, count, within) or part_outside(last, count, within))
    ]
    if wrong:
        raise InvalidRequest(wrong[:50])


def check_checksums(
    algorithm: Checksum, numbers: Iterable[int], checksums: Mapping[int, bytes]
) -> Steps[None]:
    """Refuse checksums that are not exactly those of the selected parts. Raises InvalidRequest."""
    if algorithm is Checksum.NONE:
        if checksums:
            raise refusal("checksums", "the upload has no checksum_algorithm")
        return
    selected = set(numbers)
    yield len(selected) // 2
    if absent := runs(sorted(selected - checksums.keys())):
        raise refusal("checksums", f"missing for parts {_words(absent)}")
    if other := runs(sorted(checksums.keys() - selected)):
        raise refusal("checksums", f"parts {_words(other)} are not selected")
    yield len(selected) // 2
    if not {algorithm.size_bytes}.issuperset(map(len, checksums.values())):
        raise refusal("checksums", f"{algorithm} is {algorithm.size_bytes} bytes long")


def check_sent(plan: Plan) -> None:
    """Refuse parts from callers of a composed upload. Raises InvalidRequest."""
    if plan.cuts:
        raise refusal("upload_id", "a composed upload has no parts to send")


def check_checksum(algorithm: Checksum, checksum: bytes) -> None:
    """Refuse a value that cannot be the checksum of a part. Raises InvalidRequest."""
    if algorithm is Checksum.NONE:
        if checksum:
            raise refusal("header.checksum", "the upload has no checksum_algorithm")
    elif len(checksum) != algorithm.size_bytes:
        given = f"got {len(checksum)}" if checksum else "missing"
        wanted = f"must be the {algorithm} of the part, {algorithm.size_bytes} bytes"
        raise refusal("header.checksum", f"{wanted}; {given}")


def check_number(number: int, plan: Plan, within: tuple[int, int] | None = None) -> None:
    """Refuse a part number outside the plan, or the caller's own limit. Raises InvalidRequest."""
    if outside := part_outside(number, plan.part_count, within):
        raise refusal("header.part_number", outside)


def check_expected(expected: Sequence[ExpectedPart], plan: Plan) -> Steps[None]:
    """Refuse named parts outside the plan. Raises InvalidRequest."""
    count, wrong = plan.part_count, []
    for begin, block in blocks(expected):
        wrong += [i for i, part in enumerate(block, begin) if part.number > count]
        yield len(block)
    if wrong:
        words = f"the upload has parts 1 to {count}"
        raise InvalidRequest([FieldViolation(f"parts[{i}].part_number", words) for i in wrong[:50]])


def check_whole(checksum: bytes, grant: Grant) -> None:
    """Refuse a whole object's checksum that the upload cannot have. Raises InvalidRequest."""
    if not checksum:
        return
    if grant.checksum is not Checksum.CRC64NVME:
        raise refusal("checksum", "the upload's checksum_algorithm is not CRC64NVME")
    if grant.whole_checksum not in (b"", checksum):
        raise refusal("checksum", "differs from the checksum given to Initialize")


def with_whole(
    expected: Sequence[ExpectedPart], checksum: bytes, plan: Plan
) -> Sequence[ExpectedPart]:
    """Return what is expected, where the checksum of the whole is also that of the only part."""
    return [*expected, ExpectedPart(1, checksum=checksum)] if plan.part_count == 1 else expected


def contradicted(stored: Sequence[StoredPart], expected: Sequence[ExpectedPart]) -> Steps[bool]:
    """Return whether storage reports another checksum of a part than is expected."""
    found: dict[int, bytes] = {}
    for _, block in blocks(stored):
        found.update({part.number: part.checksum for part in block if part.checksum})
        yield len(block)
    for _, named in blocks(expected):
        if any(e.checksum and found.get(e.number, e.checksum) != e.checksum for e in named):
            return True
        yield len(named)
    return False


def without_checksums(stored: Sequence[StoredPart]) -> Steps[list[StoredPart]]:
    """Return the parts as if storage reported no checksums."""
    found: list[StoredPart] = []
    for _, block in blocks(stored):
        found += [part._replace(checksum=b"") for part in block]
        yield 2 * len(block)
    return found


def manifest_of(expected: Sequence[ExpectedPart], checksum: bytes = b"") -> Steps[Manifest]:
    """Return what distinguishes the parts that one Complete names from those of another.

    A checksum says more of the bytes than an entity tag, which sending the part again may change;
    and a caller that comes after the end can no longer list the tags.
    """
    if not expected:
        return Manifest(checksum=checksum)
    packer, named = msgpack.Packer(), sorted(expected, key=attrgetter("number"))
    # The digest of one array, packed piece by piece.
    digest = hashlib.sha256(packer.pack_array_header(len(named)))
    for _, block in blocks(named):
        digest.update(
            b"".join(
                packer.pack((number, size, "" if own else etag, own))
                for number, size, etag, own in block
            )
        )
        yield 2 * len(block)
    return Manifest(digest.digest(), checksum)


def _words(found: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{first}-{last}" for first, last in found[:10])
