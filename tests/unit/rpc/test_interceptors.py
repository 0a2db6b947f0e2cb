"""Tests a call's deadline, and what the outermost layer lets through."""

import logging
from typing import Any

import pytest
from partway_server.domain.errors import (
    SessionsUnavailable,
    StorageRefused,
    StorageUnavailable,
    TimedOut,
    UploadNotFound,
)
from partway_server.observability.call_context import CallContext, begin_call, current_call
from partway_server.observability.call_observers import CallNotes
from partway_server.observability.store_calls import Store, StoreCall
from partway_server.rpc.call_outcome import fail
from partway_server.rpc.deadlines import budget_seconds
from redis.exceptions import ResponseError


class WithTime:
    """A call's context that only knows how much time remains."""

    def __init__(self, remaining: float | None) -> None:
        self._remaining = remaining

    def time_remaining(self) -> float | None:
        return self._remaining


@pytest.mark.parametrize(
    ("remaining", "budget"),
    [(None, 30), (1000, 30), (10, 9), (1, 0.9), (0.1, 0.08), (0.02, 0), (0.01, -0.01), (-1, -1.02)],
)
def test_a_call_is_answered_before_its_caller_gives_up(
    remaining: float | None, budget: float
) -> None:
    context: Any = WithTime(remaining)
    assert budget_seconds(context, 30) == pytest.approx(budget)


class Aborted(Exception):
    """A stand-in for what grpc raises when a call is aborted."""


class Ending:
    """A call's context that can only be aborted."""

    async def abort_with_status(self, status: object) -> None:
        raise Aborted


async def lines_about(error: Exception, caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return the level and text of each log line of a call that fails."""
    context: Any = Ending()
    with caplog.at_level(logging.INFO), pytest.raises(Aborted):
        await fail("/partway.v1.UploadService/Status", 0, context, error, lambda: "r")
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize("kind", [StorageUnavailable, SessionsUnavailable])
async def test_a_store_that_is_down_is_logged_with_the_type_of_its_cause(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    error = kind()
    error.__cause__ = ConnectionResetError("redis://user:hunter2@10.0.0.1")
    [(level, text)] = await lines_about(error, caplog)
    # No warning: the outage has one, and not for each call.
    assert level == "INFO"
    assert text.startswith(f"Status {kind.__name__} ") and text.endswith(" ConnectionResetError")
    assert "hunter2" not in caplog.text


async def test_of_what_redis_says_its_code_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = SessionsUnavailable()
    error.__cause__ = ResponseError("MISCONF Errors writing to the AOF file: /data/appendonly")
    [(_, text)] = await lines_about(error, caplog)
    assert text.endswith(" ResponseError MISCONF")


async def test_a_backend_that_is_not_configured_is_logged_with_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    [(_, text)] = await lines_about(StorageUnavailable("archive"), caplog)
    assert text.endswith(" backend 'archive' is not configured on this replica")


async def test_a_refusal_of_storage_is_logged_with_its_operation_and_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = StorageRefused("HeadObject", "AccessDenied")
    [(_, text)] = await lines_about(refused, caplog)
    assert text.endswith(" HeadObject AccessDenied")
    refused.place = "default", "uploads"
    [_, (_, text)] = await lines_about(refused, caplog)
    assert text.endswith(" HeadObject AccessDenied at default/uploads")
    [_, record] = caplog.records
    fields = {"code": "INTERNAL", "reason": "ERROR_REASON_STORAGE_REFUSED", "bucket": "uploads"}
    assert fields.items() <= vars(record).items()


async def test_a_call_that_times_out_says_what_it_waits_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begin_call(CallContext("r"))
    with StoreCall(
        [CallNotes()], lambda _: "", Store.STORAGE, "HeadObject", backend="a", bucket="b", sid="5"
    ):
        [(_, text)] = await lines_about(TimedOut(), caplog)
    assert ": HeadObject at a/b: has no answer after 0.0 s" in text
    with pytest.raises(TimeoutError):
        with StoreCall([CallNotes()], lambda _: "timeout", Store.SESSIONS, "claim"):
            raise TimeoutError
    [_, (_, text)] = await lines_about(TimeoutError(), caplog)
    assert ": claim at Redis: timeout after" in text
    call = current_call()
    assert call is not None and call.sid == "5"
    assert (call.code, call.reason) == ("UNAVAILABLE", "ERROR_REASON_TIMED_OUT")


async def test_an_error_that_is_the_callers_own_is_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    [(level, _)] = await lines_about(UploadNotFound(), caplog)
    assert level == "INFO"
