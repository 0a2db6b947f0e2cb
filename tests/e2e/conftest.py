"""Provides one service to the tests that do not harm it; see also `tests/support/`."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3

from tests.support.bucket import Bucket, look_into
from tests.support.processes import Partway, Service

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, redis_url: str, s3: S3) -> Iterator[Service]:
    """Yield a running service, with reflection."""
    with Service(tmp_path_factory.mktemp("service"), s3, redis_url, reflection=True) as service:
        service.start()
        yield service


@pytest.fixture(scope="session")
def bucket(s3: S3) -> Iterator[Bucket]:
    """Return the bucket of the service."""
    with look_into(s3) as bucket:
        yield bucket


@pytest.fixture
async def partway(service: Service, tmp_path: Path) -> AsyncIterator[Partway]:
    async with Partway(service.address, tmp_path / "state") as partway:
        yield partway


@pytest.fixture
async def stub(service: Service) -> AsyncIterator["UploadServiceAsyncStub"]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        yield UploadServiceStub(channel)
