"""Tests what follows each answer, and what may be sent when."""

from datetime import timedelta

import pytest
from partway_server.events.retry_schedule import (
    PAUSES_MS,
    Delivery,
    DeliveryResponse,
    DeliveryVerdict,
    RetryState,
    ShardQueue,
    after_failure,
    shards_of,
    verdict_of,
)
from partway_server.events.webhook_sender import retry_after

from tests.support.clock import START

DAY_MS = 86_400_000
NOW_MS = 1_000 * DAY_MS


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_only_2xx_is_success(status: int) -> None:
    assert verdict_of(DeliveryResponse(status)) is DeliveryVerdict.DELIVERED


@pytest.mark.parametrize("status", [0, 199, 300, 301, 307, 400, 401, 404, 409, 429, 500, 503])
def test_all_else_is_tried_again(status: int) -> None:
    assert verdict_of(DeliveryResponse(status)) is DeliveryVerdict.AGAIN


def test_410_is_the_end() -> None:
    assert verdict_of(DeliveryResponse(410)) is DeliveryVerdict.GONE


def failing(give_up_ms: int, chance: float = 0.0, retry_after_ms: int = 0) -> list[int]:
    """Return the pauses between attempts that all fail."""
    now_ms, tries, pauses = NOW_MS, RetryState(), []
    while after := after_failure(
        tries, now_ms=now_ms, retry_after_ms=retry_after_ms, give_up_ms=give_up_ms, chance=chance
    ):
        pauses.append(after.next_ms - now_ms)
        assert after.attempts == len(pauses)
        now_ms, tries = after.next_ms, RetryState.unpack(after.pack())
    return pauses


def test_pauses_grow_and_end_when_it_is_given_up() -> None:
    pauses = failing(3 * DAY_MS)
    assert tuple(pauses[: len(PAUSES_MS)]) == PAUSES_MS
    assert set(pauses[len(PAUSES_MS) : -1]) == {PAUSES_MS[-1]}
    assert sum(pauses) == 3 * DAY_MS


def test_jitter_makes_pauses_longer_and_never_shorter() -> None:
    longer = failing(3 * DAY_MS, chance=1.0)[: len(PAUSES_MS)]
    assert longer == [int(pause * 1.2) for pause in PAUSES_MS]


def test_with_no_time_at_all_there_is_one_attempt() -> None:
    assert failing(0) == []


def test_retry_after_is_bounded() -> None:
    assert failing(3 * DAY_MS, retry_after_ms=60_000)[0] == 60_000
    assert failing(3 * DAY_MS, retry_after_ms=30 * DAY_MS)[0] == PAUSES_MS[-1]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Sun, 01 Mar 2026 12:00:30", 30),
        ("", 0),
        ("-5", 0),
        ("soon", 0),
        ("²", 0),
        ("9" * 5000, 10**8),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: int) -> None:
    assert retry_after(value, START) == timedelta(seconds=seconds)


@pytest.mark.parametrize("count", [1, 2, 3, 64, 100])
def test_every_shard_is_somebodys_and_nobody_has_much_more(count: int) -> None:
    owners = [f"{n:03}" for n in range(count)]
    shares = [shards_of(me, reversed(owners), 64) for me in owners]
    assert sorted(shard for each in shares for shard in each) == list(range(64))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert shards_of("unknown", owners, 64) == set()


def entry(number: int, upload: str, next_ms: int = 0) -> Delivery:
    return Delivery(
        f"{number}-0", f"event-{number}", "t", upload, tries=RetryState(next_ms=next_ms)
    )


def a_line(*entries: Delivery) -> ShardQueue:
    line = ShardQueue("mark")
    line.held_until_ms = NOW_MS + 1000
    for each in entries:
        line.add(each)
    return line


def taken(line: ShardQueue, now_ms: int = NOW_MS) -> list[Delivery]:
    return list(iter(lambda: line.take(now_ms), None))


def test_one_event_of_an_upload_goes_at_a_time() -> None:
    first, second, other = entry(1, "a"), entry(2, "a"), entry(3, "b")
    line = a_line(first, second, other)
    assert taken(line) == [first, other]
    line.done(other)
    assert (taken(line), len(line)) == ([], 2)
    line.done(first)
    assert taken(line) == [second]
    line.done(second)
    assert (taken(line), len(line), line.under_way) == ([], 0, 0)


def test_one_that_failed_waits_and_what_follows_it_too() -> None:
    first, second = entry(1, "a"), entry(2, "a")
    line = a_line(first, second)
    taken(line)
    line.postponed(first, RetryState(1, NOW_MS, NOW_MS + 5))
    assert taken(line, NOW_MS + 4) == []
    [again] = taken(line, NOW_MS + 5)
    assert (again.place, again.tries.attempts) == ("1-0", 1)
    line.done(again)
    assert taken(line) == [second]


def test_nothing_goes_when_the_lease_may_be_over() -> None:
    line = a_line(entry(1, "a"))
    assert taken(line, NOW_MS + 1000) == []
    assert len(taken(line, NOW_MS + 999)) == 1
