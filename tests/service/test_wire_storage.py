"""Tests faults between service and storage: lost replies, and storage asking for fewer calls."""

import asyncio
import uuid
from functools import partial

import pytest
from partway.v1 import upload_pb2

from tests.support.calls import ABOUT_AN_UPLOAD, call
from tests.support.relay import INFINITY, LOST, End, Fault
from tests.support.storage import error_answer
from tests.support.wired import (
    ABORT,
    COMPLETE,
    CREATE,
    EVERY,
    HEAD,
    LIST_MULTIPARTS,
    LIST_PARTS,
    Wired,
    in_ways,
)
from tests.support.world import failure

pytestmark = [pytest.mark.redis, pytest.mark.s3]

OPERATIONS = {
    "create": CREATE,
    "list multiparts": LIST_MULTIPARTS,
    "list parts": LIST_PARTS,
    "complete": COMPLETE,
    "head": HEAD,
    "abort": ABORT,
}

TRIES = 3
"""How often the SDK sends a request that may be retried."""

SLOW_DOWN = Fault(request_bytes=0, answer=error_answer("503 Slow Down", "SlowDown"), end=End.CLOSE)


STORM = TRIES + 1
"""Consecutive faults: more than the tries of one call."""


async def live_and_end(wired: Wired, failures: int = 1) -> None:
    """Complete one upload and abort another, by calls that fail at most `failures` times each."""

    async def opened() -> upload_pb2.Upload:
        request_id = str(uuid.uuid4())
        return await wired.answered(
            lambda: wired.multipart(request_id=request_id), failures=failures
        )

    kept, thrown = await opened(), await opened()
    for send in (partial(wired.world.send, upload) for upload in (kept, thrown)):
        await wired.answered(send, failures=failures)
    stored = await wired.answered(lambda: wired.world.complete(kept), failures=failures)
    wired.assert_stored(stored)
    aborted = await wired.answered(lambda: wired.world.abort(thrown), failures=failures)
    assert aborted.state == upload_pb2.UPLOAD_STATE_ABORTED
    assert await wired.world.complete(kept) == stored
    await wired.assert_left(stored)


@in_ways(LOST)
@pytest.mark.parametrize("operation", ["create", "list parts", "complete", "head", "abort"])
async def test_a_lost_reply_is_found_out_about(wired: Wired, operation: str, way: Fault) -> None:
    wired.storage.on(OPERATIONS[operation], way)
    await live_and_end(wired)
    assert wired.storage.struck == 1


async def test_slow_storage_is_waited_for(wired: Wired) -> None:
    wired.storage.delay = 0.05
    wired.storage.bytes_per_second = 30_000
    await live_and_end(wired, failures=0)


@pytest.mark.parametrize("fault", [SLOW_DOWN, LOST["reset"]], ids=["SlowDown", "lost replies"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_uploads_end_well_after_a_storm(wired: Wired, operation: str, fault: Fault) -> None:
    if operation == "list multiparts":
        # Storage gets this request only after an interrupted Initialize.
        wired.storage.on(CREATE, fault)
    wired.storage.on(OPERATIONS[operation], fault, times=STORM)
    await live_and_end(wired, failures=STORM)
    assert wired.storage.struck >= (STORM if fault is SLOW_DOWN else 1)


async def test_no_call_hammers_at_storage_that_asks_for_less(wired: Wired) -> None:
    uploads = {name: await wired.sent() for name in ABOUT_AN_UPLOAD}
    # These send no request to storage.
    del uploads["PresignParts"], uploads["ReportParts"], uploads["ExtendUpload"]
    wired.storage.requests.clear()
    wired.storage.on(EVERY, SLOW_DOWN, times=INFINITY)
    failures = await asyncio.gather(
        failure(wired.multipart(file_name="new")),
        *(failure(call(wired.world.stub, n, ABOUT_AN_UPLOAD[n](u.id))) for n, u in uploads.items()),
    )
    for found in failures:
        assert (found.code, found.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
        assert found.details["RetryInfo"].retry_delay.ToMilliseconds() > 0
    for name, upload in uploads.items():
        assert wired.storage.count(upload.object.key.encode()) == TRIES, name
    # A request that must not be retried is sent only once.
    assert wired.storage.count(rb"/new\?uploads") == 1
    assert len(wired.storage.requests) == 1 + TRIES * len(uploads)

    wired.storage.spare()
    done = [await wired.world.complete(u) for n, u in uploads.items() if n != "Abort"]
    for upload in done:
        wired.assert_stored(upload)
    await wired.assert_left(*done)


async def test_the_janitor_does_not_hammer_either(wired: Wired) -> None:
    uploads = [await wired.sent() for _ in range(3)]
    wired.world.clock.advance(7 * 24 * 3600)
    wired.storage.requests.clear()
    wired.storage.on(EVERY, SLOW_DOWN, times=INFINITY)
    await wired.world.service.janitor.sweep()
    assert len(wired.storage.requests) == TRIES * len(uploads)
    # The janitor has postponed them.
    await wired.world.service.janitor.sweep()
    assert len(wired.storage.requests) == TRIES * len(uploads)
    await wired.assert_left()
