"""Tests the previous version and the present one on the same uploads, Redis and storage.

Both run side by side during every deployment. Each must continue what the other made, so each test
of an upload runs in both directions.
"""

import asyncio
import itertools
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from partway.v1 import upload_pb2

from tests.support.bucket import Bucket
from tests.support.previous_version import (
    PRESENT,
    PREVIOUS,
    REVISION,
    ROOT,
    Deployment,
    check_out,
)
from tests.support.version_sides import (
    ABORTED,
    COMPLETED,
    KINDS,
    SMALL,
    TWO_PARTS,
    Pair,
    body,
    completed,
    in_common,
    part_body,
    refusal,
    sha256,
)

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(90)]


async def test_each_process_runs_the_code_of_its_version(
    deployment: Deployment, previous: Path
) -> None:
    for name, tree in ((PREVIOUS, previous), (PRESENT, ROOT)):
        found = deployment.services[name].imported_from()
        assert found == [
            tree / "generated" / "partway" / "__init__.py",
            tree / "server" / "partway_server" / "__init__.py",
        ]


def test_a_revision_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="the previous version, 0000000") as failed:
        check_out(tmp_path, "0" * 40)
    assert "git fetch --unshallow" in str(failed.value)
    assert "PARTWAY_TEST_PREVIOUS" in str(failed.value)
    assert re.fullmatch("[0-9a-f]{7,40}", REVISION)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_upload_goes_back_and_forth(pair: Pair, bucket: Bucket, kind: str) -> None:
    first, other = pair
    upload = await first.initialize(**KINDS[kind])
    assert (await other.status(upload)).upload == upload
    stream = other.watch(upload)
    assert in_common(await stream.read()).upload == upload

    several = upload.part_count > 1
    sent = await other.send(upload) if several else []
    for side, number in zip(itertools.cycle(pair), range(1, upload.part_count + 1), strict=False):
        size = len(part_body(upload, number))
        await side.report(upload, upload_pb2.Part(part_number=number, size_bytes=size))
        await watch_until(stream, lambda seen, n=number: seen.reported.parts_stored == n)
    assert (await other.status(upload)).reported == (await first.status(upload)).reported
    if several:
        held = await first.parts(upload)
        assert await other.parts(upload) == held
        assert [part.etag for part in held] == [part.etag for part in sent]
    else:
        # Not before: one PUT makes the object, and whichever looks first completes the upload.
        await other.send(upload)
        # A process that knows the record to be the latest does not look.
        await other.status(upload)
    found = await first.status(upload)
    assert found.progress.bytes_stored == upload.size_bytes
    assert await other.status(upload) == found

    finished = await first.complete(upload)
    assert finished.state == COMPLETED
    assert await other.complete(upload) == finished
    assert (await watch_until(stream, lambda seen: seen.upload.state == COMPLETED)) == finished
    assert await other.status(upload) == await first.status(upload)
    assert bucket.sha256(finished.object.key) == sha256(upload)


async def watch_until(stream: Any, seen: Any) -> upload_pb2.Upload:
    """Read the stream up to the expected message; return its Upload."""
    async with asyncio.timeout(40):
        while not seen(message := in_common(await stream.read())):
            assert message, "the stream ended before"
    upload: upload_pb2.Upload = message.upload
    return upload


async def test_a_request_id_opens_one_upload(pair: Pair, bucket: Bucket) -> None:
    first, other = pair
    fields = {**TWO_PARTS, "request_id": str(uuid4()), "fingerprint": "film"}
    upload = await first.initialize(**fields)
    assert await other.initialize(**fields) == upload
    changed = {**fields, "size_bytes": 1}
    expected = ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert await refusal(other.initialize(**changed)) == expected
    assert bucket.unfinished(upload.object.key) == 1

    for _ in range(5):
        fields["request_id"] = str(uuid4())
        one, two = await asyncio.gather(*(side.initialize(**fields) for side in pair))
        assert one == two
    assert len((await first.listed()).uploads) == 6


async def test_an_abort_holds_on_both(pair: Pair, bucket: Bucket) -> None:
    first, other = pair
    upload = await first.initialize(**TWO_PARTS)
    await other.send(upload, 1)
    aborted = await first.abort(upload)
    assert aborted.state == ABORTED
    assert aborted.abort_reason == upload_pb2.ABORT_REASON_REQUESTED
    assert (await other.status(upload)).upload == aborted
    assert await other.abort(upload) == aborted
    assert await refusal(other.complete(upload)) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert bucket.unfinished(upload.object.key) == 0


async def test_completes_on_both_at_the_same_moment_make_one_object(
    pair: Pair, bucket: Bucket
) -> None:
    first, other = pair

    async def race(**fields: Any) -> None:
        upload = await first.initialize(**fields)
        await other.send(upload)
        one, two = await asyncio.gather(*(side.complete(upload) for side in pair))
        assert one.state == COMPLETED
        assert one == two
        assert bucket.sha256(one.object.key) == sha256(upload)

    await asyncio.gather(*(race(**fields) for fields in (TWO_PARTS, SMALL) * 3))
    contents = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix=first.caller[0][1])
    assert contents["KeyCount"] == 6


async def test_parts_pass_through_either(pair: Pair, bucket: Bucket) -> None:
    first, other = pair
    upload = await first.initialize(**TWO_PARTS)
    sent = [await other.send_through(upload, 1), await first.send_through(upload, 2)]
    assert await other.parts(upload) == sent
    assert (await first.status(upload)).reported.parts_stored == 2
    finished = await other.complete(upload)
    assert await first.complete(upload) == finished
    assert bucket.sha256(finished.object.key) == sha256(upload)


async def test_one_composes_what_the_other_made(pair: Pair, bucket: Bucket) -> None:
    first, other = pair
    sources = [await completed(first, **TWO_PARTS), await completed(first, **SMALL)]
    fields = {"request_id": str(uuid4()), "fingerprint": "whole"}
    made = await other.compose(*sources, **fields)
    assert (made.state, made.source_count) == (COMPLETED, 2)
    assert await first.compose(*sources, **fields) == made
    assert await first.status(made) == await other.status(made)
    assert bucket.body(made.object.key) == b"".join(map(body, sources))
    # Further: of what both made.
    again = await first.compose(sources[0], made)
    assert bucket.body(again.object.key) == body(sources[0]) + b"".join(map(body, sources))


async def test_both_list_the_same(pair: Pair) -> None:
    first, other = pair
    made = [await side.initialize(**SMALL, fingerprint="film") for side in pair * 3]
    await other.abort(made[0])
    whole = list((await first.listed()).uploads)
    assert {upload.id for upload in whole} == {upload.id for upload in made}
    assert list((await other.listed()).uploads) == whole
    for fields in ({"state": ABORTED}, {"fingerprint": "film"}, {"policy": "default"}):
        assert await first.listed(**fields) == await other.listed(**fields)

    # Page tokens are of another form since, so each continues its own.
    for side in pair:
        paged: list[upload_pb2.Upload] = []
        token = ""
        while not paged or token:
            page = await side.listed(page_size=2, page_token=token)
            paged += page.uploads
            token = page.next_page_token
        assert paged == whole
