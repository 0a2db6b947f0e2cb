"""Tests which part size follows from what a line carried, and from what it broke."""

import pytest
from partway_client._upload.part_sizing import MIB, PartSizeAdvice, carried_in_time

LEAST = 5 * MIB


@pytest.mark.parametrize(
    ("rate", "mib"), [(56_000, 5), (500_000, 7), (1_000_000, 14), (10_000_000, 143)]
)
def test_a_part_is_what_a_connection_carries_in_fifteen_seconds(rate: float, mib: int) -> None:
    assert carried_in_time(rate) == mib * MIB


def advice(stored: int = 0, part: int = 16) -> PartSizeAdvice:
    return PartSizeAdvice(60 * MIB, part * MIB, stored * MIB)


def test_two_breaks_before_any_part_is_whole_lead_to_smaller_parts() -> None:
    sizes = advice()
    sizes.broke(9 * MIB)
    assert not sizes.for_breaks(LEAST)

    sizes.broke(7 * MIB)

    assert sizes.for_breaks(LEAST) == 6 * MIB


def test_the_least_size_of_storage_holds() -> None:
    sizes = advice()
    for distance in (3, 4, 5):
        sizes.broke(distance * MIB)

    assert sizes.for_breaks(LEAST) == LEAST


def test_the_smallest_parts_stay() -> None:
    sizes = advice(part=5)
    for _ in range(10):
        sizes.broke(1 * MIB)

    assert not sizes.for_breaks(LEAST)


def test_a_break_after_the_last_byte_says_nothing_of_the_size() -> None:
    sizes = advice()
    for _ in range(10):
        sizes.broke(16 * MIB)

    assert not sizes.for_breaks(LEAST)


def test_what_storage_holds_is_given_up_only_for_what_costs_more() -> None:
    sizes = advice(stored=52)
    for _ in range(5):
        sizes.broke(6 * MIB)
    assert not sizes.for_breaks(LEAST)

    for _ in range(5):
        sizes.broke(6 * MIB)

    assert sizes.for_breaks(LEAST)


def test_parts_that_mostly_get_through_stay() -> None:
    sizes = PartSizeAdvice(1000 * MIB, 16 * MIB, 0)
    for _ in range(3):
        sizes.broke(6 * MIB)
        for _ in range(10):
            sizes.finished(16 * MIB)

    assert not sizes.for_breaks(LEAST)


def test_a_slow_line_leads_to_smaller_parts_once_it_is_measured() -> None:
    assert not advice().for_rate(1 * MIB, 4.9, LEAST)
    assert advice().for_rate(1 * MIB, 5.1, LEAST) == LEAST


@pytest.mark.parametrize(
    ("moved", "stored", "part"),
    [(3 * MIB, 0, 12), (1 * MIB, 16, 16), (1 * MIB, 0, 8), (4 * MIB, 0, 40)],
    ids=["fast enough", "something is stored", "not worth it", "too much is sent"],
)
def test_otherwise_the_size_stays(moved: int, stored: int, part: int) -> None:
    assert not advice(stored, part).for_rate(moved, 6.1, LEAST)
