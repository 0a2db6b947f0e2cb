"""Tests that the version is changed, up and down again, without a lost call."""

from functools import partial
from pathlib import Path

import pytest
from partway_server.devstack.servers import S3

from tests.changes.conftest import load_on
from tests.support.bucket import Bucket
from tests.support.fleet import DRAIN_SECONDS, REPLICAS, running
from tests.support.previous_version import COMMIT, ROOT, VersionedService, check_out

pytestmark = [pytest.mark.changes, pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(900)]


def test_an_upgrade_and_a_downgrade(
    s3: S3, own_redis: str, bucket: Bucket, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    previous = check_out(tmp_path_factory.mktemp("previous"), COMMIT)
    settings = {"drain_seconds": DRAIN_SECONDS, "log_level": "info", "tenant_open_uploads": 0}
    replicas = [
        VersionedService(previous, tmp_path, s3, own_redis, {}, **settings) for _ in range(REPLICAS)
    ]
    with running(tmp_path, replicas) as fleet:
        with load_on(fleet, bucket) as load:
            for tree in (ROOT, previous):
                for replica in replicas:
                    fleet.restart(replica, partial(replica.run_from, tree))
                load.go_on(2)
