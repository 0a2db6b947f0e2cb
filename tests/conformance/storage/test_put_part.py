"""Tests put_part: what storage makes of a part that arrives piece by piece."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from partway_server.devstack.servers import S3
from partway_server.domain.errors import PartChanged, StorageRefused, StorageUnavailable
from partway_server.domain.grant import Grant
from partway_server.domain.part_plan import Plan
from partway_server.storage.base import KeyContested, KeyTaken, MultipartNotFound, StoredPart

from tests.support.storage import answer, canned_s3, error_answer
from tests.support.stores import (
    BODY,
    ENDED,
    IN_FLIGHT,
    MOTO,
    RCLONE,
    REFUSALS_HEARD,
    Store,
    open_s3,
)
from tests.support.uploads import an_upload

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def in_pieces(body: bytes, *, fails: bool = False) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 4):
        if fails and at:
            raise InterruptedError
        yield body[at : at + 4]


async def put(
    store: Store, grant: Grant, body: AsyncIterator[bytes], checksum: bytes = b""
) -> StoredPart:
    return await store.storage.put_part(grant, 1, body, checksum, datetime.now(UTC))


async def put_until_it_answers(store: Store, grant: Grant, body: bytes) -> None:
    """PUT what is refused. Ceph and MinIO answer before they have the body, and close."""
    for _ in range(10):
        # The reset may overtake the answer.
        with contextlib.suppress(StorageUnavailable):
            await put(store, grant, in_pieces(body))


async def test_a_part_is_stored_as_it_came(store: Store) -> None:
    grant = await store.opened(store.grant())
    stored = await put(store, grant, in_pieces(BODY))
    [listed] = await store.storage.list_parts(grant)
    assert (stored.number, stored.size_bytes) == (1, len(BODY))
    assert (listed.size_bytes, listed.etag) == (stored.size_bytes, stored.etag)


async def test_an_object_is_stored_by_one_put(store: Store) -> None:
    if not store.can.safe_puts:
        pytest.skip("the record says that a URL for one PUT is not safe")
    for body in (BODY, b""):
        grant = store.grant(body, single=True)
        await put(store, grant, in_pieces(body))
        head = await store.storage.head(grant)
        assert head is not None
        assert (head.size_bytes, head.write_token) == (len(body), grant.write_token)
        if REFUSALS_HEARD in store.lacks:
            continue
        with pytest.raises(KeyTaken):
            await put_until_it_answers(store, grant, body)


async def test_what_breaks_off_is_not_stored_and_comes_out(store: Store) -> None:
    store.claims(IN_FLIGHT)
    multipart = await store.opened(store.grant())
    for grant in (multipart, store.grant(single=True)):
        with pytest.raises(InterruptedError):
            await put(store, grant, in_pieces(BODY, fails=True))
        assert await store.storage.list_parts(grant) == []


async def test_an_upload_that_is_gone_is_not_found(store: Store) -> None:
    store.claims(ENDED)
    store.claims(REFUSALS_HEARD)
    if store.can in (MOTO, RCLONE):
        pytest.skip("moto answers 500 to such a part, and rclone hangs up")
    grant = await store.opened(store.grant())
    await store.storage.abort(grant)

    with pytest.raises(MultipartNotFound):
        await put_until_it_answers(store, grant, BODY)


@pytest.mark.parametrize(
    ("reply", "single", "error"),
    [
        (error_answer("404 Not Found", "NoSuchUpload"), False, MultipartNotFound),
        (error_answer("400 Bad Request", "BadDigest"), False, PartChanged),
        (error_answer("400 Bad Request", "XAmzContentChecksumMismatch"), False, PartChanged),
        (error_answer("400 Bad Request", "IncompleteBody"), False, StorageUnavailable),
        (error_answer("400 Bad Request", "RequestTimeout"), False, StorageUnavailable),
        (error_answer("503 Slow Down", "SlowDown"), False, StorageUnavailable),
        (error_answer("403 Forbidden", "AccessDenied"), False, StorageRefused),
        (error_answer("404 Not Found", "NoSuchBucket"), True, StorageRefused),
        (error_answer("412 Precondition Failed", "PreconditionFailed"), True, KeyTaken),
        (error_answer("409 Conflict", "ConditionalRequestConflict"), True, KeyContested),
        (error_answer("307 Temporary Redirect", "TemporaryRedirect"), False, StorageRefused),
        (answer("307 Temporary Redirect"), False, StorageUnavailable),
        (b"", False, StorageUnavailable),
        (b"HTTP/1.1 nonsense\r\n\r\n", False, StorageUnavailable),
    ],
)
async def test_each_answer_means_what_it_says(
    reply: bytes, single: bool, error: type[Exception]
) -> None:
    async with canned_s3(reply, reply) as fake:
        s3 = S3(fake.endpoint, "us-east-1", "key", "secret", "bucket")
        storage = await open_s3(s3)
        grant = _grant(single=single)
        with pytest.raises(error) as raised:
            await storage.put_part(grant, 1, in_pieces(BODY), b"", datetime.now(UTC))
        await storage.aclose()
    assert "X-Amz" not in str(raised.value)


async def test_storage_that_takes_nothing_is_not_waited_for() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    asked, stop = 0, asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield bytes(1024 * 1024)

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    async with server:
        port = server.sockets[0].getsockname()[1]
        s3 = S3(f"http://127.0.0.1:{port}", "us-east-1", "key", "secret", "bucket")
        storage = await open_s3(s3, put_seconds=0.3)
        grant = _grant(size=1024 * 1024 * 1024)
        with pytest.raises(StorageUnavailable):
            await storage.put_part(grant, 1, endless(), b"", datetime.now(UTC))
        await storage.aclose()
        stop.set()
    # What two sockets hold in the kernel, and no more.
    assert asked < 16


def _grant(*, size: int = len(BODY), single: bool = False) -> Grant:
    opened = an_upload().grant
    return replace(opened, plan=Plan(size, max(size, 1)), single=single, multipart_id="m")
