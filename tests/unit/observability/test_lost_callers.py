"""Tests that an answer that finds no caller is not logged as a fault, and that all else is."""

import logging

import pytest
from grpc._cython.cygrpc import ExecuteBatchError  # type: ignore[import-not-found]
from partway_server.observability.logging import configure_logging
from partway_server.observability.lost_callers import GRPC_LOGGER, LostCallerFilter

GRPC = logging.getLogger(GRPC_LOGGER)


@pytest.fixture(autouse=True)
def filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GRPC, "filters", [LostCallerFilter()])


def logged(error: Exception) -> None:
    """Log as gRPC does."""
    try:
        raise error
    except type(error):
        GRPC.exception("%s raised by servicer method [%s]", type(error).__name__, "/x")


def test_an_answer_that_could_not_be_sent_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    logged(ExecuteBatchError("Failed grpc_call_start_batch: 2"))
    assert caplog.records == []


def test_all_else_of_grpc_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logged(ValueError("a fault"))
    GRPC.error("without an exception")
    assert len(caplog.records) == 2


def test_the_filter_is_in_place_once_logging_is_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(GRPC, "filters", [])
    monkeypatch.setattr(logging, "basicConfig", lambda **options: None)
    configure_logging(level="info", as_json=False)
    assert any(isinstance(each, LostCallerFilter) for each in GRPC.filters)
