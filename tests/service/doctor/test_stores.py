"""Tests that the doctor says of each real store what the suites show of it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from partway_server.config.capability_file import read_record
from partway_server.devstack.servers import S3

from tests.support.backends import OUTSIDE
from tests.support.measurement import Measurement, measure
from tests.support.store_catalogue import MEASURED, RECORDS, KnownStore, marks_of, running

MINUTES = 5
"""The doctor starts as a process and sends some hundred requests, beside whatever else runs."""

pytestmark = pytest.mark.timeout(MINUTES * 60)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=marks_of(name)) for name in (*MEASURED, OUTSIDE)],
)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each store of which it is known what was measured."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def found(
    name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[S3, KnownStore, Measurement]:
    """Return where the store runs, what the suites know of it, and what the doctor finds."""
    s3, tested = running(request, name)
    return s3, tested, measure(s3, tmp_path_factory.mktemp("doctor"))


Found = tuple[S3, KnownStore, Measurement]


def test_the_committed_record_is_what_is_measured(name: str, found: Found) -> None:
    if name == OUTSIDE:
        pytest.skip("nothing is committed of it")
    _, tested, measurement = found
    committed = RECORDS / f"{name}.toml"
    if os.environ.get("PARTWAY_TEST_WRITE_RECORDS") == "1":
        committed.write_text(measurement.of(tested.title))
    measured = replace(measurement.record, source="")
    assert measured == replace(read_record(str(committed)), source=""), "make measure-stores"


def test_only_what_the_suites_found_too_is_bad(found: Found) -> None:
    _, tested, measurement = found
    bad = {name for name in measurement.bad() if not name.startswith("storage.record.")}
    assert bad == set(tested.bad)
    assert measurement.exit_code == (1 if measurement.bad() else 0)
    assert measurement.findings["storage.clean"]["status"] == "ok"


def test_with_its_record_nothing_of_the_record_is_in_doubt(found: Found, tmp_path: Path) -> None:
    s3, _, measurement = found
    again = measure(s3, tmp_path, record=measurement.file)
    assert again.findings["storage.record"]["status"] == "ok"


def test_the_record_that_the_suites_use_claims_nothing_that_is_false(found: Found) -> None:
    _, tested, measurement = found
    claims, measured = tested.record, measurement.record
    assert claims.checksums <= measured.checksums
    for gift in ("conditional_put", "conditional_complete", "conditional_delete"):
        assert getattr(measured, gift) or not getattr(claims, gift)
    for burden in ("exact_key_listing_only", "listed_resends", "unsigned_headers"):
        assert getattr(claims, burden) or not getattr(measured, burden)


def test_the_stores_own_expiry_is_named(name: str, found: Found, tmp_path: Path) -> None:
    s3, known, _ = found
    if not known.record.multipart_seconds:
        pytest.skip("the record says that it ends no upload by itself")
    hours = known.record.multipart_seconds // 3600
    again = measure(s3, tmp_path, kind=name)
    assert (
        f"storage itself ends incomplete uploads {hours} hours"
        in (again.findings["storage.lifecycle"]["found"])
    )
