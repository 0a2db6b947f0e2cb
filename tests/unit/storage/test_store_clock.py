"""Tests that a store whose clock is minutes away is signed to by its own."""

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from partway_server.domain.clock import Clock
from partway_server.domain.errors import StorageRefused
from partway_server.storage.store_clock import MOST_SKEW, StoreClock, refusal_time

from tests.support.clock import FakeClock
from tests.support.storage import answer
from tests.unit.storage.test_hostile_answers import BOTH, ID, LISTED, a_grant, storage_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Off(Clock):
    """A clock that is wrong by `by`."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return datetime.now(UTC) + self._by


def a_clock() -> tuple[StoreClock, FakeClock]:
    ours = FakeClock(NOW)
    return StoreClock("default", ours), ours


@pytest.mark.parametrize("minutes", [6, 20, 59, -6, -59])
def test_minutes_away_it_follows(minutes: int, caplog: pytest.LogCaptureFixture) -> None:
    clock, _ = a_clock()
    with caplog.at_level(logging.ERROR):
        assert clock.follow(NOW + timedelta(minutes=minutes))
        assert not clock.follow(NOW + timedelta(minutes=minutes, seconds=5))
    assert clock.now() == NOW + timedelta(minutes=minutes)
    [line] = caplog.messages
    assert f"{abs(minutes) * 60} s {'ahead of' if minutes > 0 else 'behind'}" in line


@pytest.mark.parametrize("away", [timedelta(0), timedelta(minutes=4), timedelta(minutes=-4)])
def test_a_small_difference_changes_nothing(away: timedelta) -> None:
    clock, _ = a_clock()
    assert not clock.follow(NOW + away)
    assert clock.now() == NOW


def test_it_returns_to_ours_once_they_agree_again() -> None:
    clock, _ = a_clock()
    assert clock.follow(NOW + timedelta(minutes=20))
    assert clock.follow(NOW)
    assert clock.now() == NOW


@pytest.mark.parametrize("away", [MOST_SKEW + timedelta(seconds=1), timedelta(days=-400)])
def test_too_far_away_it_does_not_follow(away: timedelta, caplog: pytest.LogCaptureFixture) -> None:
    clock, _ = a_clock()
    assert not clock.follow(NOW + away)
    assert clock.now() == NOW
    assert "synchronize both" in caplog.text


def test_no_time_is_no_news() -> None:
    assert not a_clock()[0].follow(None)


DATE = {"date": "Sun, 01 Mar 2026 12:00:00 GMT", "x-amz-request-id": "1"}


@pytest.mark.parametrize(
    ("status", "code", "headers", "server_time", "found"),
    [
        (403, "RequestTimeTooSkewed", DATE, "2026-03-01T12:00:07Z", timedelta(seconds=7)),
        (403, "RequestTimeTooSkewed", DATE, "", timedelta(seconds=0.5)),
        (403, "RequestTimeTooSkewed", DATE, "at noon", timedelta(seconds=0.5)),
        (403, "RequestTimeTooSkewed", {}, "", None),
        (403, "403", DATE, "", timedelta(seconds=0.5)),
        (403, "403", {"date": DATE["date"]}, "", None),
        (403, "AccessDenied", DATE, "", None),
        (404, "404", DATE, "", None),
    ],
)
def test_the_time_of_a_refusal(
    status: int, code: str, headers: dict[str, str], server_time: str, found: timedelta | None
) -> None:
    shown = refusal_time(status, code, headers, server_time)
    assert shown == (None if found is None else NOW + found)


def refused(by: timedelta) -> bytes:
    theirs = datetime.now(UTC) + by
    body = (
        "<Error><Code>RequestTimeTooSkewed</Code>"
        f"<ServerTime>{theirs:%Y-%m-%dT%H:%M:%SZ}</ServerTime></Error>"
    )
    return answer("403 Forbidden", body)


def signed_at(request: str) -> datetime:
    value = request.lower().partition("x-amz-date: ")[2].partition("\r\n")[0]
    return datetime.strptime(value, "%Y%m%dt%H%M%Sz").replace(tzinfo=UTC)


def near(found: datetime, expected: datetime) -> bool:
    # Far from 20 minutes, and patient with a machine that is busy.
    return abs(found - expected) < timedelta(minutes=5)


CREATED = answer(
    "200 OK", "<CreateMultipartUploadResult><UploadId>7</UploadId></CreateMultipartUploadResult>"
)


@BOTH
@pytest.mark.parametrize("minutes", [20, -20])
async def test_a_request_is_signed_again_by_the_time_of_storage(client: str, minutes: int) -> None:
    wrong = Off(timedelta(minutes=-minutes))
    answers = refused(timedelta(0)), CREATED, answer("200 OK", LISTED)
    async with storage_of(*answers, client=client, system_clock=wrong) as (storage, server):
        assert await storage.create(a_grant(), {}) == "7"
        assert await storage.list_parts(a_grant())
        signer = await storage.presigner(a_grant(), timedelta(minutes=5), wrong.now())
        [part] = signer.sign([1], {})
    first, again, listed = map(signed_at, server.requests)
    assert near(first, wrong.now())
    assert near(again, datetime.now(UTC))
    assert near(listed, datetime.now(UTC))
    # URLs, too; but when they end is said by this machine's clock, as everything else is.
    dated = part.url.partition("X-Amz-Date=")[2].partition("&")[0]
    assert near(signed_at(f"x-amz-date: {dated}\r\n"), datetime.now(UTC))
    assert near(signer.expire_time, wrong.now() + timedelta(minutes=5))


@BOTH
async def test_a_head_is_signed_again_by_the_date_of_its_answer(client: str) -> None:
    wrong = Off(timedelta(minutes=20))
    date = f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}\r\n"
    denied = answer("403 Forbidden", "", f"{date}{ID}")
    found = answer("200 OK", "", f"ETag: e\r\n{ID}")
    async with storage_of(denied, found, client=client, system_clock=wrong) as (storage, server):
        assert await storage.head(a_grant()) is not None
    assert near(signed_at(server.requests[1]), datetime.now(UTC))


@BOTH
async def test_hours_away_nothing_is_signed_by_the_time_of_storage(client: str) -> None:
    wrong = Off(timedelta(hours=2))
    reply = refused(timedelta(0))
    async with storage_of(reply, client=client, system_clock=wrong) as (storage, server):
        with pytest.raises(StorageRefused, match="RequestTimeTooSkewed"):
            await storage.create(a_grant(), {})
    assert len(server.requests) == 1


@BOTH
async def test_a_store_that_refuses_any_time_is_asked_twice(client: str) -> None:
    wrong = Off(timedelta(minutes=20))
    reply = refused(timedelta(0))
    async with storage_of(reply, client=client, system_clock=wrong) as (storage, server):
        with pytest.raises(StorageRefused, match="RequestTimeTooSkewed"):
            await storage.create(a_grant(), {})
    assert len(server.requests) == 2
