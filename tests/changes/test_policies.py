"""Tests that the policies are changed without a lost call."""

from pathlib import Path

import pytest

from tests.changes.conftest import Replicas, load_on
from tests.support.bucket import Bucket
from tests.support.fleet import running

pytestmark = [pytest.mark.changes, pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(600)]

FIRST = "[policy.default]\nmax_upload_seconds = 1_209_600\n"
SECOND = """
[policy.default]
max_upload_seconds = 1_209_600
key_template = "{tenant}/second/{date}/{sid}"
max_size_bytes = "1GiB"

[policy.films]
tenants = ["acme"]
"""


def test_policies_that_are_reloaded(replicas: Replicas, bucket: Bucket, tmp_path: Path) -> None:
    file = tmp_path / "policies.toml"
    file.write_text(FIRST)
    with running(tmp_path, replicas(policy_file=file)) as fleet:
        with load_on(fleet, bucket) as load:
            for text in (SECOND, FIRST, SECOND):
                file.write_text(text)
                fleet.reload("policies reloaded: policy default changed")
                load.go_on(1)
        used = {"/second/" in each.key for each in load.tally.acknowledged}
    assert used == {False, True}
