"""Validate and convert requests that name up to ten thousand parts, in steps.

As in `validation`, each request has one check, which raises InvalidRequest with all violations that
it finds, at most 50.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.errors import FieldViolation, InvalidRequest
from partway_server.domain.part_plan import MAX_PARTS
from partway_server.domain.policy_validation import MAX_URL_SECONDS, MIN_URL_SECONDS
from partway_server.domain.steps import Steps, blocks
from partway_server.rpc.error_mapping import status_of
from partway_server.rpc.validation import (
    MAX_VIOLATIONS,
    upload_id_violations,
    whole_checksum_violations,
)
from partway_server.workflow.part_checks import ExpectedPart
from partway_server.workflow.presign import Selection

_MAX_RANGES = 1000

_FAULT_COST = 40
"""What it costs to describe what is wrong with a part, in the unit of `Steps`."""

_Findings = Iterator[FieldViolation | int]
"""What is wrong and, in between, what was done to find it, in the unit of `Steps`."""


class _Numbered(Protocol):
    part_number: int


def check_complete(request: pb.CompleteRequest) -> Steps[None]:
    """Check a CompleteRequest."""
    return _reject_if(_complete(request))


def check_presign(
    request: pb.PresignPartsRequest | pb.BatchPresignPartsRequest, max_parts: int
) -> Steps[None]:
    """Check a PresignPartsRequest or a BatchPresignPartsRequest."""
    return _reject_if(_presign(request, max_parts))


def _reject_if(findings: _Findings) -> Steps[None]:
    """Raise InvalidRequest with the first violations, if there are any."""
    found: list[FieldViolation] = []
    for finding in findings:
        if isinstance(finding, int):
            yield finding
            continue
        found.append(finding)
        if len(found) == MAX_VIOLATIONS:
            break
    if found:
        raise InvalidRequest(found)


def _complete(request: pb.CompleteRequest) -> _Findings:
    yield from upload_id_violations(request.upload_id)
    if len(request.parts) > MAX_PARTS:
        yield FieldViolation("parts", f"must have at most {MAX_PARTS:,} entries")
    yield from _numbers("parts", request.parts)
    for begin, block in blocks(request.parts):
        for i, part in enumerate(block, begin):
            if part.size_bytes < 0:
                yield FieldViolation(f"parts[{i}].size_bytes", "must not be negative")
            if len(part.etag) > 128:
                yield FieldViolation(f"parts[{i}].etag", "must have at most 128 characters")
            if len(part.checksum) not in (0, 4, 8, 16, 32):
                yield FieldViolation(f"parts[{i}].checksum", "must have 0, 4, 8, 16 or 32 bytes")
        yield len(block)
    yield from whole_checksum_violations(request.checksum)


def _presign(
    request: pb.PresignPartsRequest | pb.BatchPresignPartsRequest, max_parts: int
) -> _Findings:
    yield from upload_id_violations(request.upload_id)
    if len(request.ranges) > _MAX_RANGES:
        yield FieldViolation("ranges", f"must have at most {_MAX_RANGES:,} entries")
    total = 0
    for begin, runs in blocks(request.ranges):
        for i, run in enumerate(runs, begin):
            if not 1 <= run.first <= run.last <= MAX_PARTS:
                yield FieldViolation(
                    f"ranges[{i}]", f"must satisfy 1 <= first <= last <= {MAX_PARTS:,}"
                )
            total += run.last - run.first + 1
        yield len(runs)
    if total > max_parts:
        yield FieldViolation("ranges", f"must name at most {max_parts:,} parts in total")
    if len(request.checksums) > max_parts:
        yield FieldViolation("checksums", f"must have at most {max_parts:,} entries")
    yield from _numbers("checksums", request.checksums)
    if request.HasField("url_lifetime"):
        seconds = request.url_lifetime.seconds
        if not MIN_URL_SECONDS <= seconds <= MAX_URL_SECONDS:
            yield FieldViolation(
                "url_lifetime", f"must be {MIN_URL_SECONDS} to {MAX_URL_SECONDS} seconds"
            )


def _numbers(field: str, parts: Sequence[_Numbered]) -> _Findings:
    seen: set[int] = set()
    for begin, block in blocks(parts):
        for i, number in enumerate([part.part_number for part in block], begin):
            if not 1 <= number <= MAX_PARTS:
                yield FieldViolation(f"{field}[{i}].part_number", f"must be 1 to {MAX_PARTS:,}")
            elif number in seen:
                yield FieldViolation(f"{field}[{i}].part_number", "must not repeat an earlier one")
            seen.add(number)
        yield len(block)


def selection(
    request: pb.PresignPartsRequest | pb.BatchPresignPartsRequest,
    limit: int | None,
    within: tuple[int, int] | None = None,
) -> Steps[Selection]:
    """Return the parts that a request to presign selects, of those that its caller may."""
    lifetime = request.url_lifetime if request.HasField("url_lifetime") else None
    checksums: dict[int, bytes] = {}
    for _, block in blocks(request.checksums):
        checksums.update({c.part_number: c.checksum for c in block})
        yield len(block)
    return Selection(
        ranges=[(run.first, run.last) for run in request.ranges],
        checksums=checksums,
        lifetime=timedelta(seconds=lifetime.seconds) if lifetime else None,
        limit=limit,
        within=within,
    )


def expected(request: pb.CompleteRequest | pb.ReportPartsRequest) -> Steps[list[ExpectedPart]]:
    """Return the parts that a request says were sent."""
    found: list[ExpectedPart] = []
    for _, block in blocks(request.parts):
        found += [
            ExpectedPart(p.part_number, p.size_bytes, _bare(p.etag), p.checksum) for p in block
        ]
        yield 2 * len(block)
    return found


def part_results(
    parts: Sequence[upload_pb2.Part], faults: Sequence[InvalidRequest | None]
) -> Steps[list[pb.PartResult]]:
    """Return a result for each part; one that was counted has no status, which means OK."""
    results: list[pb.PartResult] = []
    for part, fault in zip(parts, faults, strict=True):
        status = status_of(fault) if fault else None
        results.append(pb.PartResult(part_number=part.part_number, status=status))
        yield _FAULT_COST if fault else 1
    return results


def _bare(etag: str) -> str:
    """Return an entity tag as it is compared: bare, in lower case, and weak ones as strong."""
    return etag.removeprefix("W/").strip('"').lower()
