"""Tests that replicas are restarted, and get more processes, without a lost call."""

from pathlib import Path

import pytest

from tests.changes.conftest import Replicas, load_on
from tests.support.bucket import Bucket
from tests.support.fleet import running

pytestmark = [pytest.mark.changes, pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(600)]


def test_a_rolling_restart(replicas: Replicas, bucket: Bucket, tmp_path: Path) -> None:
    with running(tmp_path, replicas()) as fleet, load_on(fleet, bucket):
        fleet.roll()


def test_from_one_worker_to_four(replicas: Replicas, bucket: Bucket, tmp_path: Path) -> None:
    with running(tmp_path, replicas(workers=1)) as fleet:
        with load_on(fleet, bucket):
            fleet.roll(workers=4)
        assert [len(each.server.children()) for each in fleet.replicas] == [4, 4, 4]
