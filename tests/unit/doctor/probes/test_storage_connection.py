"""Tests how probes ask: to the end of a request, with every error in a word."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError
from partway_server.doctor.probes.results import ProbeResponse
from partway_server.doctor.probes.storage_connection import response_to, uninterrupted


async def test_a_request_under_way_ends_before_the_cancellation_goes_on() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def request() -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    task = asyncio.ensure_future(uninterrupted(request()))
    await begun.wait()
    task.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


def s3_error(status: int, code: str) -> ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {"date": "today"}}
    error = {"Code": code, "Region": "eu-west-1"}
    return ClientError({"ResponseMetadata": metadata, "Error": error}, "PutObject")


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (s3_error(403, "AccessDenied"), ProbeResponse(403, "AccessDenied")),
        (NoCredentialsError(), ProbeResponse(0, "credentials")),
        (ResponseParserError("no XML"), ProbeResponse(0, "no S3")),
        (EndpointConnectionError(endpoint_url="https://files.example"), ProbeResponse(0, "closed")),
    ],
)
async def test_what_storage_or_the_network_does_is_an_answer(
    error: Exception, answer: ProbeResponse
) -> None:
    async def failing() -> Mapping[str, Any]:
        raise error

    found = await response_to(failing())
    assert (found.status, found.code) == (answer.status, answer.code)
    if found.status:
        assert found.reply["Region"] == "eu-west-1"
        assert found.headers == {"date": "today"}


async def test_a_fault_of_ours_is_no_answer() -> None:
    async def failing() -> Mapping[str, Any]:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        await response_to(failing())


@pytest.mark.parametrize(
    ("answer", "text", "ok", "refused"),
    [
        (ProbeResponse(200), "200", True, False),
        (ProbeResponse(403, "AccessDenied"), "403 AccessDenied", False, True),
        (ProbeResponse(429, "SlowDown"), "429 SlowDown", False, False),
        (ProbeResponse(501, "NotImplemented"), "501 NotImplemented", False, True),
        (ProbeResponse(503), "503", False, False),
        (ProbeResponse(0, "timeout"), "no answer (timeout)", False, False),
    ],
)
def test_only_an_answer_that_will_not_pass_is_a_refusal(
    answer: ProbeResponse, text: str, ok: bool, refused: bool
) -> None:
    assert (str(answer), answer.ok, answer.refused) == (text, ok, refused)
