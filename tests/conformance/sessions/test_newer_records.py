"""Tests that a record in a form of a later version is left alone, and harms no other."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import State
from partway_server.sessions import redis_keys
from partway_server.sessions.record_encoding import FORM
from partway_server.sessions.redis_store import RedisSessionStore
from redis.asyncio import Redis

from tests.support.clock import START
from tests.support.uploads import an_upload

pytestmark = pytest.mark.redis

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)
UPLOAD = an_upload()
KEY = redis_keys.row_key(UPLOAD.sid)

CALLS: dict[str, Callable[[RedisSessionStore], Awaitable[Any]]] = {
    "get": lambda s: s.get(UPLOAD.sid),
    "look": lambda s: s.look(UPLOAD.sid),
    "insert": lambda s: s.insert(UPLOAD, LATER),
    "restore": lambda s: s.insert(UPLOAD, LATER, restore=True),
    "claim": lambda s: s.claim(UPLOAD.sid, State.COMPLETING, LEASE),
    "claim what was seen": lambda s: s.claim(UPLOAD.sid, State.ABORTING, LEASE, seen=UPLOAD),
    "claim what was not": lambda s: s.claim_active(UPLOAD.grant, State.COMPLETING, LEASE),
    "extend": lambda s: s.extend(UPLOAD, LATER, LATER),
    "report": lambda s: s.report(UPLOAD, [1, 2]),
    "remove": lambda s: s.remove(UPLOAD.sid, UPLOAD.epoch),
}


@pytest.mark.parametrize("name", CALLS)
async def test_it_is_unavailable_and_stays_as_it_is(
    redis_sessions: RedisSessionStore, redis: Redis, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    await redis_sessions.insert(UPLOAD, LATER)
    await redis.hset(KEY, mapping={"form": FORM + 1, "later": "a field that is not known yet"})
    before = await redis.hgetall(KEY), await redis.pttl(KEY)
    with pytest.raises(SessionsUnavailable):
        await CALLS[name](redis_sessions)
    row, life = await redis.hgetall(KEY), await redis.pttl(KEY)
    assert (row, life) == (before[0], pytest.approx(before[1], abs=60_000))
    assert f"upload {UPLOAD.sid}: its session record is of a later version" in caplog.text


async def test_others_are_listed_and_taken(redis_sessions: RedisSessionStore, redis: Redis) -> None:
    other = an_upload(name="other")
    for upload in (UPLOAD, other):
        await redis_sessions.insert(upload, START)
    await redis.hset(KEY, "form", FORM + 1)
    listed, _ = await redis_sessions.list_uploads(UPLOAD.grant.caller, UploadFilter(), limit=10)
    assert [each.sid for each in listed] == [other.sid]
    assert other.sid in await redis_sessions.take_due(10, LEASE)
    assert await redis.exists(KEY)
