"""Tests part reports from callers, compared with the plan, and the resulting progress."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import MIB, Plan, runs
from partway_server.domain.steps import finish
from partway_server.domain.upload import AbortReason, ReportedParts, State, Upload
from partway_server.workflow.part_checks import ExpectedPart
from partway_server.workflow.progress import MAX_MISSING_RUNS, Progress, judge, reported_progress

from tests.support.uploads import an_upload

PLAN = Plan(2 * 5 * MIB + 7, 5 * MIB)


def bitmap(numbers: set[int]) -> bytes:
    bits = sum(1 << (number - 1) for number in numbers)
    return bits.to_bytes(-(-bits.bit_length() // 8), "little")


def with_parts(count: int, numbers: set[int]) -> Upload:
    upload = an_upload(plan=Plan(count * 5 * MIB, 5 * MIB))
    return replace(upload, reported=ReportedParts(bitmap(numbers), len(numbers) * 5 * MIB))


@given(st.data())
def test_the_missing_are_the_runs_of_what_was_not_reported(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 300))
    numbers = data.draw(st.sets(st.integers(1, count)))
    missing = runs(n for n in range(1, count + 1) if n not in numbers)
    expected = Progress(len(numbers), len(numbers) * 5 * MIB, missing)
    assert reported_progress(with_parts(count, numbers)) == expected


def test_no_more_runs_are_told_than_the_contract_says() -> None:
    found = reported_progress(with_parts(10_000, set(range(1, 10_001, 2))))
    assert found is not None
    assert found.parts_stored == 5000
    assert found.missing == [(n, n) for n in range(2, 2 * MAX_MISSING_RUNS + 1, 2)]


def test_ten_thousand_parts_cost_well_under_a_millisecond() -> None:
    upload = with_parts(10_000, set(range(1, 10_001)) - set(range(17, 10_001, 100)))
    took = []
    for _ in range(20):
        began = time.perf_counter()
        reported_progress(upload)
        took.append(time.perf_counter() - began)
    # The best of them: how busy the machine is does not matter.
    assert min(took) < 0.0005


@pytest.mark.parametrize("state", State)
def test_nothing_is_told_of_an_upload_that_is_over(state: State) -> None:
    over = state in (State.COMPLETED, State.ABORTED)
    assert (reported_progress(an_upload(state)) is None) == over


def test_what_was_said_to_be_aborted_is_over_while_it_is_buried() -> None:
    buried = an_upload(State.ABORTING, abort_reason=AbortReason.REQUESTED)
    assert reported_progress(buried) is None


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (ExpectedPart(0, 5 * MIB), "part_number"),
        (ExpectedPart(-1, 5 * MIB), "part_number"),
        (ExpectedPart(4, 7), "part_number"),
        (ExpectedPart(1, 0), "size_bytes"),
        (ExpectedPart(1, 5 * MIB - 1), "size_bytes"),
        (ExpectedPart(3, 5 * MIB), "size_bytes"),
        (ExpectedPart(3, 7, etag="e" * 129), "etag"),
        (ExpectedPart(3, 7, checksum=b"c" * 3), "checksum"),
        (ExpectedPart(3, 7, checksum=b"c" * 8), "checksum"),
    ],
)
def test_a_part_that_is_not_as_planned_is_told_by_its_field(part: ExpectedPart, field: str) -> None:
    good = [ExpectedPart(1, 5 * MIB, "e" * 128, b"crc!"), ExpectedPart(3, 7)]
    first, fault, last = finish(judge([good[0], part, good[1]], an_upload(plan=PLAN).grant))
    assert first is None and last is None and fault is not None
    assert [violation.field for violation in fault.violations] == [f"parts[1].{field}"]


def test_all_that_is_wrong_with_a_part_is_told() -> None:
    [fault] = finish(judge([ExpectedPart(1, 1, "e" * 129, b"c")], an_upload(plan=PLAN).grant))
    assert fault is not None and len(fault.violations) == 3


def test_a_part_of_an_upload_without_checksums_has_none() -> None:
    grant = replace(an_upload(plan=PLAN).grant, checksum=Checksum.NONE)
    [fault, none] = finish(judge([ExpectedPart(3, 7, checksum=b"crc!"), ExpectedPart(3, 7)], grant))
    assert fault is not None and none is None
