"""Fixtures of the client's tests; their code is in the modules of this folder."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from partway_client import UploadClient

from tests.client.pacing import Slept, pace
from tests.client.service import Service
from tests.client.storage import Storage


@pytest.fixture
async def storage() -> AsyncIterator[Storage]:
    async with Storage() as storage:
        yield storage


@pytest.fixture
async def service(storage: Storage) -> AsyncIterator[Service]:
    async with Service(storage) as service:
        yield service


@pytest.fixture
def slept() -> Slept:
    return Slept()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
async def client(service: Service, slept: Slept, state_dir: Path) -> AsyncIterator[UploadClient]:
    async with UploadClient(service.address, state_dir=state_dir, pace=pace(slept)) as client:
        yield client


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """Return a file of ten different parts of 64 KiB, the last one short."""
    path = tmp_path / "movie.mp4"
    path.write_bytes(b"".join(bytes([n]) * 64 * 1024 for n in range(9)) + b"the end")
    return path


@pytest.fixture
def clips(tmp_path: Path) -> Sequence[Path]:
    """Return three small files of different content."""
    paths = [tmp_path / f"clip{n}" for n in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 1000)
    return paths
