"""Tests what the clients make of answers that are not S3's, over real connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from partway_server.devstack.servers import S3
from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.grant import CopySource, Grant
from partway_server.storage.base import CompleteUnknown, Head, Storage, StoredPart
from partway_server.storage.s3 import S3Storage
from partway_server.storage.s3_lean_calls import LeanCalls

from tests.support.storage import answer, error_answer
from tests.support.stores import memory_store, open_s3

PART = StoredPart(1, 9, "0" * 32)
SOURCE = CopySource("bucket", "a key", 7, "etag", "token")

Call = Callable[[Storage, Grant], Awaitable[Any]]

ONCE: dict[str, Call] = {
    "create": lambda storage, grant: storage.create(grant, {}),
    "copy": lambda storage, grant: storage.copy_part(grant, 1, SOURCE, 0, 7),
    "complete": lambda storage, grant: storage.complete(grant, [PART]),
    "delete": lambda storage, grant: storage.delete(grant, Head(1, "0" * 32, "")),
}
REPEATED: dict[str, Call] = {
    "list": lambda storage, grant: storage.list_parts(grant),
    "head": lambda storage, grant: storage.head(grant),
    "abort": lambda storage, grant: storage.abort(grant),
}
WITH_RESULT = ("create", "copy", "complete", "list")
BOTH = pytest.mark.parametrize("client", ["lean", "sdk"])


@dataclass(slots=True)
class Scripted:
    """A server that answers each request in turn: bytes are sent and the connection is closed.

    Bytes in a list are sent, and the connection is kept for the next request. After the last
    answer, that is repeated.
    """

    answers: Sequence[bytes | list[bytes]]
    requests: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.requests.append(head)
                if "expect: 100-continue" in head.lower():
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
                await reader.readexactly(int(length or 0))
                found = self.answers[min(len(self.requests), len(self.answers)) - 1]
                for piece in [found] if isinstance(found, bytes) else found:
                    writer.write(piece)
                    await writer.drain()
                if isinstance(found, bytes):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # The client hung up.
        finally:
            writer.close()


@asynccontextmanager
async def storage_of(
    *answers: bytes | list[bytes], client: str = "lean", **changes: Any
) -> AsyncIterator[tuple[S3Storage, Scripted]]:
    scripted = Scripted(answers)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        s3 = S3(f"http://127.0.0.1:{port}", "us-east-1", "AKID", "a-secret", "bucket")
        storage = await open_s3(s3, client=client, **changes)
        if isinstance(storage._calls, LeanCalls):
            storage._calls._sleep = no_sleep
        try:
            yield storage, scripted
        finally:
            await storage.aclose()


async def no_sleep(seconds: float) -> None:
    assert 0 <= seconds <= 2


def a_grant(**changes: Any) -> Grant:
    return memory_store().grant(**{"bucket": "bucket", "multipart_id": "some-id", **changes})


def kept(status: str, body: str = "", headers: str = "") -> list[bytes]:
    text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}"
    return [text.encode()]


def chunked(body: str, *, whole: bool) -> bytes:
    end = "0\r\n\r\n" if whole else ""
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    pieces = (body[at : at + 7] for at in range(0, len(body), 7))
    return (head + "".join(f"{len(p):x}\r\n{p}\r\n" for p in pieces) + end).encode()


ID = "x-amz-request-id: 1\r\n"
LISTED = (
    "<ListPartsResult><UploadId>some-id</UploadId><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber>"
    "<LastModified>2026-03-01T00:00:00Z</LastModified><ETag>a</ETag><Size>9</Size></Part>"
    "</ListPartsResult>"
)
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HTML = "<html><body>502 Bad Gateway</body></html>"

NO_RESULT = {
    "html": answer("200 OK", HTML),
    "html with a DTD": answer("200 OK", f"<!DOCTYPE html>{HTML}"),
    "text": answer("200 OK", "upstream connect error"),
    "empty": answer("200 OK"),
    "no content": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "another result": answer("200 OK", "<ListBucketResult/>"),
    "half a document": answer("200 OK", LISTED[:100]),
    "half a body": answer("200 OK", LISTED)[:-40],
    "chunks that break off": chunked(LISTED, whole=False),
    "no length, half a document": b"HTTP/1.1 200 OK\r\n\r\n" + LISTED[:100].encode(),
    "laughs": answer("200 OK", f'<!DOCTYPE l [<!ENTITY l0 "ha">{LAUGHS}]><l>&l9;</l>'),
    "too deep": answer("200 OK", "<a>" * 10_000),
    "a reset": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "an error in a 200": error_answer("200 OK", "InternalError"),
    "an error in a 200, of an operator": error_answer("200 OK", "AccessDenied"),
    "compressed": answer("200 OK", "\x1f\x08 not gzip"),
}


@pytest.mark.parametrize("name", WITH_RESULT)
@pytest.mark.parametrize("reply", NO_RESULT.values(), ids=NO_RESULT)
async def test_what_is_not_the_result_concludes_nothing(name: str, reply: bytes) -> None:
    expected = CompleteUnknown if name == "complete" else StorageUnavailable
    async with storage_of(reply) as (storage, server):
        with pytest.raises(expected):
            await {**ONCE, **REPEATED}[name](storage, a_grant())
    if name in ONCE:
        assert len(server.requests) == 1


def page(status: str, body: str = HTML) -> bytes:
    return answer(status, body, "Content-Type: text/html; charset=utf-8\r\n")


NOT_S3 = {
    "200, empty": answer("200 OK"),
    "200, a page": page("200 OK", f"<!DOCTYPE html>{HTML}<p>"),
    "200, a page that is XML": page("200 OK"),
    "200, a page of no type": answer("200 OK", HTML),
    "200, half a document": answer("200 OK", LISTED[:100]),
    "200, another document": answer(
        "200 OK", "<ListBucketResult><Name>b</Name></ListBucketResult>"
    ),
    "200, an error": error_answer("200 OK", "InternalError"),
    "204": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "302": answer("302 Found", "", "Location: https://login.example/\r\n"),
    "403, a page": page("403 Forbidden"),
    "403, empty": answer("403 Forbidden"),
    "404, a page": page("404 Not Found"),
    "404, a page with headers of S3's": answer(
        "404 Not Found", HTML, f"Content-Type: text/html\r\n{ID}"
    ),
    "404, empty": answer("404 Not Found"),
    "404, half an error": answer("404 Not Found", "<Error><Code>NoSuchUp"),
    "404, of a CDN": answer("404 Not Found", HTML, "x-amz-cf-id: 1\r\n"),
    "412, a page": page("412 Precondition Failed"),
    "409, a page": page("409 Conflict"),
    "501, a page": page("501 Not Implemented"),
    "503, a page": page("503 Service Unavailable"),
}


async def _all(found: AsyncIterator[Any]) -> None:
    async for _ in found:
        pass


async def _put_part(storage: Storage, grant: Grant) -> StoredPart:
    async def body() -> AsyncIterator[bytes]:
        yield b"123456789"

    return await storage.put_part(grant, 1, body(), b"", datetime.now(UTC))


EVERY: dict[str, Call] = {
    **ONCE,
    **REPEATED,
    "list uploads at a key": lambda storage, grant: storage.list_multiparts(grant),
    "list uploads": lambda storage, grant: _all(storage.unfinished("test", grant.bucket, "")),
    "probe a part": lambda storage, grant: storage.etags_are_md5(grant),
    "probe an object": lambda storage, grant: storage.etags_are_md5(replace(grant, single=True)),
    "put a part": _put_part,
    "put an object": lambda storage, grant: _put_part(storage, replace(grant, single=True)),
}


@BOTH
@pytest.mark.parametrize("name", EVERY)
async def test_what_is_no_answer_of_s3_concludes_nothing(client: str, name: str) -> None:
    expected = CompleteUnknown if name == "complete" else StorageUnavailable
    wrong: dict[str, object] = {}
    async with storage_of(b"", client=client) as (storage, server):
        for reply, sent in NOT_S3.items():
            server.answers = [sent]
            try:
                wrong[reply] = await EVERY[name](storage, a_grant())
            except Exception as error:
                if not isinstance(error, expected):
                    wrong[reply] = error
    assert not wrong


def done(headers: str = "") -> bytes:
    return f"HTTP/1.1 204 No Content\r\n{headers}Connection: close\r\n\r\n".encode()


@BOTH
@pytest.mark.parametrize("name", ["abort", "delete"])
async def test_an_answer_with_headers_of_s3_is_not_doubted(client: str, name: str) -> None:
    async with storage_of(done(ID), client=client) as (storage, server):
        await EVERY[name](storage, a_grant())
    assert len(server.requests) == 1


@BOTH
async def test_an_abort_that_may_be_a_proxys_is_verified(client: str) -> None:
    gone = error_answer("404 Not Found", "NoSuchUpload")
    async with storage_of(done(), gone, client=client) as (storage, server):
        await storage.abort(a_grant())
    assert [request.split()[0] for request in server.requests] == ["DELETE", "GET"]
    async with storage_of(done(), answer("200 OK", LISTED), client=client) as (storage, _):
        with pytest.raises(StorageUnavailable):
            await storage.abort(a_grant())


@BOTH
async def test_a_delete_that_may_be_a_proxys_is_verified(client: str) -> None:
    absent, there = answer("404 Not Found", "", ID), answer("200 OK", "", f"ETag: e\r\n{ID}")
    async with storage_of(done(), absent, client=client) as (storage, server):
        await storage.delete(a_grant(), Head(0, "e", ""))
    assert [request.split()[0] for request in server.requests] == ["DELETE", "HEAD"]
    async with storage_of(done(), there, client=client) as (storage, _):
        with pytest.raises(StorageUnavailable):
            await storage.delete(a_grant(), Head(0, "e", ""))


@BOTH
async def test_a_missing_object_is_shown_by_a_header_or_by_a_body(client: str) -> None:
    bare, missing = answer("404 Not Found"), error_answer("404 Not Found", "NoSuchKey")
    async with storage_of(answer("404 Not Found", "", ID), client=client) as (storage, server):
        assert await storage.head(a_grant()) is None
    assert len(server.requests) == 1
    async with storage_of(bare, missing, client=client) as (storage, server):
        assert await storage.head(a_grant()) is None
    assert [request.split()[0] for request in server.requests] == ["HEAD", "GET"]
    denied = error_answer("403 Forbidden", "AccessDenied")
    async with storage_of(bare, denied, client=client) as (storage, _):
        with pytest.raises(StorageRefused, match="AccessDenied"):
            await storage.head(a_grant())
    async with storage_of(bare, answer("200 OK", "x"), client=client) as (storage, _):
        with pytest.raises(StorageUnavailable):
            await storage.head(a_grant())


@BOTH
@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n",
        "HTTP/1.1 200 OK\r\nETag: \r\nContent-Length: 9\r\n",
    ],
)
async def test_a_head_without_an_etag_is_no_object(client: str, head: str) -> None:
    async with storage_of(f"{head}Connection: close\r\n\r\n".encode(), client=client) as opened:
        with pytest.raises(StorageUnavailable):
            await opened[0].head(a_grant())


async def test_a_head_without_a_length_is_no_object() -> None:
    reply = b"HTTP/1.1 200 OK\r\nETag: e\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    async with storage_of(reply) as (storage, _):
        with pytest.raises(StorageUnavailable):
            await storage.head(a_grant())


@BOTH
@pytest.mark.parametrize("body", [LISTED, f" \n {LISTED}"], ids=["plain", "spaces first"])
async def test_a_chunked_answer_is_an_answer(client: str, body: str) -> None:
    async with storage_of(chunked(body, whole=True), client=client) as (storage, _):
        assert await storage.list_parts(a_grant()) == [StoredPart(1, 9, "a")]


@BOTH
@pytest.mark.parametrize("name", ONCE)
@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Slow Down", "429 Slow"])
async def test_what_must_not_be_repeated_is_sent_once(client: str, name: str, status: str) -> None:
    expected = CompleteUnknown if name == "complete" else StorageUnavailable
    async with storage_of(error_answer(status, "SlowDown"), client=client) as (storage, server):
        with pytest.raises(expected):
            await ONCE[name](storage, a_grant())
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ONCE)
async def test_a_lost_reply_on_a_kept_connection_repeats_nothing(name: str) -> None:
    found = kept("200 OK", headers=f"ETag: e\r\n{ID}")
    async with storage_of(found, b"") as (storage, server):
        # The first request opens the connection that the second loses.
        assert await storage.head(a_grant()) is not None
        sent = len(server.requests)
        with pytest.raises((StorageUnavailable, CompleteUnknown)):
            await ONCE[name](storage, a_grant())
    assert len(server.requests) == sent + 1


async def test_a_connection_that_storage_has_closed_fails_no_list() -> None:
    listed = kept("200 OK", LISTED)
    async with storage_of(listed, b"", listed) as (storage, server):
        assert len(await storage.list_parts(a_grant())) == 1
        assert len(await storage.list_parts(a_grant())) == 1
        assert (len(server.requests), server.connections) == (3, 2)


@BOTH
@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.parametrize(
    ("status", "code", "tries"),
    [
        ("500 Internal Server Error", "InternalError", 3),
        ("503 Slow Down", "SlowDown", 3),
        ("403 Forbidden", "AccessDenied", 1),
        ("501 Not Implemented", "NotImplemented", 1),
    ],
)
async def test_what_may_be_repeated_is_where_it_helps(
    client: str, name: str, status: str, code: str, tries: int
) -> None:
    expected = StorageUnavailable if tries > 1 else StorageRefused
    reply = answer(status, "", ID) if name == "head" else error_answer(status, code)
    async with storage_of(reply, client=client) as (storage, server):
        with pytest.raises(expected):
            await REPEATED[name](storage, a_grant())
    assert len(server.requests) == tries


@BOTH
@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("create", "CreateMultipartUpload"),
        ("copy", "UploadPartCopy"),
        ("complete", "CompleteMultipartUpload"),
        ("delete", "DeleteObject"),
        ("list", "ListParts"),
        ("abort", "AbortMultipartUpload"),
    ],
)
async def test_a_refusal_names_the_call_and_the_code(
    client: str, name: str, operation: str
) -> None:
    reply = error_answer("403 Forbidden", "RequestTimeTooSkewed")
    async with storage_of(reply, client=client) as (storage, _):
        with pytest.raises(StorageRefused) as refused:
            await {**ONCE, **REPEATED}[name](storage, a_grant())
    assert (refused.value.operation, refused.value.storage_code) == (
        operation,
        "RequestTimeTooSkewed",
    )


@BOTH
async def test_a_refusal_without_a_code_has_the_status(client: str) -> None:
    async with storage_of(answer("403 Forbidden", "", ID), client=client) as (storage, _):
        with pytest.raises(StorageRefused) as refused:
            await storage.create(a_grant(), {})
    assert refused.value.storage_code == "403"


async def test_a_region_elsewhere_is_refused() -> None:
    moved = answer("301 Moved Permanently", "<Error><Code>PermanentRedirect</Code></Error>")
    async with storage_of(moved) as (storage, server):
        with pytest.raises(StorageRefused, match="ListParts: PermanentRedirect"):
            await storage.list_parts(a_grant())
    assert len(server.requests) == 1


def redirect(location: str) -> bytes:
    head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n"
    return f"{head}Connection: close\r\n\r\n".encode()


async def test_a_temporary_redirect_is_followed_once_with_another_signature() -> None:
    created = (
        "<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>"
    )
    async with storage_of(answer("200 OK", created)) as (_, target):
        # Its address is known by now only to itself: redirect to a second server.
        there = Scripted([answer("200 OK", created)])
        server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            place = f"http://localhost:{port}/elsewhere/key?uploads"
            async with storage_of(redirect(place)) as (storage, first):
                assert await storage.create(a_grant(), {}) == "7"
    assert target.requests == []
    [asked], [sent] = first.requests, there.requests
    assert sent.startswith("POST /elsewhere/key?uploads HTTP/1.1\r\n")
    assert f"host: localhost:{port}\r\n" in sent.lower()
    assert asked.partition("Signature=")[2].split()[0] not in sent


@pytest.mark.parametrize(
    "location", ["", "/relative", "https://other.example/key", "http://a:b@h/key", "http://[::1/k"]
)
async def test_a_redirect_to_nowhere_is_not_followed(location: str) -> None:
    async with storage_of(redirect(location)) as (storage, server):
        with pytest.raises(StorageUnavailable):
            await storage.create(a_grant(), {})
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "part",
    [
        "<PartNumber>1</PartNumber><Size>9</Size>",
        "<PartNumber>one</PartNumber><Size>9</Size><ETag>a</ETag>",
        "<PartNumber>1</PartNumber><Size>-9</Size><ETag>a</ETag>",
        f"<PartNumber>1</PartNumber><Size>{'9' * 30}</Size><ETag>a</ETag>",
        "<PartNumber>1</PartNumber><Size>9</Size><ETag>a</ETag><ChecksumSHA256>A</ChecksumSHA256>",
    ],
)
async def test_a_garbled_part_is_no_part(part: str) -> None:
    page = answer("200 OK", f"<ListPartsResult><Part>{part}</Part></ListPartsResult>")
    async with storage_of(page) as (storage, _):
        with pytest.raises(StorageUnavailable):
            await storage.list_parts(a_grant(checksum=Checksum.SHA256))


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    endless = [
        b"HTTP/1.1 200 OK\r\n\r\n<CompleteMultipartUploadResult>",
        *[b"<a>x</a>" * 8192] * 64,
    ]
    async with storage_of(endless) as (storage, server):
        with pytest.raises(CompleteUnknown):
            await storage.complete(a_grant(), [PART])
    assert len(server.requests) == 1


@BOTH
@pytest.mark.parametrize("name", ["create", "complete", "list"])
async def test_storage_that_falls_silent_is_given_up(client: str, name: str) -> None:
    silent = [b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<ListPartsResult>"]
    expected = CompleteUnknown if name == "complete" else StorageUnavailable
    limits = {"call_seconds": 0.2, "complete_seconds": 0.2}
    async with storage_of(silent, client=client, **limits) as (storage, _):
        with pytest.raises(expected):
            await {**ONCE, **REPEATED}[name](storage, a_grant())
