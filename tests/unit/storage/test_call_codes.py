"""Tests the names that failures of storage have in metrics: few, and chosen by no caller."""

import asyncio

import aiohttp
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError
from partway_server.domain.errors import PartTooSlow, StorageRefused, StorageUnavailable
from partway_server.storage.base import (
    CompleteRefused,
    CompleteUnknown,
    KeyTaken,
    MultipartNotFound,
)
from partway_server.storage.call_codes import storage_call_code
from partway_server.storage.s3_calls import S3Refusal
from partway_server.storage.s3_errors import call_error
from partway_server.storage.s3_xml import Malformed


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageRefused("HeadObject", "AccessDenied"), "AccessDenied"),
        (call_error("HeadObject", 503, "SlowDown"), "SlowDown"),
        (call_error("HeadObject", 500, "500"), "500"),
        (caused(StorageUnavailable(), S3Refusal(503, "ServiceUnavailable")), "ServiceUnavailable"),
        (caused(StorageUnavailable(), TimeoutError()), "timeout"),
        (caused(StorageUnavailable(), aiohttp.ClientConnectionError()), "connection"),
        (caused(StorageUnavailable(), aiohttp.ServerTimeoutError()), "timeout"),
        (caused(StorageUnavailable(), ConnectionResetError()), "connection"),
        (caused(StorageUnavailable(), Malformed("x")), "malformed"),
        (
            caused(
                StorageUnavailable(),
                ClientError({"Error": {"Code": "InternalError"}}, "HeadBucket"),
            ),
            "InternalError",
        ),
        (caused(StorageUnavailable(), ConnectTimeoutError(endpoint_url="x")), "timeout"),
        (caused(StorageUnavailable(), EndpointConnectionError(endpoint_url="x")), "connection"),
        (StorageUnavailable("cold"), "unknown_backend"),
        (StorageUnavailable(), "other"),
        (caused(CompleteUnknown(), caused(StorageUnavailable(), TimeoutError())), "timeout"),
        (CompleteRefused("InvalidPart"), "InvalidPart"),
        (MultipartNotFound(), "NoSuchUpload"),
        (KeyTaken(), "PreconditionFailed"),
        (asyncio.CancelledError(), "cancelled"),
        (PartTooSlow("sid", 1), "caller"),
        (ZeroDivisionError(), "other"),
        (StorageRefused("HeadObject", "planted/../code"), "other"),
        (StorageRefused("HeadObject", "A" * 65), "other"),
        (StorageRefused("HeadObject", ""), "other"),
    ],
)
def test_a_failure_has_the_code_of_s3_or_one_of_few_words(error: BaseException, code: str) -> None:
    assert storage_call_code(error) == code
