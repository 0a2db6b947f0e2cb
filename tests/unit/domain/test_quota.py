"""Tests who has which limits, and what is near or beyond them."""

import itertools
from datetime import UTC, datetime

import pytest
from partway_server.domain.errors import QuotaExceeded
from partway_server.domain.quota import (
    Limit,
    LimitRegistry,
    Limits,
    TenantLimits,
    check_usage,
    is_far,
    limits_uploads,
)
from partway_server.domain.upload import AbortReason, State
from partway_server.domain.usage import (
    CallerUsage,
    Standing,
    Usage,
    day_of,
    seconds_to_midnight,
    standing_of,
)

from tests.support.uploads import an_upload

DEFAULTS = TenantLimits(Limits(open_uploads=10, watches=3), Limits(open_uploads=5))


def test_a_tenant_that_no_table_names_has_the_defaults() -> None:
    assert LimitRegistry(DEFAULTS, {"acme": {"watches": 1}}).of("other") is DEFAULTS


def test_a_table_changes_what_it_sets() -> None:
    table = {"watches": 0, "subject_open_uploads": 7, "subject_streams": 1}
    limits = LimitRegistry(DEFAULTS, {"acme": table}).of("acme")
    assert limits.tenant == Limits(open_uploads=10, watches=0)
    assert limits.subject == Limits(open_uploads=7, streams=1)


def test_the_very_name_wins_and_then_the_first_pattern() -> None:
    registry = LimitRegistry(
        DEFAULTS,
        {"a*": {"watches": 1}, "acme": {"streams": 9}, "*": {"watches": 2}, "ab": {"watches": 8}},
    )
    found = [registry.of(name).tenant for name in ("acme", "abc", "ab", "zoo")]
    assert [limits.watches for limits in found] == [3, 1, 8, 2]
    assert found[0].streams == 9


def test_an_empty_table_with_the_very_name_keeps_patterns_away() -> None:
    assert LimitRegistry(DEFAULTS, {"acme": {}, "*": {"watches": 2}}).of("acme") == DEFAULTS


def test_a_reload_replaces_all_tables() -> None:
    registry = LimitRegistry(DEFAULTS, {"acme": {"watches": 1}})
    assert registry.of("acme").tenant.watches == 1
    registry.replace({"other": {"watches": 2}})
    assert (registry.of("acme").tenant.watches, registry.of("other").tenant.watches) == (3, 2)


def test_what_is_remembered_of_tenants_is_bounded() -> None:
    registry = LimitRegistry(DEFAULTS)
    for n in range(25_000):
        registry.of(f"tenant-{n}")
    assert len(registry._known) <= 10_000


def test_a_limit_is_the_last_that_may_be_used() -> None:
    at = CallerUsage(Usage(open_uploads=10), Usage(open_uploads=5))
    check_usage(DEFAULTS, at, seconds_of_day_left=1)
    for beyond, owner, used in (
        (CallerUsage(Usage(open_uploads=11)), "tenant", 11),
        (CallerUsage(subject=Usage(open_uploads=6)), "subject", 6),
    ):
        with pytest.raises(QuotaExceeded) as raised:
            check_usage(DEFAULTS, beyond, seconds_of_day_left=1)
        error = raised.value
        assert (error.limit, error.owner, error.used) == ("open_uploads", owner, used)
        assert error.retry_seconds is None


def test_only_the_bytes_of_a_day_come_back_by_waiting() -> None:
    limits = TenantLimits(Limits(open_bytes=10, daily_bytes=5))
    with pytest.raises(QuotaExceeded) as raised:
        check_usage(limits, CallerUsage(Usage(daily_bytes=6)), seconds_of_day_left=77)
    assert (raised.value.limit, raised.value.retry_seconds) == ("daily_bytes", 77)


def test_far_is_below_half_with_little_unverified() -> None:
    limits = TenantLimits(Limits(open_uploads=1024))

    def far(used: int, unverified: int) -> bool:
        return is_far(limits, CallerUsage(Usage(used)), CallerUsage(Usage(unverified)))

    assert far(512, 2) and far(0, 0)
    assert not far(513, 0)
    assert not far(10, 3)


def test_a_small_limit_is_never_far() -> None:
    limits = TenantLimits(subject=Limits(open_bytes=1000))
    one = CallerUsage().plus(1, 2)
    assert not is_far(limits, one, one)


def test_many_processes_that_do_not_see_each_other_stay_below_a_limit() -> None:
    # Each adds what it may twice: while it reads, what it added before may be on its way.
    limit, processes = 10_240, 128
    limits = TenantLimits(Limits(open_uploads=limit))
    total = limit // 2
    for _, _ in itertools.product(range(processes), range(2)):
        added = 0
        while is_far(limits, CallerUsage(Usage(limit // 2)), CallerUsage(Usage(added + 1))):
            added += 1
        total += added
    assert total <= limit


def test_rates_and_streams_do_not_limit_uploads() -> None:
    assert not limits_uploads(TenantLimits(Limits(watches=1, calls_per_second=1)))
    assert limits_uploads(TenantLimits(subject=Limits(daily_bytes=1)))


def test_each_limit_has_a_field() -> None:
    assert [limit.value for limit in Limit] == list(Limits.__dataclass_fields__)


def test_what_an_upload_counts_as() -> None:
    found = {state: standing_of(an_upload(state)) for state in State}
    over = {State.COMPLETED: Standing.DONE, State.ABORTED: Standing.NONE}
    assert found == dict.fromkeys(State, Standing.OPEN) | over
    buried = an_upload(State.ABORTING, abort_reason=AbortReason.EXPIRED)
    assert standing_of(buried) is Standing.NONE


def test_a_day_ends_at_midnight_utc() -> None:
    last = datetime(2026, 3, 1, 23, 59, 59, 500_000, tzinfo=UTC)
    assert seconds_to_midnight(last) == 0.5
    assert day_of(last) + 1 == day_of(datetime(2026, 3, 2, tzinfo=UTC))
