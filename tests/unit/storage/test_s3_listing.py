"""Tests how pages of unfinished uploads are followed in stores that refuse their own markers."""

import logging
from collections.abc import Sequence

import pytest
from partway_server.domain.errors import StorageRefused, StorageUnavailable

from tests.support.storage import answer, error_answer
from tests.unit.storage.test_hostile_answers import Scripted, storage_of

REFUSED = error_answer("400 Bad Request", "InvalidArgument")


def page(*uploads: str, truncated: bool = False) -> bytes:
    """Return a page of uploads, each written as KEY/ID."""
    listed = "".join(
        f"<Upload><Key>{key}</Key><UploadId>{multipart_id}</UploadId></Upload>"
        for key, _, multipart_id in (each.partition("/") for each in uploads)
    )
    key, _, multipart_id = uploads[-1].partition("/") if uploads else ("", "", "")
    markers = (
        f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{multipart_id}"
        "</NextUploadIdMarker>"
    )
    end = f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{markers if truncated else ''}"
    body = f"<Bucket>bucket</Bucket>{end}{listed}"
    return answer("200 OK", f"<ListMultipartUploadsResult>{body}</ListMultipartUploadsResult>")


async def unfinished(*answers: bytes) -> tuple[Sequence[str], Scripted]:
    async with storage_of(*answers) as (storage, server):
        found = [each async for each in storage.unfinished("test", "bucket", "")]
    return [f"{each.key}/{each.multipart_id}" for each in found], server


def query_of(request: str) -> str:
    return request.split()[1].partition("?")[2]


async def test_pages_are_followed_by_the_markers_of_storage() -> None:
    found, server = await unfinished(page("a/1", "b/2", truncated=True), page("c/3"))
    assert found == ["a/1", "b/2", "c/3"]
    assert "key-marker=b&upload-id-marker=2" in query_of(server.requests[1])
    # S3Proxy answers 501 to a limit.
    assert "max-uploads" not in server.requests[0]


async def test_a_marker_that_storage_refuses_is_replaced_by_the_key() -> None:
    at_key = page("b/2", "b/2x", "bb/9")
    found, server = await unfinished(
        page("a/1", "b/2", truncated=True), REFUSED, at_key, page("bb/9", "c/3")
    )
    assert found == ["a/1", "b/2", "b/2x", "bb/9", "c/3"]
    assert "prefix=b" in query_of(server.requests[2])
    last = query_of(server.requests[3])
    assert "key-marker=b" in last
    assert "upload-id-marker" not in last


async def test_what_cannot_be_seen_is_said(caplog: pytest.LogCaptureFixture) -> None:
    at_key = page("b/1", "b/2", truncated=True)
    with caplog.at_level(logging.WARNING):
        found, _ = await unfinished(page("b/1", "b/2", truncated=True), REFUSED, at_key, page())
    assert found == ["b/1", "b/2"]
    assert "lists no more" in caplog.text


async def test_a_store_that_refuses_the_key_too_is_not_listed() -> None:
    with pytest.raises(StorageRefused, match="InvalidArgument"):
        await unfinished(page("a/1", truncated=True), REFUSED, page("a/1"), REFUSED)


async def test_another_refusal_is_not_about_the_marker() -> None:
    denied = error_answer("403 Forbidden", "AccessDenied")
    with pytest.raises(StorageRefused, match="AccessDenied"):
        await unfinished(page("a/1", truncated=True), denied)


async def test_a_page_that_is_none_is_no_empty_page() -> None:
    with pytest.raises(StorageUnavailable):
        await unfinished(answer("200 OK", "<html/>"))
