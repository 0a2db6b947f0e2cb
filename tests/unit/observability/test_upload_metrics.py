"""Tests that each event of an upload is counted once, whatever happened between."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.part_plan import Plan
from partway_server.domain.upload import AbortReason, State, StoredObject, Upload
from partway_server.observability.metrics import Metrics

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
STORED = StoredObject(100, "etag")


def a_grant(tenant: str = "acme") -> Grant:
    return Grant(
        sid="s1",
        caller=Caller(tenant, "alice"),
        policy="films",
        backend="default",
        bucket="uploads",
        key="k",
        single=False,
        plan=Plan(100, 100),
        content_type="video/mp4",
        checksum=Checksum.NONE,
        write_token="t",
        create_time=BEGIN,
        expire_time=BEGIN + timedelta(days=1),
    )


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(tenants=["acme"], now=lambda: BEGIN + timedelta(seconds=90))


def events(metrics: Metrics) -> dict[str, float]:
    """Return the counted events."""
    samples = metrics.registry.collect()
    return {
        sample.labels["event"]: sample.value
        for family in samples
        if family.name == "partway_uploads"
        for sample in family.samples
    }


def opened(metrics: Metrics) -> Upload:
    """Open an upload in two steps."""
    new = Upload(a_grant(), State.INITIATING, epoch=5)
    metrics.uploads.inserted(new, restored=False)
    active = new.activated("multipart")
    metrics.uploads.finished(active)
    return active


def claimed(metrics: Metrics, upload: Upload, target: State) -> Upload:
    row = replace(upload, state=target, epoch=upload.epoch + 1)
    metrics.uploads.claimed(row, target)
    return row


def test_an_upload_that_is_opened_and_completed(metrics: Metrics) -> None:
    row = claimed(metrics, opened(metrics), State.COMPLETING)
    metrics.uploads.finished(row.completed(STORED))
    assert events(metrics) == {"initialized": 1, "completed": 1}
    value = metrics.registry.get_sample_value
    assert value("partway_upload_duration_seconds_sum", {"policy": "films"}) == 90
    size = {"event": "completed", "policy": "films"}
    assert value("partway_upload_bytes_total", size) == 100
    assert value("partway_tenant_uploads_total", {"tenant": "acme", "event": "completed"}) == 1
    of_tenant = {"tenant": "acme", "event": "initialized"}
    assert value("partway_tenant_upload_bytes_total", of_tenant) == 100
    assert value("partway_leases_taken_total", {"state": "initiating"}) == 1
    assert value("partway_leases_taken_total", {"state": "completing"}) == 1


def test_a_small_file_is_opened_in_one_step(metrics: Metrics) -> None:
    metrics.uploads.inserted(Upload(a_grant(), State.ACTIVE, epoch=5), restored=False)
    assert events(metrics) == {"initialized": 1}


def test_a_complete_that_is_taken_back_is_no_event(metrics: Metrics) -> None:
    row = claimed(metrics, opened(metrics), State.COMPLETING)
    metrics.uploads.finished(row.reopened())
    assert events(metrics) == {"initialized": 1}


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        (AbortReason.REQUESTED, "aborted"),
        (AbortReason.EXPIRED, "expired"),
        (AbortReason.CONFLICT, "failed"),
        (AbortReason.LOST, "failed"),
    ],
)
def test_an_abort_counts_by_its_reason_and_not_again_when_it_is_repeated(
    metrics: Metrics, reason: AbortReason, event: str
) -> None:
    aborted = claimed(metrics, opened(metrics), State.ABORTING).aborted(reason)
    metrics.uploads.finished(aborted)
    again = claimed(metrics, aborted, State.ABORTING)
    metrics.uploads.finished(again.aborted(reason))
    assert events(metrics) == {"initialized": 1, event: 1}


def test_an_abort_that_finds_the_object_is_a_complete(metrics: Metrics) -> None:
    aborted = claimed(metrics, opened(metrics), State.ABORTING).aborted(AbortReason.REQUESTED)
    metrics.uploads.finished(aborted)
    late = claimed(metrics, aborted, State.COMPLETING)
    metrics.uploads.finished(late.completed(STORED))
    assert events(metrics) == {"initialized": 1, "aborted": 1, "completed": 1}


def test_a_rebuilt_record_is_counted_as_such_and_announces_nothing(metrics: Metrics) -> None:
    metrics.uploads.inserted(Upload(a_grant(), State.COMPLETED, object=STORED), restored=True)
    assert events(metrics) == {}
    rebuilt = metrics.registry.get_sample_value(
        "partway_records_rebuilt_total", {"state": "completed"}
    )
    assert rebuilt == 1


def test_an_outcome_whose_record_was_lost_meanwhile_is_counted(metrics: Metrics) -> None:
    row = claimed(metrics, opened(metrics), State.COMPLETING)
    metrics.uploads.inserted(row.completed(STORED), restored=True)
    assert events(metrics) == {"initialized": 1, "completed": 1}


def test_leases_that_were_refused_and_lost_are_counted(metrics: Metrics) -> None:
    metrics.uploads.claimed(None, State.COMPLETING)
    metrics.uploads.lease_lost("renew")
    value = metrics.registry.get_sample_value
    assert value("partway_leases_refused_total", {"state": "completing"}) == 1
    assert value("partway_leases_lost_total", {"during": "renew"}) == 1


def test_parts_and_corrections_are_counted(metrics: Metrics) -> None:
    metrics.uploads.presigned(a_grant(), 7)
    metrics.uploads.reported(Upload(a_grant(), State.ACTIVE), 3)
    metrics.uploads.usage_corrected(2)
    value = metrics.registry.get_sample_value
    assert value("partway_parts_presigned_total", {"policy": "films"}) == 7
    assert value("partway_parts_reported_total", {"policy": "films"}) == 3
    assert value("partway_usage_corrected_total") == 2


def test_a_tenant_that_no_setting_names_has_no_series(metrics: Metrics) -> None:
    metrics.uploads.inserted(Upload(a_grant("planted"), State.ACTIVE, epoch=5), restored=False)
    for family in metrics.registry.collect():
        for sample in family.samples:
            assert "planted" not in sample.labels.values()
    assert events(metrics) == {"initialized": 1}
