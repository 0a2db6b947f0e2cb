"""The fixture `partway_service`: a fake service for each test."""

from collections.abc import Iterator

import pytest

from partway_client.testing import FakeService


@pytest.fixture
def partway_service() -> Iterator[FakeService]:
    """Run a Partway service in memory; its `address` is for clients."""
    with FakeService() as service:
        yield service
