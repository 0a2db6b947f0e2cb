"""Tests how tenants share a capacity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partway_server.domain.fair_share import ALPHA, FairShare


def greedy(share: FairShare, *tenants: str) -> dict[str, int]:
    """Let the tenants take in turns until none gets more; return what each has."""
    taken = dict.fromkeys(tenants, 0)
    going = True
    while going:
        going = False
        for tenant in tenants:
            if share.has_room(tenant):
                share.take(tenant)
                taken[tenant] += 1
                going = True
    return taken


@pytest.mark.parametrize("capacity", [1, 2, 9, 512, 10_000])
def test_a_tenant_alone_gets_two_thirds(capacity: int) -> None:
    taken = greedy(FairShare(capacity), "a")["a"]
    assert abs(taken - capacity * ALPHA / (1 + ALPHA)) <= 1


def test_of_nothing_nobody_gets_anything() -> None:
    assert not FairShare(0).has_room("a")


@given(tenants=st.integers(1, 20), capacity=st.integers(1, 2000))
def test_tenants_that_want_everything_get_the_same(tenants: int, capacity: int) -> None:
    taken = greedy(FairShare(capacity), *(f"t{n}" for n in range(tenants)))
    assert max(taken.values()) - min(taken.values()) <= 1
    assert sum(taken.values()) <= capacity


def test_a_tenant_that_has_too_much_gets_no_more_until_it_gave_back_enough() -> None:
    share = FairShare(300)
    assert greedy(share, "first")["first"] == 200
    share_of_second = 0
    for _ in range(1000):
        if share.has_room("second"):
            share.take("second")
            share_of_second += 1
        # The first gives one back whenever it can, and always wants it again.
        share.give_back("first")
        if share.has_room("first"):
            share.take("first")
    equal = 300 * ALPHA / (1 + 2 * ALPHA)
    assert abs(share_of_second - equal) <= 2
    assert abs(share.total - share_of_second - equal) <= 2


@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(1, 50), st.booleans()), max_size=200
    ),
    capacity=st.integers(1, 200),
)
def test_who_uses_nothing_gets_something_while_anything_is_free(
    steps: list[tuple[str, int, bool]], capacity: int
) -> None:
    share, used = FairShare(capacity), dict.fromkeys("abcd", 0)
    for tenant, amount, back in steps:
        if back and used[tenant] >= amount:
            share.give_back(tenant, amount)
            used[tenant] -= amount
        elif share.has_room(tenant):
            share.take(tenant, amount)
            used[tenant] += amount
        assert share.total == sum(used.values())
        assert share.has_room("newcomer") == (share.total < capacity)


def test_a_capacity_that_falls_takes_nothing_away() -> None:
    share = FairShare(100)
    share.take("a", 50)
    share.capacity = 10
    assert share.total == 50
    assert not share.has_room("b")
    share.give_back("a", 45)
    assert share.has_room("b")
