"""Tests faults between the service and Redis, at each script of an upload's life in turn."""

import uuid
from itertools import count

import pytest
from partway.v1 import upload_pb2

from tests.support.relay import LOST, Fault
from tests.support.upload_situations import LEASE
from tests.support.wired import Wired, in_ways

pytestmark = [pytest.mark.redis, pytest.mark.s3]

SCRIPT = rb"EVALSHA"

WAYS = {
    **LOST,
    "half a reply": Fault(reply_bytes=3),
    "reset before": Fault(request_bytes=0),
}

AWAY = 12
"""More than the consecutive tries of any call: Redis is gone for a while."""


async def live(wired: Wired, failures: int) -> upload_pb2.Upload:
    """Complete one upload, abort another, check that storage agrees; return the completed one."""
    lease = LEASE.total_seconds() + 1

    async def opened() -> upload_pb2.Upload:
        request_id = str(uuid.uuid4())
        return await wired.answered(
            lambda: wired.multipart(request_id=request_id), failures=failures, wait=lease
        )

    thrown, kept = await opened(), await opened()
    for upload in (thrown, kept):
        await wired.world.send(upload)
    await wired.answered(lambda: wired.world.abort(thrown), failures=failures, wait=lease)
    assert await wired.world.state(thrown) == "ABORTED"
    stored = await wired.completed(kept, failures)
    wired.assert_stored(stored)
    assert await wired.world.complete(kept) == stored
    return stored


@in_ways(WAYS)
async def test_callers_do_not_notice(wired: Wired, way: Fault) -> None:
    await live(wired, failures=0)
    stored = []
    for nth in count():
        wired.redis.on(SCRIPT, way, skip=nth)
        stored.append(await live(wired, failures=0))
        wired.redis.spare()
        if wired.redis.struck == nth:
            break
    assert len(stored) > 8
    for upload in stored:
        wired.assert_stored(upload)


@pytest.mark.parametrize("way", ["reset", "reset before"])
async def test_callers_are_told_to_come_back_when_redis_is_away(wired: Wired, way: str) -> None:
    stored = []
    for nth in count():
        wired.redis.on(SCRIPT, WAYS[way], skip=nth, times=AWAY)
        before = wired.redis.struck
        stored.append(await live(wired, failures=AWAY))
        wired.redis.spare()
        if wired.redis.struck == before:
            break
    assert len(stored) > 8
    await wired.assert_left(*stored)
