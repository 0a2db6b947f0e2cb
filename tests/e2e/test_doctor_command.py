"""Tests `partway-server doctor` as a process: its output for scripts, and ending on a signal."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from partway_server.devstack.servers import S3

from tests.support.bucket import Bucket, look_into
from tests.support.processes import Server, service_environ, until

pytestmark = [pytest.mark.redis, pytest.mark.s3]


def in_use(bucket: Bucket) -> bool:
    """Return whether the doctor has something in the bucket."""
    found = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="partway-probe/")
    return bool(found.get("Contents")) or bucket.unfinished() > 0


async def test_a_script_reads_that_nothing_is_bad(tmp_path: Path, s3: S3, redis_url: str) -> None:
    environ = service_environ(s3, redis_url)
    with Server("doctor", "--json", log=tmp_path / "log", environ=environ) as server:
        printed = json.loads(server.stdout.read())
        assert server.process.wait(60) == 0
    assert printed["counts"]["bad"] == 0
    assert printed["exit_code"] == 0
    assert (tmp_path / "log").read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_in_the_middle_leaves_nothing(
    tmp_path: Path, s3: S3, redis_url: str, number: int
) -> None:
    with look_into(s3, f"doctor-signal-{number}") as bucket:
        environ = service_environ(replace(s3, bucket=bucket.name), redis_url)
        with Server("doctor", log=tmp_path / "log", environ=environ) as server:
            await until(lambda: in_use(bucket))
            server.process.send_signal(number)
            # A second, impatient signal cuts nothing short.
            assert server.stop(number) == 130
            assert server.stdout.read() == b""
        assert "everything it made in the bucket is removed" in (tmp_path / "log").read_text()
        assert not in_use(bucket)
