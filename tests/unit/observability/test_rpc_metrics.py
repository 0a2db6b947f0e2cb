"""Tests the metrics of RPCs, and of what runs without a caller, and of the process."""

from datetime import UTC, datetime

import pytest
from partway_server.domain.fair_share import FairShare
from partway_server.observability.metrics import Metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_call_is_counted_by_code_and_reason_and_timed_by_outcome() -> None:
    metrics = Metrics(tenants=["acme"])
    metrics.rpcs.ended("Status", "OK", "", 0.02, "acme")
    metrics.rpcs.ended("Status", "NOT_FOUND", "UPLOAD_NOT_FOUND", 0.001, "planted")
    ok, missing = {"code": "OK", "reason": ""}, {"code": "NOT_FOUND", "reason": "UPLOAD_NOT_FOUND"}
    assert value(metrics, "partway_rpcs_total", rpc="Status", **ok) == 1
    assert value(metrics, "partway_rpcs_total", rpc="Status", **missing) == 1
    name = "partway_rpc_duration_seconds"
    assert value(metrics, f"{name}_sum", rpc="Status", outcome="ok") == 0.02
    assert value(metrics, f"{name}_count", rpc="Status", outcome="error") == 1
    assert value(metrics, "partway_tenant_rpcs_total", tenant="acme", rpc="Status", code="OK") == 1
    assert "planted" not in repr([*metrics.registry.collect()])


def test_a_stream_is_timed_at_its_first_message_and_counted_at_its_end() -> None:
    metrics = Metrics()
    metrics.rpcs.took("Watch", 0.01, ok=True)
    assert value(metrics, "partway_rpcs_total", rpc="Watch", code="OK", reason="") is None
    metrics.rpcs.ended("Watch", "OK", "", None)
    assert value(metrics, "partway_rpcs_total", rpc="Watch", code="OK", reason="") == 1
    assert value(metrics, "partway_rpc_duration_seconds_count", rpc="Watch", outcome="ok") == 1


def test_items_and_quotas_are_counted() -> None:
    metrics = Metrics()
    metrics.rpcs.items_failed("BatchComplete", 3)
    metrics.rpcs.quota_refused("open_uploads", "tenant")
    assert value(metrics, "partway_batch_items_failed_total", rpc="BatchComplete") == 3
    of = {"limit": "open_uploads", "owner": "tenant"}
    assert value(metrics, "partway_quota_refusals_total", **of) == 1


def test_a_round_of_clean_up_is_timed_and_one_that_fails_is_counted() -> None:
    times = [datetime.fromtimestamp(second, UTC) for second in (100, 103, 103, 200)]
    metrics = Metrics(now=lambda: times.pop(0))
    with metrics.cleanup.round("janitor"):
        pass
    with pytest.raises(InterruptedError), metrics.cleanup.round("janitor"):
        raise InterruptedError
    looked = "partway_cleanup_last_success_timestamp_seconds"
    assert value(metrics, looked, task="janitor") == 103
    assert value(metrics, "partway_cleanup_last_duration_seconds", task="janitor") == 3
    assert value(metrics, "partway_cleanup_failures_total", task="janitor") == 1
    assert value(metrics, "partway_cleanup_failures_total", task="sweep") == 0


def test_what_is_due_grows_older_at_each_scrape() -> None:
    now = [100.0]
    metrics = Metrics(now=lambda: datetime.fromtimestamp(now[0], UTC))
    name = "partway_cleanup_oldest_due_age_seconds"
    assert value(metrics, name) == 0
    metrics.cleanup.oldest_due(datetime.fromtimestamp(90, UTC))
    assert value(metrics, name) == 10
    now[0] = 105
    assert value(metrics, name) == 15
    metrics.cleanup.oldest_due(datetime.fromtimestamp(1000, UTC))
    assert value(metrics, name) == 0, "it is not due yet"


def test_shares_are_read_at_each_scrape_in_all_and_for_named_tenants() -> None:
    metrics, share = Metrics(tenants=["acme"]), FairShare(100)
    metrics.load.share("calls", share)
    share.take("acme", 3)
    share.take("planted", 5)
    assert value(metrics, "partway_share_used", share="calls") == 8
    assert value(metrics, "partway_share_capacity", share="calls") == 100
    assert value(metrics, "partway_share_largest_tenant", share="calls") == 5
    assert value(metrics, "partway_tenant_share_used", tenant="acme", share="calls") == 3
    assert value(metrics, "partway_tenant_share_used", tenant="planted", share="calls") is None


def test_the_end_of_certificates_and_credentials_is_read_at_each_scrape() -> None:
    metrics = Metrics()
    ends = [datetime.fromtimestamp(1000, UTC)]
    metrics.process.certificate("server", lambda: ends[0])
    metrics.process.credentials(lambda: [("hot", "urls", ends[0])])
    certificate = "partway_certificate_end_timestamp_seconds"
    credentials = "partway_credentials_end_timestamp_seconds"
    assert value(metrics, certificate, certificate="server") == 1000
    assert value(metrics, credentials, backend="hot", use="urls") == 1000
    ends[0] = datetime.fromtimestamp(2000, UTC)
    assert value(metrics, certificate, certificate="server") == 2000
    assert value(metrics, credentials, backend="hot", use="urls") == 2000


def test_the_process_and_what_it_is_built_on_are_reported() -> None:
    metrics = Metrics()
    names = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    assert {"partway_build_info", "process_cpu_seconds_total", "python_info"} <= names
    assert {"process_resident_memory_bytes", "process_open_fds"} <= names
    assert not [name for name in names if name.endswith("_created")]
