"""Real backends for tests marked `redis` or `s3`, and the rule for when those run.

With PARTWAY_TEST_BACKENDS=1, which `make test` sets, they run, and a backend that cannot start is
a failure. Without it they are skipped. PARTWAY_TEST_REDIS_URL names a Redis to use instead of
starting one; its data is the tests' to destroy.
"""

import os
from collections.abc import Iterator

import pytest
from partway_server.embedded import S3, start_seaweedfs, start_valkey

from tests.support.redis_cluster import Cluster, start_cluster
from tests.support.redis_sentinel import Sentinels, start_sentinels

ENABLE = "PARTWAY_TEST_BACKENDS"
REDIS_URL = "PARTWAY_TEST_REDIS_URL"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a backend, unless the environment asks for them."""
    if os.environ.get(ENABLE) == "1":
        return
    skip = pytest.mark.skip(reason=f"needs a real backend; set {ENABLE}=1, or run `make test`")
    for item in items:
        if item.get_closest_marker("redis") or item.get_closest_marker("s3"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Redis that nobody else uses."""
    if url := os.environ.get(REDIS_URL):
        yield url
        return
    child, url = start_valkey(tmp_path_factory.mktemp("valkey"), keep=False)
    with child:
        yield url


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    """A master, a replica and three Sentinels."""
    with start_sentinels(tmp_path_factory.mktemp("sentinels")) as sentinels:
        yield sentinels


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three masters, each with a replica."""
    folder = tmp_path_factory.mktemp("cluster")
    with start_cluster(folder, replicas=1, timeout_ms=1000) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3 server that verifies signatures, with an empty bucket."""
    child, s3 = start_seaweedfs(tmp_path_factory.mktemp("seaweedfs"), keep=False)
    with child:
        yield s3
