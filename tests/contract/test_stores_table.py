"""Tests that docs/stores.md says what was measured, of the versions that the suites run over."""

from pathlib import Path

import pytest

from tests.contract.stores_table import DOCUMENT, written
from tests.support.store_catalogue import MEASURED, STORES

ROOT = Path(__file__).parents[2]

PINS = {
    "seaweedfs": "requirements/dev.txt",
    "localstack": "requirements/localstack.txt",
    "minio": "requirements/stores/go.mk",
    "versitygw": "requirements/stores/go.mk",
    "s3proxy": "requirements/stores/pom.xml",
    "s3mock": "requirements/stores/pom.xml",
}
"""Where the version of a store stands; that of Ceph is Debian's."""


def test_the_table_is_that_of_the_records() -> None:
    document = DOCUMENT.read_text("utf-8")
    assert document == written(document), "run: make stores-table"


@pytest.mark.parametrize("name", [name for name in MEASURED if name in PINS])
def test_the_version_of_a_store_is_the_one_that_is_pinned(name: str) -> None:
    version = STORES[name].title.rpartition(" ")[2]
    assert version in (ROOT / PINS[name]).read_text()
