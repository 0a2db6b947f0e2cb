"""Tests the counts of what goes on in a process."""

from datetime import timedelta

import pytest
from partway_server.domain.concurrency import ConcurrencyCounts, RecentCounts
from partway_server.domain.errors import QuotaExceeded
from partway_server.domain.grant import Caller
from partway_server.domain.quota import (
    Bucket,
    Limit,
    LimitRegistry,
    Limits,
    Owner,
    TenantLimits,
    bucket_of,
)

from tests.support.clock import START

ALICE, BOB = Caller("acme", "alice"), Caller("acme", "bob")
EVE = Caller("evil", "alice")
TENANT = Bucket(Limit.WATCHES, "acme")


def counts() -> ConcurrencyCounts:
    limits = TenantLimits(Limits(watches=3), Limits(watches=2))
    return ConcurrencyCounts(LimitRegistry(limits))


def test_each_counts_for_its_subject_and_its_tenant() -> None:
    inside = counts()
    for caller in (ALICE, ALICE, BOB):
        inside.enter(caller, Limit.WATCHES)
    found = [inside.of(bucket_of(o, c, Limit.WATCHES)) for o in Owner for c in (ALICE, BOB, EVE)]
    assert found == [3, 3, 0, 2, 1, 0]
    assert inside.of(Bucket(Limit.STREAMS, "acme")) == 0


def test_a_refused_one_is_not_counted() -> None:
    inside = counts()
    inside.enter(ALICE, Limit.WATCHES)
    inside.enter(ALICE, Limit.WATCHES)
    with pytest.raises(QuotaExceeded) as raised:
        inside.enter(ALICE, Limit.WATCHES)
    assert (raised.value.owner, raised.value.used, raised.value.maximum) == ("subject", 2, 2)
    assert raised.value.retry_seconds == 1
    assert inside.of(TENANT) == 2
    inside.enter(BOB, Limit.WATCHES)
    with pytest.raises(QuotaExceeded) as raised:
        inside.enter(BOB, Limit.WATCHES)
    assert raised.value.owner == "tenant"


def test_what_has_no_limit_is_counted_all_the_same() -> None:
    inside = counts()
    for _ in range(100):
        inside.enter(ALICE, Limit.STREAMS)
    assert inside.of(Bucket(Limit.STREAMS, "acme", "alice")) == 100


def test_what_has_left_takes_no_memory() -> None:
    inside = counts()
    for n in range(1000):
        caller = Caller(f"tenant-{n}", "x")
        with inside.inside(caller, Limit.WATCHES):
            pass
    assert not inside._inside


def test_recent_counts_fade_within_their_time() -> None:
    recent = RecentCounts()
    bucket = Bucket(Limit.PARTS_PER_MINUTE, "acme")
    recent.add(bucket, 60, 60, START)
    found = [
        recent.of(bucket, 60, START + timedelta(seconds=s)) for s in (0, 59, 60, 90, 119, 120, 600)
    ]
    assert found == [60, 60, 60, 30, 1, 0, 0]


def test_recent_counts_of_many_are_bounded() -> None:
    recent = RecentCounts(most=10)
    for n in range(100):
        recent.add(Bucket(Limit.CALLS_PER_SECOND, f"{n}"), 1, 1, START)
    assert len(recent._windows) <= 10
    assert recent.of(Bucket(Limit.CALLS_PER_SECOND, "99"), 1, START) == 1
