"""Tests that gRPC's lines about headers that are not UTF-8 are counted instead of logged."""

import logging

import pytest
from partway_server.observability.logging import NotTextFilter

GRPC = logging.getLogger("grpc._cython.cygrpc")


class Time:
    now = 1000.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Filter the logger of gRPC by a clock of the test."""
    time = Time()
    monkeypatch.setattr(GRPC, "filters", [NotTextFilter(lambda: time.now)])
    return time


def not_text(value: bytes) -> None:
    """Log as gRPC does."""
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        GRPC.exception("Invalid encoding on %s", value)


def test_one_line_a_minute_says_how_many(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        not_text(b"\xffplanted")
    time.now += 59
    not_text(b"\xffplanted")
    assert caplog.messages == [
        "headers or paths of calls are not UTF-8: 1 since the last such line"
    ]
    time.now += 1
    not_text(b"\xffplanted")
    assert len(caplog.messages) == 2
    assert caplog.messages[1].endswith("4 since the last such line")
    assert "planted" not in caplog.text


def test_the_path_is_not_logged_either(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    try:
        b"/planted\xff".decode("utf-8")
    except UnicodeDecodeError:
        GRPC.exception("Unexpected [%s] raised by servicer method [%s]", "x", "/planted")
    assert "planted" not in caplog.text


def test_all_else_of_grpc_is_logged(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    GRPC.error("Unexpected")
    try:
        raise ValueError("a defect")
    except ValueError:
        GRPC.exception("Unexpected [ValueError] raised by servicer method")
    assert len(caplog.records) == 2
    assert "a defect" in caplog.text
