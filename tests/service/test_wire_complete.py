"""Tests ambiguous answers to CompleteMultipartUpload, after which HEAD decides.

A 200 may come before the outcome is known, with an error, or nothing, after it
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
"""

from dataclasses import replace

import pytest

from tests.support.relay import End, Fault
from tests.support.storage import answer, error_answer
from tests.support.wired import COMPLETE, HEAD, LIST_PARTS, Wired, in_ways

pytestmark = [pytest.mark.redis, pytest.mark.s3]

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

RESULT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Bucket>wire</Bucket><Key>film.mp4</Key><ETag>&quot;0123"
)
"""Half of a result."""

WAYS = {
    "200 with an error in it": Fault(answer=error_answer("200 OK", "InternalError"), end=End.CLOSE),
    "200, whitespace, reset": Fault(answer=CHUNKED + b"3\r\n \r\n\r\n" * 5, end=End.RESET),
    "200 and half the XML": Fault(answer=answer("200 OK", RESULT), end=End.CLOSE),
    "200 and half of the body": Fault(
        answer=answer("200 OK", RESULT + " " * 100)[:-100], end=End.CLOSE
    ),
    "200 and nothing": Fault(answer=answer("200 OK"), end=End.CLOSE),
    "200 and silence": Fault(answer=CHUNKED, end=End.SILENCE),
    "500": Fault(answer=error_answer("500 Internal Server Error", "InternalError"), end=End.CLOSE),
    "503 SlowDown": Fault(answer=error_answer("503 Slow Down", "SlowDown"), end=End.CLOSE),
    "404 NoSuchUpload": Fault(answer=error_answer("404 Not Found", "NoSuchUpload"), end=End.CLOSE),
}

DONE = pytest.mark.parametrize("done", [True, False], ids=["storage did it", "it did not"])


@DONE
@in_ways(WAYS)
async def test_the_answer_is_what_storage_has(wired: Wired, way: Fault, done: bool) -> None:
    upload = await wired.sent()
    wired.storage.on(COMPLETE, replace(way, request_bytes=None if done else 0))
    stored = await wired.world.complete(upload)
    wired.assert_stored(stored)
    # If storage had completed the upload, it is not asked to do so again.
    assert wired.storage.count(COMPLETE) == (1 if done else 2)
    assert await wired.world.complete(upload) == stored
    await wired.assert_left(stored)


@in_ways({name: way for name, way in WAYS.items() if way.end is not End.SILENCE})
async def test_storage_that_never_does_it_is_told_of_as_such(wired: Wired, way: Fault) -> None:
    upload = await wired.sent()
    wired.storage.on(COMPLETE, replace(way, request_bytes=0), times=4)
    stored = await wired.answered(lambda: wired.world.complete(upload))
    assert wired.storage.struck == 4
    wired.assert_stored(stored)
    await wired.assert_left(stored)


@DONE
@pytest.mark.parametrize("look", [HEAD, LIST_PARTS], ids=["HEAD", "ListParts"])
async def test_nothing_is_told_while_storage_cannot_be_looked_into(
    wired: Wired, look: bytes, done: bool
) -> None:
    upload = await wired.sent()
    wired.storage.on(COMPLETE, Fault(request_bytes=None if done else 0))
    # The parts are listed once before that.
    wired.storage.on(look, WAYS["503 SlowDown"], skip=look is LIST_PARTS, times=3)
    stored = await wired.answered(lambda: wired.world.complete(upload))
    wired.assert_stored(stored)
    assert wired.storage.count(COMPLETE) == (1 if done else 2)
    await wired.assert_left(stored)


async def test_the_janitor_ends_what_nobody_asks_for_again(wired: Wired) -> None:
    done, not_done = await wired.sent(), await wired.sent()
    for upload, request_bytes in ((done, None), (not_done, 0)):
        wired.storage.on(COMPLETE, Fault(request_bytes=request_bytes))
        wired.storage.on(HEAD, WAYS["503 SlowDown"], times=3)
        with pytest.raises(Exception, match="storage is not responding"):
            await wired.world.complete(upload)
        wired.storage.spare()
    wired.world.clock.advance(60)
    await wired.world.service.janitor.sweep()
    stored = [await wired.world.complete(upload) for upload in (done, not_done)]
    for upload in stored:
        wired.assert_stored(upload)
    assert wired.storage.count(COMPLETE) == 3
    await wired.assert_left(*stored)
