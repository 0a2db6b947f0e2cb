"""Tests the metrics of storage and Redis, by calls that a test makes at times of its choosing."""

import pytest
from partway_server.observability.metrics import Metrics
from partway_server.observability.store_calls import CallObserver, Store, StoreCall
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def a_call(observer: CallObserver, time: Time, operation: str, backend: str = "") -> StoreCall:
    store = Store.STORAGE if backend else Store.SESSIONS
    code_of = lambda error: type(error).__name__  # noqa: E731
    return StoreCall([observer], code_of, store, operation, backend=backend, now=time)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_call_to_storage_is_timed_by_backend_and_operation() -> None:
    metrics, time = Metrics(), Time()
    with a_call(metrics.storage, time, "HeadObject", "hot"):
        time.now += 0.3
    of = {"backend": "hot", "operation": "HeadObject"}
    name = "partway_storage_call_duration_seconds"
    assert value(metrics, f"{name}_count", **of) == 1
    assert value(metrics, f"{name}_sum", **of) == pytest.approx(0.3)
    assert value(metrics, f"{name}_bucket", le="0.25", **of) == 0
    assert value(metrics, f"{name}_bucket", le="0.5", **of) == 1
    assert value(metrics, "partway_storage_errors_total", code="", **of) is None


def test_an_error_is_counted_by_its_code_and_timed_too() -> None:
    metrics, time = Metrics(), Time()
    with (
        pytest.raises(BlockingIOError),
        a_call(metrics.storage, time, "CreateMultipartUpload", "hot"),
    ):
        raise BlockingIOError
    of = {"backend": "hot", "operation": "CreateMultipartUpload"}
    assert value(metrics, "partway_storage_errors_total", code="BlockingIOError", **of) == 1
    assert value(metrics, "partway_storage_call_duration_seconds_count", **of) == 1


def test_calls_in_flight_are_seen_by_number_and_by_the_age_of_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = Time()
    monkeypatch.setattr("time.monotonic", time)
    # Only now: its clock is the one above.
    from partway_server.observability.flights import Flights

    flights = Flights({"UploadPart"}, time)
    observer = Metrics().storage
    first, second, part = (
        a_call(observer, time, name, "hot") for name in ("Head", "List", "UploadPart")
    )
    for call in (part, first, second):
        with_began(call, time)
        flights.start(call)
        time.now += 1
    assert (flights.number(), flights.oldest_age()) == (3, 2)
    flights.end(first)
    assert (flights.number(), flights.oldest_age()) == (2, 1)
    flights.end(second)
    assert (flights.number(), flights.oldest_age()) == (1, 0)
    flights.end(part)
    assert flights.number() == 0


def with_began(call: StoreCall, time: Time) -> None:
    call._began = time.now


def test_redis_is_timed_by_operation_and_its_errors_and_retries_are_counted() -> None:
    metrics, time = Metrics(), Time()
    with a_call(metrics.redis, time, "claim"):
        time.now += 0.004
    with pytest.raises(ConnectionError), a_call(metrics.redis, time, "claim"):
        raise ConnectionError
    metrics.redis.retried(TimeoutError())
    name = "partway_redis_call_duration_seconds"
    assert value(metrics, f"{name}_count", operation="claim") == 2
    assert value(metrics, f"{name}_bucket", operation="claim", le="0.005") == 2
    errors = {"operation": "claim", "code": "ConnectionError"}
    assert value(metrics, "partway_redis_errors_total", **errors) == 1
    assert value(metrics, "partway_redis_retries_total", code="TimeoutError") == 1
    assert value(metrics, "partway_redis_calls_in_flight") == 0


def test_a_retry_of_storage_is_counted_by_what_failed_before() -> None:
    metrics = Metrics()
    metrics.storage.retried("hot", "HeadObject", "SlowDown")
    of = {"backend": "hot", "operation": "HeadObject", "code": "SlowDown"}
    assert value(metrics, "partway_storage_retries_total", **of) == 1


def test_exemplars_lead_to_traces_where_there_is_one() -> None:
    traces = ["4bf92f3577b34da6a3ce929d0e0e4736", ""]
    metrics, time = Metrics(trace_id=lambda: traces.pop(0)), Time()
    for operation in ("get", "claim"):
        with a_call(metrics.redis, time, operation):
            time.now += 0.001
    lines = open_metrics(metrics.registry).decode().splitlines()
    [line] = [each for each in lines if "# {" in each]
    assert 'operation="get"' in line
    assert '# {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"}' in line
