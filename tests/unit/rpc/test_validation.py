"""Tests the validation of request fields, without a server.

The limits are tested in test_initialize and the like; this module has what does not fit there.
"""

import contextlib
import string
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import InvalidRequest
from partway_server.domain.steps import finish
from partway_server.rpc import named_parts, page_tokens, validation

WRONG: list[tuple[Callable[[Any], None], Any]] = [
    (validation.initialize, pb.InitializeRequest(size_bytes=-1)),
    (lambda request: finish(named_parts.check_presign(request, 1000)), pb.PresignPartsRequest()),
    (
        lambda request: finish(named_parts.check_presign(request, 1000)),
        pb.BatchPresignPartsRequest(),
    ),
    (lambda request: finish(named_parts.check_complete(request)), pb.CompleteRequest()),
    (validation.abort, pb.AbortRequest()),
    (validation.list_parts, pb.ListPartsRequest()),
    (validation.status, pb.StatusRequest()),
    (validation.list_uploads, pb.ListUploadsRequest(page_size=-1)),
]


def fields_of(check: Callable[[Any], None], request: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as raised:
        check(request)
    return [violation.field for violation in raised.value.violations]


@pytest.mark.parametrize(("check", "request_"), WRONG, ids=range(len(WRONG)))
def test_every_check_refuses_what_is_wrong(check: Callable[[Any], None], request_: Any) -> None:
    assert fields_of(check, request_) == [
        "size_bytes" if isinstance(request_, pb.InitializeRequest) else
        "page_size" if isinstance(request_, pb.ListUploadsRequest) else "upload_id"
    ]  # fmt: skip


def test_an_empty_file_must_say_that_it_is_empty() -> None:
    assert fields_of(validation.initialize, pb.InitializeRequest()) == ["size_bytes"]
    validation.initialize(pb.InitializeRequest(size_bytes=0))


@pytest.mark.parametrize("check", [validation.list_parts, validation.list_uploads])
@pytest.mark.parametrize("token", ["57", "!", "AQ", "AjU3", "AS0x", "_", "é", "A" * 10_000])
def test_a_page_token_that_is_not_ours_is_refused(check: Callable[[Any], None], token: str) -> None:
    kind = pb.ListPartsRequest if check is validation.list_parts else pb.ListUploadsRequest
    request = kind(page_token=token)
    if isinstance(request, pb.ListPartsRequest):
        request.upload_id = "x"
    assert fields_of(check, request) == ["page_token"]


@given(st.text(string.ascii_letters + string.digits + "-", max_size=60))
def test_a_page_token_is_decoded_to_what_it_was_made_of(position: str) -> None:
    token = page_tokens.encode(position)
    assert page_tokens.decode(token) == position
    assert len(position) < 4 or position not in token


def test_all_that_is_wrong_is_named() -> None:
    request = pb.InitializeRequest(
        policy="A",
        file_name="x" * 1025,
        size_bytes=-1,
        content_type="x",
        metadata={"A": "\n"},
        part_size_bytes=-1,
        checksum_algorithm=upload_pb2.ChecksumAlgorithm.ValueType(99),
        checksum=b"1",
        fingerprint="\n",
        request_id="x",
        presign_parts=-1,
    )
    assert fields_of(validation.initialize, request) == [
        "policy",
        "file_name",
        "content_type",
        "metadata",
        "metadata",
        "fingerprint",
        "request_id",
        "size_bytes",
        "part_size_bytes",
        "checksum_algorithm",
        "checksum",
        "checksum",
        "presign_parts",
    ]


def test_no_more_than_50_are_named() -> None:
    parts = [upload_pb2.Part(part_number=-1, size_bytes=-1) for _ in range(1000)]
    request = pb.CompleteRequest(upload_id="x", parts=parts)
    assert len(fields_of(lambda each: finish(named_parts.check_complete(each)), request)) == 50


@pytest.mark.parametrize(
    "content_type",
    ["a/b", "application/vnd.x+json", "text/plain;charset=utf-8", 'a/b; c="d e"', "a/b  ;"],
)
def test_media_types_that_are_taken(content_type: str) -> None:
    validation.initialize(pb.InitializeRequest(size_bytes=0, content_type=content_type))


@pytest.mark.parametrize(
    "content_type",
    [
        "a",
        "a/",
        "/b",
        "a b/c",
        "a/b c",
        "a/b,c/d",
        "a/b\n",
        "a/b;\n",
        "*/*",
        "ä/b",
        "a/b/c",
        " a/b",
    ],
)
def test_media_types_that_are_not(content_type: str) -> None:
    request = pb.InitializeRequest(size_bytes=0, content_type=content_type)
    assert fields_of(validation.initialize, request) == ["content_type"]


@pytest.mark.parametrize(
    "content_type", ["a/" + "b" * 250 + "!", "a" * 255, "a/b" + ";" * 252, "a/b" + " " * 252]
)
def test_no_media_type_takes_long_to_judge(content_type: str) -> None:
    begun = time.process_time()
    with contextlib.suppress(InvalidRequest):  # Whether it is taken is not asked here.
        validation.initialize(pb.InitializeRequest(size_bytes=0, content_type=content_type))
    assert time.process_time() - begun < 1


def test_the_largest_requests_are_judged_quickly() -> None:
    named = [
        upload_pb2.Part(part_number=n, etag="e" * 128, checksum=b"x" * 32) for n in range(1, 10_001)
    ]
    begun = time.process_time()
    finish(named_parts.check_complete(pb.CompleteRequest(upload_id="x", parts=named)))
    assert time.process_time() - begun < 2
