"""Tests that each way in which a call ends is counted by its code and its reason."""

import asyncio

import grpc
import pytest
from partway_server.domain import errors
from partway_server.observability.metrics import Metrics
from partway_server.rpc.call_meter import CallMeter, outcome_of
from partway_server.rpc.error_mapping import TABLE


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def meter(metrics: Metrics) -> CallMeter:
    return CallMeter(metrics.rpcs, now=lambda: 102.0)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.UploadNotFound(), ("NOT_FOUND", "UPLOAD_NOT_FOUND")),
        (errors.Overloaded(), ("RESOURCE_EXHAUSTED", "OVERLOADED")),
        (TimeoutError(), ("UNAVAILABLE", "TIMED_OUT")),
        (NotImplementedError(), ("UNIMPLEMENTED", "")),
        (ZeroDivisionError("planted"), ("INTERNAL", "INTERNAL")),
        (asyncio.CancelledError(), ("CANCELLED", "")),
        (GeneratorExit(), ("CANCELLED", "")),
        (grpc.aio.AbortError(), ("CANCELLED", "")),
    ],
)
def test_an_error_has_a_code_and_a_reason(error: BaseException, outcome: tuple[str, str]) -> None:
    assert outcome_of(error) == outcome


def test_every_error_that_callers_may_see_has_a_reason_of_its_own() -> None:
    reasons = [outcome_of(kind.__new__(kind))[1] for kind in TABLE]
    assert len(set(reasons)) == len(reasons)
    assert not [reason for reason in reasons if reason.startswith("ERROR_REASON")]


def test_a_call_that_succeeds_is_timed_and_its_items_are_counted(
    metrics: Metrics, meter: CallMeter
) -> None:
    meter.succeeded("BatchComplete", 100.0, failed_items=2)
    rpc = {"rpc": "BatchComplete"}
    assert value(metrics, "partway_rpcs_total", code="OK", reason="", **rpc) == 1
    assert value(metrics, "partway_rpc_duration_seconds_sum", outcome="ok", **rpc) == 2
    assert value(metrics, "partway_batch_items_failed_total", **rpc) == 2


def test_a_stream_that_fails_midway_is_timed_once(metrics: Metrics, meter: CallMeter) -> None:
    meter.first_message("Watch", 100.0)
    meter.failed("Watch", 100.0, errors.StreamEnded(), midway=True)
    ended = {"rpc": "Watch", "code": "UNAVAILABLE", "reason": "STREAM_ENDED"}
    assert value(metrics, "partway_rpcs_total", **ended) == 1
    name = "partway_rpc_duration_seconds_count"
    assert value(metrics, name, rpc="Watch", outcome="ok") == 1
    assert value(metrics, name, rpc="Watch", outcome="error") is None


def test_a_stream_that_ends_is_counted(metrics: Metrics, meter: CallMeter) -> None:
    meter.stream_ended("PresignParts")
    assert value(metrics, "partway_rpcs_total", rpc="PresignParts", code="OK", reason="") == 1


def test_a_quota_is_counted_by_limit_and_owner(metrics: Metrics, meter: CallMeter) -> None:
    meter.failed("Initialize", 100.0, errors.QuotaExceeded("open_uploads", 3, 3, owner="tenant"))
    of = {"limit": "open_uploads", "owner": "tenant"}
    assert value(metrics, "partway_quota_refusals_total", **of) == 1
