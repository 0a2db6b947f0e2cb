"""Tests that the client of each version works with the service of the other."""

from pathlib import Path

import pytest

from tests.support.bucket import Bucket
from tests.support.files import File
from tests.support.previous_version import (
    PRESENT,
    PREVIOUS,
    ROOT,
    VERSIONS,
    Deployment,
    client_environ,
)
from tests.support.processes import Partway

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(120)]

MIB = 1024 * 1024


@pytest.mark.parametrize("size", [1000, 12 * MIB + 3], ids=["one PUT", "parts"])
@pytest.mark.parametrize("of_client", VERSIONS)
async def test_a_file_is_uploaded_to_the_other_version(
    deployment: Deployment,
    previous: Path,
    bucket: Bucket,
    tenant: str,
    tmp_path: Path,
    of_client: str,
    size: int,
) -> None:
    of_service = PREVIOUS if of_client == PRESENT else PRESENT
    address = deployment.services[of_service].address
    tree = ROOT if of_client == PRESENT else previous
    who = ("--tenant", tenant, "--subject", "alice")
    file = File.write(tmp_path / "film.mp4", size)
    async with Partway(address, tmp_path / "state", **client_environ(tree)) as partway:
        done = (await partway.run("upload", file.path, "--json", "--part-size", "5MiB", *who)).only
        assert bucket.sha256(done["key"]) == file.sha256
        seen = (await partway.run("status", done["upload_id"], "--json", *who)).only
        assert seen["state"] == "completed"
