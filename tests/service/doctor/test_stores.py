"""Tests that the doctor says of each real store what the suites show of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from partway_server.config.capability_file import read_record
from partway_server.devstack.servers import S3

from tests.support.measurement import Measurement, measure
from tests.support.store_catalogue import MEASURED, RECORDS, STORES

MINUTES = 5
"""The doctor starts as a process and sends some hundred requests, beside whatever else runs."""

pytestmark = pytest.mark.timeout(MINUTES * 60)


@pytest.fixture(params=[pytest.param(name, marks=STORES[name].marks) for name in MEASURED])
def store(request: pytest.FixtureRequest) -> tuple[str, S3]:
    """Return each store that has a record of what was measured, and where it runs."""
    name: str = request.param
    return name, request.getfixturevalue(STORES[name].fixture)


@pytest.fixture
def as_generic(store: tuple[str, S3], tmp_path: Path) -> Measurement:
    return measure(store[1], tmp_path)


def test_the_committed_record_is_what_is_measured(
    store: tuple[str, S3], as_generic: Measurement
) -> None:
    committed = read_record(str(RECORDS / f"{store[0]}.toml"))
    assert replace(as_generic.record, source="") == replace(committed, source="")


def test_only_what_the_suites_found_too_is_bad(
    store: tuple[str, S3], as_generic: Measurement
) -> None:
    found = {name for name in as_generic.bad() if not name.startswith("storage.record.")}
    assert found == set(STORES[store[0]].bad)
    assert as_generic.exit_code == (1 if as_generic.bad() else 0)
    assert as_generic.findings["storage.clean"]["status"] == "ok"


def test_with_its_record_nothing_of_the_record_is_bad(
    store: tuple[str, S3], as_generic: Measurement, tmp_path: Path
) -> None:
    again = measure(store[1], tmp_path, record=as_generic.file)
    assert again.findings["storage.record"]["status"] == "ok"


def test_the_record_that_the_suites_use_claims_nothing_that_is_false(
    store: tuple[str, S3], as_generic: Measurement
) -> None:
    claims, measured = STORES[store[0]].record, as_generic.record
    assert claims.checksums <= measured.checksums
    for name in ("conditional_put", "conditional_complete", "conditional_delete"):
        assert getattr(measured, name) or not getattr(claims, name)
    assert claims.exact_key_listing_only or not measured.exact_key_listing_only
