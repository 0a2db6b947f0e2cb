"""Tests how fields of a call become a line, whatever callers put into them."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from partway_server.domain.grant import Caller
from partway_server.observability.call_context import (
    CallContext,
    begin_call,
    current_call,
    is_sampled,
    note_caller,
    note_policy,
    note_sid,
    part_of_call,
    request_id,
    shown,
)
from partway_server.observability.logging import CallFilter, JsonFormatter, TextFormatter
from partway_server.observability.lost_traces import LostTraceFilter


def a_record(message: str = "said", **fields: Any) -> logging.LogRecord:
    record = logging.LogRecord("partway_server.x", logging.INFO, "x.py", 1, message, (), None)
    vars(record).update(fields)
    assert CallFilter().filter(record)
    return record


@pytest.fixture
def call() -> Iterator[CallContext]:
    call = CallContext("r-1", "Status", "ipv4:10.0.0.1:5")
    begin_call(call)
    note_caller(Caller("acme", "alice"))
    yield call
    begin_call(None)


async def test_a_line_has_the_fields_that_are_known(call: CallContext) -> None:
    line = json.loads(JsonFormatter().format(a_record(ms=0.0)))
    del line["time"]
    assert line == {
        "level": "info",
        "logger": "partway_server.x",
        "message": "said",
        "request_id": "r-1",
        "rpc": "Status",
        "peer": "ipv4:10.0.0.1:5",
        "tenant": "acme",
        "subject": "alice",
        "ms": 0.0,
    }
    text = TextFormatter().format(a_record())
    assert text.endswith(
        "INFO    said [request_id=r-1 rpc=Status peer=ipv4:10.0.0.1:5 tenant=acme subject=alice]"
    )


def test_a_line_outside_of_calls_has_none() -> None:
    assert TextFormatter().format(a_record()).endswith("INFO    said")


@pytest.mark.parametrize(
    "nasty", ["a\nb", "a\r\nb", "\x1b[2J", "\x9b1m", "\u2028", "\u202edetrever", "\x7f", "\x00"]
)
async def test_no_field_and_no_message_ends_or_colours_the_line(
    call: CallContext, nasty: str
) -> None:
    note_policy(f"p{nasty}")
    for form in (JsonFormatter(), TextFormatter()):
        line = form.format(a_record(f"said {nasty}"))
        assert nasty not in line and line.isprintable()
    assert json.loads(JsonFormatter().format(a_record()))["policy"] == f"p{nasty}"


async def test_fields_are_short(call: CallContext) -> None:
    note_policy("x" * 10_000)
    call.subject = "y" * 10_000
    assert len(TextFormatter().format(a_record())) < 500
    assert len(JsonFormatter().format(a_record())) < 600


def test_text_that_is_not_plain_is_in_quotes() -> None:
    assert shown("a-b_c.d:e/f@g") == "a-b_c.d:e/f@g"
    assert shown('two "words"') == '"two \\"words\\""'
    assert shown("tenant=x") == '"tenant=x"'
    assert shown("") == '""'


async def test_a_part_of_a_call_notes_for_itself(call: CallContext) -> None:
    with part_of_call():
        note_sid("5")
        note_sid("6")
        assert (request_id(), current_call() is call) == ("r-1", False)
        assert (inner := current_call()) and inner.sid == "5"
    assert current_call() is call and call.sid == ""


def test_the_share_of_good_calls_is_that_of_uploads() -> None:
    sids = [f"{number:032x}" for number in range(1000)]
    kept = [is_sampled(CallContext("r", sid=sid, good_share=0.25)) for sid in sids]
    assert 200 < sum(kept) < 300
    again = [is_sampled(CallContext("other", sid=sid, good_share=0.25)) for sid in sids]
    assert again == kept
    assert is_sampled(None) and is_sampled(CallContext("r"))
    assert not is_sampled(CallContext("r", good_share=0.0))


def test_a_collector_that_is_away_is_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    filter_ = LostTraceFilter(lambda: now[0])
    text = "Failed to export traces to user:hunter2@collector, error code: StatusCode.UNAVAILABLE"
    for second in range(121):
        now[0] = float(second)
        record = a_record(text)
        record.name = "opentelemetry.exporter.otlp.proto.grpc.exporter"
        assert not filter_.filter(record)
    assert caplog.messages == [
        f"OpenTelemetry cannot send traces (StatusCode.UNAVAILABLE): {count} reports since the last"
        " such line"
        for count in (1, 60, 60)
    ]
    assert filter_.filter(a_record())
