"""Tests that a plan covers every byte exactly once, within the limits of storage."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from partway_server.domain.errors import SourcesNotJoinable
from partway_server.domain.part_plan import (
    COPY_BYTES,
    GIB,
    MAX_PARTS,
    MIB,
    PartLimits,
    Plan,
    gaps,
    leading,
    make_composed_plan,
    make_plan,
    runs,
    unroll,
)
from partway_server.storage.capabilities import KNOWN

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


# Composed of sources

cuts = st.lists(
    st.one_of(
        st.integers(0, 6 * GIB),
        st.sampled_from([0, 1, 5 * MIB - 1, 5 * MIB, COPY_BYTES, COPY_BYTES + 1, 40 * GIB]),
    ),
    min_size=1,
    max_size=32,
)


@given(cuts, limits, st.booleans())
@example([1, 0], AWS, True)
def test_every_byte_of_every_source_is_in_exactly_one_part(
    sizes: list[int], allowed: PartLimits, minimum: bool
) -> None:
    try:
        plan = make_composed_plan(sizes, allowed, part_minimum=minimum)
    except SourcesNotJoinable as error:
        assert 0 <= error.source < len(sizes)
        assert not sum(sizes) or minimum or sum(sizes) > allowed.max_object_bytes
        return
    copied, end = dict.fromkeys(range(len(sizes)), 0), 0
    for number in plan.numbers():
        piece = plan.slice(number)
        assert (piece.begin, piece.offset) == (copied[piece.source], end)
        assert 1 <= piece.size <= plan.part_size_bytes <= allowed.max_part_bytes
        copied[piece.source] += piece.size
        end += piece.size
    assert list(copied.values()) == sizes
    assert end == plan.size_bytes
    assert 1 <= plan.part_count <= MAX_PARTS
    parts = [plan.size(number) for number in plan.numbers()]
    assert (max(parts), parts[-1]) == (plan.part_size_bytes, plan.last_part_size_bytes)
    assert plan.offset(len(parts)) == sum(sizes) - parts[-1]
    assert not minimum or all(part >= allowed.min_part_bytes for part in parts[:-1])


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([1], [1]),
        ([5 * MIB, 1], [5 * MIB, 1]),
        ([0, 5 * MIB, 0, 1, 0], [5 * MIB, 1]),
        ([COPY_BYTES], [COPY_BYTES]),
        ([COPY_BYTES + 1, 5 * MIB], [COPY_BYTES // 2 + 1, COPY_BYTES // 2, 5 * MIB]),
    ],
)
def test_composed_plans_that_can_be_checked_by_hand(sizes: list[int], parts: list[int]) -> None:
    plan = make_composed_plan(sizes, AWS)
    assert [plan.size(number) for number in plan.numbers()] == parts


def test_parts_grow_where_ten_thousand_would_not_do() -> None:
    plan = make_composed_plan([48 * TB, 5 * MIB], AWS)
    assert 9_900 < plan.part_count <= MAX_PARTS
    assert plan.part_size_bytes <= AWS.max_part_bytes


@pytest.mark.parametrize(
    ("sizes", "source"),
    [
        ([0, 0], 0),
        ([5 * MIB, 5 * MIB - 1, 1], 1),
        ([5 * MIB - 1, 0, 1], 0),
        ([40 * TB, 10 * TB, 10 * TB], 2),
    ],
)
def test_the_source_in_the_way_is_named(sizes: list[int], source: int) -> None:
    with pytest.raises(SourcesNotJoinable) as refused:
        make_composed_plan(sizes, AWS)
    assert refused.value.source == source


@pytest.mark.parametrize(
    ("sizes", "source"),
    [
        ([8 * MIB, 8 * MIB, 7 * MIB], None),
        ([8 * MIB, 8 * MIB, 9 * MIB], 2),
        ([8 * MIB, 7 * MIB, 8 * MIB], 1),
        ([2 * COPY_BYTES + 1], None),
        ([2 * COPY_BYTES, COPY_BYTES, 5 * MIB], None),
    ],
)
def test_parts_are_equal_where_storage_asks_it(sizes: list[int], source: int | None) -> None:
    try:
        make_composed_plan(sizes, AWS, equal_parts=True)
        refused = None
    except SourcesNotJoinable as error:
        refused = error.source
    assert refused == source


def test_a_part_that_is_none_is_a_slice_of_nothing() -> None:
    with pytest.raises(ValueError, match="no part 3"):
        make_composed_plan([5 * MIB, 1], AWS).slice(3)


@given(st.data())
def test_gaps_are_the_runs_of_what_is_not_held(data: st.DataObject) -> None:
    first = data.draw(st.integers(1, 50))
    last = data.draw(st.integers(first, first + 60))
    held = data.draw(st.sets(st.integers(1, 120)))
    absent = [n for n in range(first, last + 1) if n not in held]
    assert list(gaps(held, (first, last))) == runs(absent)
    count = data.draw(st.integers(0, 70))
    assert list(leading(gaps(held, (first, last)), count)) == runs(absent[:count])


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 9))
def test_sizes_and_sources_are_those_of_the_slices(cuts: list[int], most: int) -> None:
    if not any(cuts):
        cuts = [1, *cuts]
    plan = Plan(sum(cuts), most, tuple(cuts))
    slices = [plan.slice(number) for number in plan.numbers()]
    assert plan.sizes() == [piece.size for piece in slices]
    assert plan.sources_of(plan.numbers()) == sorted({piece.source for piece in slices})
    odd = plan.numbers()[::2]
    assert plan.sources_of(odd) == sorted({plan.slice(number).source for number in odd})


def test_sizes_of_a_plan_of_equal_parts() -> None:
    for plan in (Plan(0, 7), Plan(7, 7), Plan(8, 7), Plan(20, 7)):
        assert plan.sizes() == [plan.size(number) for number in plan.numbers()]
