"""Tests when the keys of an issuer are fetched, and what an outage or a flood amounts to."""

import asyncio
from dataclasses import dataclass, field

import pytest
from partway_server.rpc.identity.jwks import (
    MAX_UNKNOWN,
    FetchFailed,
    KeysUnavailable,
    RemoteKeys,
    UnknownKey,
)

from tests.support.clock import FakeClock
from tests.support.issuer import jwks, signing_key

OLD, NEW = signing_key("old"), signing_key("new")
MINUTE, HOUR = 60, 3600


@dataclass
class Web:
    """What a fetch returns: a body, or a failure; and how often it was asked."""

    body: bytes | Exception = jwks(OLD)
    fetches: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def fetch(self) -> bytes:
        self.fetches += 1
        await self.gate.wait()
        if isinstance(self.body, Exception):
            raise self.body
        return self.body


@pytest.fixture
async def web() -> Web:
    return Web()


@pytest.fixture
def keys(web: Web, clock: FakeClock) -> RemoteKeys:
    return RemoteKeys(web.fetch, clock)


async def settled() -> None:
    """Let a fetch in the background finish."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_hundred_callers_cause_one_fetch(keys: RemoteKeys, web: Web) -> None:
    web.gate.clear()
    callers = [asyncio.create_task(keys.holding("old")) for _ in range(100)]
    await settled()
    web.gate.set()
    found = await asyncio.gather(*callers)
    assert web.fetches == 1
    assert len({id(each) for each in found}) == 1


async def test_a_caller_that_gives_up_does_not_end_the_fetch_of_others(
    keys: RemoteKeys, web: Web
) -> None:
    web.gate.clear()
    leaving, staying = (asyncio.create_task(keys.holding("old")) for _ in range(2))
    await settled()
    leaving.cancel()
    await asyncio.wait({leaving})
    web.gate.set()
    assert (await staying).knows("old")
    assert leaving.cancelled() and web.fetches == 1


async def test_keys_are_used_for_ten_minutes_and_then_fetched_behind_the_scenes(
    keys: RemoteKeys, web: Web, clock: FakeClock
) -> None:
    first = await keys.holding("old")
    clock.advance(10 * MINUTE)
    assert await keys.holding("old") is first
    assert web.fetches == 1
    clock.advance(1)
    web.body = jwks(NEW)
    web.gate.clear()
    # Served at once, although the fetch has not come back.
    assert await keys.holding("old") is first
    web.gate.set()
    await settled()
    assert web.fetches == 2
    assert (await keys.holding("new")).key("new", "RS256")
    clock.advance(11)
    with pytest.raises(UnknownKey):
        await keys.holding("old")


async def test_the_same_keys_again_are_the_same_object(
    keys: RemoteKeys, web: Web, clock: FakeClock
) -> None:
    first = await keys.holding("old")
    clock.advance(11 * MINUTE)
    keys.current()
    await settled()
    assert web.fetches == 2 and keys.current() is first


async def test_an_outage_is_bridged_for_a_day_and_is_one_line(
    keys: RemoteKeys, web: Web, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await keys.holding("old")
    web.body = FetchFailed("no connection")
    for _ in range(23):
        clock.advance(HOUR)
        await keys.holding("old")
        await settled()
    assert web.fetches == 24
    clock.advance(HOUR)
    await keys.holding("old")
    clock.advance(11)
    with pytest.raises(KeysUnavailable):
        await keys.holding("old")
    assert keys.current() is None
    web.body = jwks(OLD)
    clock.advance(11)
    assert (await keys.holding("old")).knows("old")
    assert [record.getMessage() for record in caplog.records] == [
        "signing keys fetched: 1 in use",
        "signing keys cannot be fetched from PARTWAY_JWT_JWKS_URL: no connection;"
        " those that are known stay in use for a day",
        "signing keys can be fetched again",
    ]


@pytest.mark.parametrize(
    "body", [FetchFailed("HTTP 503"), b"<html>", b'{"keys": []}', RuntimeError("x")]
)
async def test_without_any_keys_callers_wait_for_no_second_fetch(
    keys: RemoteKeys, web: Web, clock: FakeClock, body: bytes | Exception
) -> None:
    web.body = body
    for _ in range(50):
        with pytest.raises(KeysUnavailable):
            await keys.holding("old")
    assert web.fetches == 1
    web.body = jwks(OLD)
    clock.advance(9)
    with pytest.raises(KeysUnavailable):
        await keys.holding("old")
    clock.advance(1)
    assert (await keys.holding("old")).knows("old")


async def test_a_new_key_is_fetched_when_a_token_names_it(
    keys: RemoteKeys, web: Web, clock: FakeClock
) -> None:
    await keys.holding("old")
    web.body = jwks(OLD, NEW)
    with pytest.raises(UnknownKey):
        await keys.holding("new")
    clock.advance(10)
    assert (await keys.holding("new")).knows("new")
    assert web.fetches == 2


async def test_a_flood_of_unknown_keys_causes_a_fetch_in_ten_seconds(
    keys: RemoteKeys, web: Web, clock: FakeClock
) -> None:
    await keys.holding("old")
    clock.advance(10)
    for number in range(3 * MAX_UNKNOWN):
        with pytest.raises(UnknownKey):
            await keys.holding(f"unknown-{number}")
        if number % 100 == 0:
            clock.advance(1)
    assert web.fetches == 1 + 1 + 31 // 10
    assert len(keys._unknown) <= MAX_UNKNOWN
    assert await keys.holding("old")


async def test_the_unknown_are_forgotten_the_oldest_first(
    keys: RemoteKeys, clock: FakeClock
) -> None:
    for number in range(MAX_UNKNOWN + 5):
        clock.advance(11)
        with pytest.raises(UnknownKey):
            await keys.holding(f"unknown-{number}")
    assert len(keys._unknown) == MAX_UNKNOWN
    assert "unknown-4" not in keys._unknown and "unknown-5" in keys._unknown


async def test_an_unknown_key_is_not_looked_for_again_within_half_a_minute(
    keys: RemoteKeys, web: Web, clock: FakeClock
) -> None:
    await keys.holding("old")
    clock.advance(10)
    for _ in range(2):
        with pytest.raises(UnknownKey):
            await keys.holding("new")
        clock.advance(29)
    assert web.fetches == 2
    web.body = jwks(OLD, NEW)
    assert (await keys.holding("new")).knows("new")


async def test_an_unknown_key_in_an_outage_is_not_held_against_its_token(
    keys: RemoteKeys, web: Web, clock: FakeClock
) -> None:
    await keys.holding("old")
    web.body = FetchFailed("HTTP 500")
    clock.advance(11)
    with pytest.raises(KeysUnavailable):
        await keys.holding("new")
    web.body = jwks(OLD, NEW)
    clock.advance(10)
    assert (await keys.holding("new")).knows("new")


async def test_a_reload_fetches_now_and_forgets_what_was_unknown(
    keys: RemoteKeys, web: Web, clock: FakeClock
) -> None:
    clock.advance(11)
    with pytest.raises(UnknownKey):
        await keys.holding("new")
    web.body = jwks(NEW)
    assert await keys.reload() is True
    assert (await keys.holding("new")).knows("new")
    web.body = FetchFailed("HTTP 500")
    assert await keys.reload() is False
    assert (await keys.holding("new")).knows("new")


async def test_a_clock_that_is_set_back_stops_no_fetch(
    keys: RemoteKeys, web: Web, clock: FakeClock
) -> None:
    await keys.holding("old")
    clock.advance(-HOUR)
    web.body = jwks(OLD, NEW)
    assert (await keys.holding("new")).knows("new")
