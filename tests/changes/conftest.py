"""Three replicas of the service under load, and what must hold when they have changed."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from partway_server.devstack.servers import S3, start_valkey

from tests.support.bucket import Bucket, look_into
from tests.support.fleet import DRAIN_SECONDS, REPLICAS, Fleet
from tests.support.load.load import Load, lost
from tests.support.processes import Service

RATE = float(os.environ.get("PARTWAY_TEST_CALLS_PER_SECOND", "200"))
"""How many calls begin each second."""

BEFORE_SECONDS, AFTER_SECONDS = 3.0, 3.0

Replicas = Callable[..., list[Service]]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a Redis of the test's own."""
    child, url = start_valkey(tmp_path, keep=False)
    with child:
        yield url


@pytest.fixture(scope="session")
def bucket(s3: S3) -> Iterator[Bucket]:
    with look_into(s3) as bucket:
        yield bucket


@pytest.fixture
def replicas(tmp_path: Path, s3: S3, own_redis: str) -> Replicas:
    """Return what makes three replicas, not started, with the settings it is given."""

    def make(**settings: object) -> list[Service]:
        usual = {"drain_seconds": DRAIN_SECONDS, "log_level": "info", "tenant_open_uploads": 0}
        given = {**usual, **settings}
        url = str(given.pop("redis_url", own_redis))
        return [Service(tmp_path, s3, url, **given) for _ in range(REPLICAS)]

    return make


@contextmanager
def load_on(fleet: Fleet, bucket: Bucket, *, by_status: bool = True) -> Iterator[Load]:
    """Make calls before, during and after the block, and check that none failed or was lost.

    Without `by_status` the uploads are looked for in storage only.
    """
    with Load(fleet.front.address, RATE) as load:
        load.go_on(BEFORE_SECONDS)
        yield load
        load.go_on(AFTER_SECONDS)
    tally = load.tally
    late = round(load.latest, 2)
    print(json.dumps({**tally.summary(), "calls begun late, seconds": late}))
    assert not tally.failures, tally.summary()
    assert tally.acknowledged
    assert lost(tally.acknowledged, bucket, fleet.front.address if by_status else "") == []
    assert fleet.faults() == []
