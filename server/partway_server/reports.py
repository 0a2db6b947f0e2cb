"""What callers report of the parts they sent: held against the plan, and told as progress. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from partway_server.errors import InvalidRequest, Violation
from partway_server.parts import ExpectedPart
from partway_server.plan import Plan
from partway_server.uploads import Checksum, Grant, Reported, State, Upload

MAX_MISSING_RUNS = 1000
MAX_ETAG_CHARS = 128

_GAP = re.compile("0+")


@dataclass(frozen=True, slots=True)
class Progress:
    """How much there is: parts and bytes as planned, and the missing (first, last) runs."""

    parts_stored: int
    bytes_stored: int
    missing: Sequence[tuple[int, int]]


def judge(parts: Sequence[ExpectedPart], grant: Grant) -> list[InvalidRequest | None]:
    """For each part, what is wrong with it, or None if it is as planned."""
    violations = (list(_violations(f"parts[{i}]", p, grant)) for i, p in enumerate(parts))
    return [InvalidRequest(found) if found else None for found in violations]


def _violations(field: str, part: ExpectedPart, grant: Grant) -> Iterator[Violation]:
    plan, algorithm = grant.plan, grant.checksum
    if not 1 <= part.number <= plan.part_count:
        text = f"the upload has the parts 1 to {plan.part_count}"
        yield Violation(f"{field}.part_number", text)
    elif part.size_bytes != plan.size(part.number):
        yield Violation(f"{field}.size_bytes", f"{plan.size(part.number)} bytes are planned")
    if len(part.etag) > MAX_ETAG_CHARS:
        yield Violation(f"{field}.etag", f"at most {MAX_ETAG_CHARS} characters")
    if part.checksum and algorithm is Checksum.NONE:
        yield Violation(f"{field}.checksum", "the upload has no checksum_algorithm")
    elif len(part.checksum) not in (0, algorithm.size_bytes):
        text = f"{algorithm} is {algorithm.size_bytes} bytes long"
        yield Violation(f"{field}.checksum", text)


def reported_progress(upload: Upload) -> Progress | None:
    """What callers reported of an Upload; None of one that is over, as callers are told."""
    if upload.told_state in (State.COMPLETED, State.ABORTED):
        return None
    return _progress(upload.reported, upload.grant.plan)


def _progress(reported: Reported, plan: Plan) -> Progress:
    count = plan.part_count
    bits = int.from_bytes(reported.parts, "little")
    # One pass over a text of digits: ten times faster than part by part.
    digits = f"{bits:0{count}b}"[::-1]
    gaps = islice(_GAP.finditer(digits), MAX_MISSING_RUNS)
    missing = [(gap.start() + 1, gap.end()) for gap in gaps]
    return Progress(bits.bit_count(), reported.size_bytes, missing)
