"""What callers say of parts, compared with the plan and with storage. No I/O."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgpack

from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import FieldViolation, InvalidRequest, PartsMismatch, PartsMissing
from partway_server.domain.grant import Grant
from partway_server.domain.part_plan import Plan, runs
from partway_server.domain.upload import Manifest
from partway_server.storage.base import StoredPart


@dataclass(frozen=True, slots=True)
class ExpectedPart:
    """What a caller says of a part it sent; what is zero or empty is not compared."""

    number: int
    size_bytes: int = 0
    etag: str = ""
    checksum: bytes = b""

    def differs(self, stored: StoredPart) -> str:
        """Return in words what differs from storage, "" if nothing."""
        if self.etag and self.etag != stored.etag:
            return "entity tag differs"
        if self.size_bytes and self.size_bytes != stored.size_bytes:
            return "size differs"
        if self.checksum and stored.checksum and self.checksum != stored.checksum:
            return "checksum differs"
        return ""


def as_planned(plan: Plan, stored: Sequence[StoredPart]) -> list[StoredPart]:
    """Return the stored parts whose number and size match the plan."""
    count = plan.part_count
    return [p for p in stored if p.number <= count and p.size_bytes == plan.size(p.number)]


def check_parts(
    sid: str, plan: Plan, stored: Sequence[StoredPart], expected: Sequence[ExpectedPart]
) -> None:
    """Compare the stored parts with the plan, and with what the caller says of them.

    Raises PartsMissing or PartsMismatch.
    """
    found = {part.number: part for part in stored}
    if missing := runs(n for n in plan.numbers() if n not in found):
        raise PartsMissing(sid, missing)
    wrong = {
        part.number: f"{part.size_bytes} bytes in storage, {plan.size(part.number)} planned"
        if part.number <= plan.part_count
        else "not in the plan"
        for part in set(stored).difference(as_planned(plan, stored))
    }
    for part in expected:
        if difference := part.differs(found[part.number]):
            wrong.setdefault(part.number, difference)
    if wrong:
        raise PartsMismatch(sid, sorted(wrong.items()))


def refusal(field: str, description: str) -> InvalidRequest:
    """Return the error for one invalid field."""
    return InvalidRequest([FieldViolation(field, description)])


def part_outside(number: int, plan: Plan, within: tuple[int, int] | None) -> str:
    """Return in words why a caller may not name this part, "" if it may.

    `within` are the first and the last part that the caller's token is for.
    """
    if not 1 <= number <= plan.part_count:
        return f"the upload has parts 1 to {plan.part_count}"
    if within and not within[0] <= number <= within[1]:
        return f"the upload token is for parts {within[0]} to {within[1]}"
    return ""


def check_ranges(
    ranges: Iterable[tuple[int, int]], plan: Plan, within: tuple[int, int] | None = None
) -> None:
    """Refuse ranges outside the plan, or the caller's own limit. Raises InvalidRequest."""
    wrong = [
        FieldViolation(f"ranges[{i}]", outside)
        for i, (first, last) in enumerate(ranges)
        if (outside := part_outside(first, plan, within) or part_outside(last, plan, within))
    ]
    if wrong:
        raise InvalidRequest(wrong[:50])


def check_checksums(
    algorithm: Checksum, numbers: Iterable[int], checksums: Mapping[int, bytes]
) -> None:
    """Refuse checksums that are not exactly those of the selected parts. Raises InvalidRequest."""
    if algorithm is Checksum.NONE:
        if checksums:
            raise refusal("checksums", "the upload has no checksum_algorithm")
        return
    selected = set(numbers)
    if absent := runs(sorted(selected - checksums.keys())):
        raise refusal("checksums", f"missing for parts {_words(absent)}")
    if other := runs(sorted(checksums.keys() - selected)):
        raise refusal("checksums", f"parts {_words(other)} are not selected")
    if any(len(value) != algorithm.size_bytes for value in checksums.values()):
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
    if outside := part_outside(number, plan, within):
        raise refusal("header.part_number", outside)


def check_expected(expected: Iterable[ExpectedPart], plan: Plan) -> None:
    """Refuse named parts outside the plan. Raises InvalidRequest."""
    wrong = [
        FieldViolation(f"parts[{i}].part_number", f"the upload has parts 1 to {plan.part_count}")
        for i, part in enumerate(expected)
        if part.number > plan.part_count
    ]
    if wrong:
        raise InvalidRequest(wrong[:50])


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


def contradicted(stored: StoredPart, expected: Iterable[ExpectedPart]) -> bool:
    """Return whether storage reports another checksum of the part than is expected."""
    return any(
        e.checksum and stored.checksum and e.checksum != stored.checksum
        for e in expected
        if e.number == stored.number
    )


def manifest_of(expected: Sequence[ExpectedPart], checksum: bytes = b"") -> Manifest:
    """Return what distinguishes the parts that one Complete names from those of another.

    A checksum says more of the bytes than an entity tag, which sending the part again may change;
    and a caller that comes after the end can no longer list the tags.
    """
    if not expected:
        return Manifest(checksum=checksum)
    named = sorted(
        (p.number, p.size_bytes, "" if p.checksum else p.etag, p.checksum) for p in expected
    )
    return Manifest(hashlib.sha256(msgpack.packb(named)).digest(), checksum)


def _words(found: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{first}-{last}" for first, last in found[:10])
