"""A plan covers every byte exactly once, within what storage takes."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from partway_server.objects.capabilities import KNOWN
from partway_server.plan import GIB, MAX_PARTS, MIB, PartLimits, Plan, make_plan, runs, unroll

TB = 10**12
AWS = PartLimits()

sizes = st.one_of(
    st.integers(0, 50 * TB),
    st.integers(0, 20 * MIB),
    st.builds(lambda n, d: max(n * MIB + d, 0), st.integers(0, 10**6), st.integers(-2, 2)),
    st.builds(lambda n, d: n * MAX_PARTS + d, st.integers(0, 5 * GIB - 1), st.integers(0, 2)),
)
wanted = st.one_of(
    st.integers(0, 5 * GIB), st.sampled_from([0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 5 * GIB])
)
limits = st.sampled_from([AWS, *(c.limits for c in KNOWN.values())])


@given(sizes, wanted, limits)
@example(0, 0, AWS)
@example(MAX_PARTS * 5 * GIB, 0, AWS)
@example(MAX_PARTS * 5 * MIB + 1, 5 * MIB, AWS)
def test_every_byte_is_in_exactly_one_part(size: int, wish: int, allowed: PartLimits) -> None:
    if size > allowed.max_object_bytes:
        with pytest.raises(ValueError):
            make_plan(size, wish, allowed)
        return
    plan = make_plan(size, wish, allowed)
    numbers = plan.numbers()
    assert len(numbers) == plan.part_count
    near = [n for n in numbers if n <= 3 or n > plan.part_count - 3]
    for first, second in pairwise(near):
        if second == first + 1:
            assert plan.offset(second) == plan.offset(first) + plan.size(first)
    assert plan.offset(1) == 0
    last = plan.part_count
    assert plan.offset(last) + plan.size(last) == size
    assert (plan.part_count - 1) * plan.part_size_bytes + plan.last_part_size_bytes == size


@given(sizes, wanted, limits)
def test_parts_are_as_storage_takes_them(size: int, wish: int, allowed: PartLimits) -> None:
    if size > allowed.max_object_bytes:
        return
    plan = make_plan(size, wish, allowed)
    assert 1 <= plan.part_count <= MAX_PARTS
    assert allowed.min_part_bytes <= plan.part_size_bytes <= allowed.max_part_bytes
    assert plan.part_size_bytes % MIB == 0
    assert plan.part_size_bytes >= min(wish, allowed.max_part_bytes)
    assert 0 <= plan.last_part_size_bytes <= plan.part_size_bytes
    assert plan.last_part_size_bytes > 0 or size == 0
    sizes_but_last = {plan.size(n) for n in range(1, min(plan.part_count, 50))}
    assert sizes_but_last <= {plan.part_size_bytes}


@pytest.mark.parametrize(
    ("size", "wish", "part", "count", "last"),
    [
        (0, 0, 5 * MIB, 1, 0),
        (1, 0, 5 * MIB, 1, 1),
        (5 * MIB, 0, 5 * MIB, 1, 5 * MIB),
        (5 * MIB + 1, 0, 5 * MIB, 2, 1),
        (100 * MIB, 16 * MIB, 16 * MIB, 7, 4 * MIB),
        (100 * MIB, 16 * MIB + 1, 17 * MIB, 6, 15 * MIB),
        (MAX_PARTS * 5 * MIB, 0, 5 * MIB, MAX_PARTS, 5 * MIB),
        (MAX_PARTS * 5 * MIB + 1, 0, 6 * MIB, 8334, 2 * MIB + 1),
        (MAX_PARTS * 5 * GIB, 0, 5 * GIB, MAX_PARTS, 5 * GIB),
    ],
)
def test_plans_that_can_be_checked_by_hand(
    size: int, wish: int, part: int, count: int, last: int
) -> None:
    plan = make_plan(size, wish, AWS)
    assert (plan.part_size_bytes, plan.part_count, plan.last_part_size_bytes) == (part, count, last)


def test_a_file_that_storage_cannot_hold_has_no_plan() -> None:
    with pytest.raises(ValueError, match="at most"):
        make_plan(MAX_PARTS * 5 * GIB + 1, 0, AWS)


def test_the_whole_of_an_empty_file_is_part_one() -> None:
    plan = Plan(0, 5 * MIB)
    assert (list(plan.numbers()), plan.offset(1), plan.size(1)) == ([1], 0, 0)


@given(st.sets(st.integers(1, 200)))
def test_runs_say_the_same_numbers_and_no_two_touch(numbers: set[int]) -> None:
    found = runs(sorted(numbers))
    assert list(unroll(found)) == sorted(numbers)
    assert all(first <= last for first, last in found)
    assert all(second[0] > first[1] + 1 for first, second in pairwise(found))
