"""Real backends for marked tests, and the rule for when those run.

With PARTWAY_TEST_BACKENDS=1, which `make test` sets, tests marked `redis` or `s3` run.
PARTWAY_TEST_STORES lists the stores that need more than wheels, of OF_MAKE_TEST_STORES; `make
test-NAME` lists one, and `make test-stores` runs all, so tests with these marks run. A backend that
cannot start is then a failure. PARTWAY_TEST_TOOLS likewise lists what needs more tools, of
`languages`, `examples`, `peers`, `deploy` and `image`, or more time, `changes`: `make
test-languages` and the like install them and set it. All other marked tests are skipped.
PARTWAY_TEST_REDIS_URL names a Redis to use instead of starting one; the tests may destroy its data.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from partway_server.devstack.servers import S3, connect, start_seaweedfs, start_valkey
from partway_server.runtime.subprocesses import Child

from tests.support.go_stores import start_minio, start_versitygw
from tests.support.java_stores import start_s3mock, start_s3proxy
from tests.support.localstack import start_localstack
from tests.support.rclone import start_rclone
from tests.support.redis_cluster import Cluster, start_cluster
from tests.support.redis_sentinel import Sentinels, start_sentinels
from tests.support.rgw import running_rgw

ENABLE = "PARTWAY_TEST_BACKENDS"
STORES = "PARTWAY_TEST_STORES"
TOOLS = "PARTWAY_TEST_TOOLS"
REDIS_URL = "PARTWAY_TEST_REDIS_URL"

REDIS_PATIENCE = 30.0
"""How long a command to a Redis that answers may take in a test, in seconds.

A machine that runs many tests at once may stop for longer than the service's own patience; tests
of what comes after that set one of their own.
"""

OF_MAKE_TEST = ("redis", "s3")
OF_MAKE_TEST_STORES = ("localstack", "ceph", "minio", "versitygw", "s3proxy", "s3mock")
STORE_SECONDS = 180
"""How long a test over one of them may take: the first also starts it, beside much else."""

OUTSIDE = "outside"
"""A store that runs already, of `make test-outside`."""
OF_TOOLS = ("alerts", "changes", "deploy", "examples", "image", "languages", "peers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a backend, unless the environment asks for them."""
    asked = {mark for name in (STORES, TOOLS) for mark in os.environ.get(name, "").split(",")}
    if os.environ.get(ENABLE) == "1":
        asked.update(OF_MAKE_TEST)
    rules = [(mark, f"{ENABLE}=1, or run `make test`") for mark in OF_MAKE_TEST]
    stores = (*OF_MAKE_TEST_STORES, OUTSIDE)
    rules += [(mark, f"{STORES}={mark}, or run `make test-{mark}`") for mark in stores]
    rules += [(mark, f"{TOOLS}={mark}, or run `make test-{mark}`") for mark in OF_TOOLS]
    for item in items:
        if any(map(item.get_closest_marker, stores)) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(STORE_SECONDS))
    for mark, way in rules:
        if mark in asked:
            continue
        for item in items:
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"needs a real backend; set {way}"))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a real Redis that no one else uses."""
    if url := os.environ.get(REDIS_URL):
        yield url
        return
    child, url = start_valkey(tmp_path_factory.mktemp("valkey"), keep=False)
    with child:
        yield url


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    """Run a master, a replica and three Sentinels."""
    with start_sentinels(tmp_path_factory.mktemp("sentinels")) as sentinels:
        yield sentinels


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run three masters, each with a replica."""
    folder = tmp_path_factory.mktemp("cluster")
    with start_cluster(folder, replicas=1, dead_after_ms=1000) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Run a real S3 server that verifies signatures, with an empty bucket."""
    child, s3 = start_seaweedfs(tmp_path_factory.mktemp("seaweedfs"), keep=False)
    with child:
        yield s3


@pytest.fixture(scope="session")
def moto() -> Iterator[S3]:
    """Run a permissive S3 server in this process, with an empty bucket."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield _with_bucket(S3(f"http://{host}:{port}", "us-east-1", "moto", "moto", "partway"))
    server.stop()


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """`rclone serve s3` over an empty folder, with an empty bucket."""
    child, s3 = start_rclone(tmp_path_factory.mktemp("rclone"))
    with child:
        yield s3


@pytest.fixture(scope="session")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """LocalStack's S3, with an empty bucket."""
    with _running(start_localstack, tmp_path_factory.mktemp("localstack")) as s3:
        yield s3


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """MinIO, with an empty bucket."""
    with _running(start_minio, tmp_path_factory.mktemp("minio")) as s3:
        yield s3


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Versity's gateway over a folder, with an empty bucket."""
    with _running(start_versitygw, tmp_path_factory.mktemp("versitygw")) as s3:
        yield s3


@pytest.fixture(scope="session")
def s3proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """S3Proxy over a folder, with an empty bucket."""
    with _running(start_s3proxy, tmp_path_factory.mktemp("s3proxy")) as s3:
        yield s3


@pytest.fixture(scope="session")
def s3mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Adobe's S3Mock, with an empty bucket."""
    with _running(start_s3mock, tmp_path_factory.mktemp("s3mock")) as s3:
        yield s3


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Run Ceph's object gateway, with an empty bucket."""
    with running_rgw(tmp_path_factory.mktemp("ceph")) as s3:
        yield _with_bucket(s3)


@contextmanager
def _running(start: Callable[[Path], tuple[Child, S3]], folder: Path) -> Iterator[S3]:
    child, s3 = start(folder)
    with child:
        yield _with_bucket(s3)


def _with_bucket(s3: S3) -> S3:
    with closing(connect(s3)) as client:
        client.create_bucket(Bucket=s3.bucket)
    return s3
