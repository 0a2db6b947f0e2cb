"""Tests that one address has the metrics of all workers, also of those that have ended."""

import asyncio
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from partway_server.devstack.servers import S3
from partway_server.runtime.subprocesses import free_port
from prometheus_client.parser import text_string_to_metric_families

from tests.support.processes import Service, gone, until

pytestmark = [
    pytest.mark.redis,
    pytest.mark.s3,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes through /proc"),
]

CALLS = "partway_redis_call_duration_seconds_count"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def service(tmp_path: Path, s3: S3, redis_url: str, port: int) -> Iterator[Service]:
    settings = {"workers": 2, "metrics_address": f"127.0.0.1:{port}", "janitor_seconds": 1}
    with Service(tmp_path, s3, redis_url, **settings) as service:
        yield service


def scraped(port: int) -> dict[str, float]:
    """Return the sum of the samples of each name."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


async def test_the_figures_are_those_of_all_workers_and_outlive_one_that_is_killed(
    service: Service, port: int
) -> None:
    await asyncio.to_thread(service.start)
    await until(lambda: service.logged().count("serving on") == 2)
    await until(lambda: scraped(port)["partway_workers"] == 2)
    before = [scraped(port)[CALLS] for _ in range(10)]
    assert before == sorted(before), "one worker answered for itself alone"
    first, second = service.server.children()
    os.kill(first, signal.SIGKILL)
    await until(lambda: gone([first], seconds=0))
    # The kernel may have given a connection to the one that died.
    alone = await until_answered(port)
    assert alone[CALLS] >= before[-1]
    await until(lambda: scraped(port)["partway_workers"] == 2)
    assert second in service.server.children()
    assert scraped(port)[CALLS] >= alone[CALLS]


async def test_a_worker_that_is_stopped_does_not_delay_the_others_and_stays_counted(
    service: Service, port: int
) -> None:
    await asyncio.to_thread(service.start)
    await until(lambda: service.logged().count("serving on") == 2)
    await until(lambda: scraped(port)["partway_workers"] == 2)
    before = scraped(port)[CALLS]
    stopped, _ = service.server.children()
    os.kill(stopped, signal.SIGSTOP)
    try:
        # The kernel may give the stopped one some of the connections: those time out.
        found = await until_answered(port)
        assert found["partway_workers"] == 1
        assert found[CALLS] >= before
    finally:
        os.kill(stopped, signal.SIGCONT)


async def until_answered(port: int) -> dict[str, float]:
    """Scrape until a worker that runs gets the connection."""
    for _ in range(40):
        try:
            return await asyncio.wait_for(asyncio.to_thread(scraped, port), 4)
        except (TimeoutError, OSError):
            continue
    raise AssertionError("no worker answered")


async def test_the_folder_that_workers_share_goes_with_them(service: Service, port: int) -> None:
    await asyncio.to_thread(service.start)
    await until(lambda: service.logged().count("serving on") == 2)
    folder = shared_folder(service.server.children()[0])
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert await asyncio.to_thread(service.server.stop, signal.SIGTERM) == 0
    assert not os.path.exists(folder)  # noqa: ASYNC240


def shared_folder(worker: int) -> str:
    """Return the folder that a worker was given."""
    arguments = Path(f"/proc/{worker}/cmdline").read_bytes().decode().split("\0")
    return arguments[arguments.index("--metrics-folder") + 1]
