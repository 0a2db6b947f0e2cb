"""Tests that another Redis becomes the master without a lost call."""

from pathlib import Path

import pytest

from tests.changes.conftest import Replicas, load_on
from tests.support.bucket import Bucket
from tests.support.fleet import running
from tests.support.redis_sentinel import Sentinels

pytestmark = [pytest.mark.changes, pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(600)]


def test_a_failover_that_an_operator_begins(
    replicas: Replicas, bucket: Bucket, sentinels: Sentinels, tmp_path: Path
) -> None:
    with running(tmp_path, replicas(redis_url=sentinels.url)) as fleet:
        with load_on(fleet, bucket) as load:
            sentinels.hand_over()
            load.go_on(3)
            sentinels.settle()
            sentinels.hand_over()


def test_a_failover_from_a_master_that_was_killed(
    replicas: Replicas, bucket: Bucket, sentinels: Sentinels, tmp_path: Path
) -> None:
    with running(tmp_path, replicas(redis_url=sentinels.url)) as fleet:
        with load_on(fleet, bucket) as load:
            sentinels.kill_master()
            load.go_on(3)
            sentinels.revive()
            sentinels.settle()
