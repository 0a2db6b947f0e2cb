"""Tests the names that failures of Redis have in metrics."""

import asyncio

import pytest
from partway_server.domain.errors import SessionsFull, SessionsUnavailable
from partway_server.sessions.call_codes import sessions_call_code
from redis import exceptions


def unavailable(cause: BaseException) -> SessionsUnavailable:
    error = SessionsUnavailable()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (unavailable(exceptions.TimeoutError()), "TimeoutError"),
        (unavailable(exceptions.ConnectionError("host:6379")), "ConnectionError"),
        (unavailable(exceptions.ResponseError("BUSY Redis is busy")), "BUSY"),
        (unavailable(exceptions.ResponseError("planted text")), "ResponseError"),
        (unavailable(exceptions.ResponseError("A" * 17)), "ResponseError"),
        (unavailable(TimeoutError()), "TimeoutError"),
        (SessionsUnavailable(), "unavailable"),
        (SessionsFull(), "OutOfMemoryError"),
        (asyncio.CancelledError(), "cancelled"),
        (ZeroDivisionError(), "other"),
    ],
)
def test_a_failure_has_the_name_of_the_error(error: BaseException, code: str) -> None:
    assert sessions_call_code(error) == code
