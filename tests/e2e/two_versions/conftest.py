"""Provides both versions to the tests that harm neither; see also `tests/support/`."""

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from partway_server.devstack.servers import S3, start_valkey

from tests.support.bucket import Bucket, look_into
from tests.support.previous_version import (
    EVENT_SOURCE,
    VERSIONS,
    WEBHOOK,
    Deployment,
    assert_no_traceback,
    both_versions,
    check_out,
    common_settings,
)
from tests.support.storage import Put, put_by
from tests.support.version_sides import (
    Pair,
    sides,
)
from tests.support.webhooks import SECRET, Endpoint, an_endpoint


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Check out the code of the previous version."""
    return check_out(tmp_path_factory.mktemp("previous-version"))


@pytest.fixture(scope="session")
def bucket(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with look_into(s3, f"two-versions-{uuid4().hex[:12]}") as bucket:
        yield bucket


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    """Run an endpoint in a thread, so that it outlives the event loops of the tests."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    opened = an_endpoint()
    try:
        yield run(opened.__aenter__())
        run(opened.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def deployment(
    previous: Path,
    s3: S3,
    bucket: Bucket,
    endpoint: Endpoint,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Run both versions, for the tests that harm neither."""
    folder = tmp_path_factory.mktemp("two-versions")
    webhooks = folder / "webhooks.toml"
    webhooks.write_text(
        f'[webhook.{WEBHOOK}]\nurl = "{endpoint.url}"\nsecret_env = "SECRET"\n'
        "allow_http = true\nallow_private = true\n"
    )
    settings: dict[str, Any] = {
        **common_settings(folder, bucket),
        "webhook_file": webhooks,
        "event_source": EVENT_SOURCE,
    }
    environ = {"SECRET": "whsec_" + base64.b64encode(SECRET).decode()}
    valkey, redis_url = start_valkey(folder, keep=False)
    with (
        valkey,
        both_versions(previous, folder, s3, redis_url, environ=environ, **settings) as services,
    ):
        yield Deployment(services, redis_url, endpoint)
        assert_no_traceback(services)


@pytest.fixture
async def put() -> AsyncIterator[Put]:
    async with aiohttp.ClientSession() as http:
        yield put_by(http)


@pytest.fixture
def tenant() -> str:
    """Return a caller of the test's own, who sees no uploads of other callers."""
    return f"tenant-{uuid4().hex[:12]}"


@pytest.fixture(params=VERSIONS)
async def pair(
    request: pytest.FixtureRequest, deployment: Deployment, put: Put, tenant: str
) -> AsyncIterator[Pair]:
    """Return the parameter's version, which makes the uploads, and the other, which continues."""
    async with sides(deployment.services, request.param, put, tenant) as pair:
        yield pair
