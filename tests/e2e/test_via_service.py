"""Tests parts through a service that dies in the middle of one."""

import asyncio
from pathlib import Path

import pytest
from partway_server.devstack.servers import S3
from partway_server.runtime.subprocesses import free_port

from tests.support.bucket import look_into
from tests.support.files import File
from tests.support.processes import Partway, Service, ended, until
from tests.support.relay_valve import Valve

pytestmark = [pytest.mark.redis, pytest.mark.s3]

MIB = 1024 * 1024


async def test_a_service_that_is_killed_in_the_middle_of_a_part_loses_nothing(
    tmp_path: Path, s3: S3, redis_url: str
) -> None:
    film = File.write(tmp_path / "film.mp4", 31 * MIB + 3)
    metrics = f"127.0.0.1:{free_port()}"
    async with Valve(s3.endpoint) as valve:
        settings = {
            "s3_endpoint": valve.url,
            "s3_public_endpoint": "http://127.0.0.1:1",
            "via_service": True,
            "metrics_address": metrics,
        }
        with Service(tmp_path, s3, redis_url, **settings) as service:
            await asyncio.to_thread(service.start)
            async with Partway(service.address, tmp_path / "state") as partway:
                await valve.allow(12 * MIB)
                uploading = await partway.start(
                    *("upload", film.path, "--json", "--part-size", "5MiB", "--concurrency", "2")
                )
                await until(lambda: valve.blocked == 2)
                await asyncio.to_thread(service.kill)
                await valve.drop()
                await valve.open()
                await asyncio.to_thread(service.start)
                ran = await ended(uploading)
    assert ran.only["size_bytes"] == 31 * MIB + 3
    # What was in the middle of its way was sent again.
    assert ran.only["parts_retried"] >= 2
    assert ran.only["bytes_via_service"] > ran.only["size_bytes"]
    assert ran.messages.count("storage cannot be reached from here") == 1
    with look_into(s3) as bucket:
        assert bucket.sha256(ran.only["key"]) == film.sha256
    assert f"metrics on {metrics}" in service.logged()
    # All of it at DEBUG.
    assert "X-Amz" not in service.logged()
