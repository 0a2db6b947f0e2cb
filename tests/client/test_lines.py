"""Uploads over real connections that are slow or break; `make bench-line` has twenty such lines."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.line.lines import MB, SimulatedLine
from bench.line.relay import LineRelay
from tests.client.command import Partway, ended
from tests.client.files import content
from tests.client.service import Service
from tests.client.storage import Storage

MIB = 1024 * 1024
SIZE = 24 * MIB
BREAKING = SimulatedLine("breaks", 8 * MB, SIZE, reset_bytes=(3 * MB, 9 * MB))
SLOW = SimulatedLine("slow", 1 * MB, SIZE)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
async def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


@pytest.fixture
async def relay(request: pytest.FixtureRequest, storage: Storage) -> AsyncIterator[LineRelay]:
    at = urlsplit(storage.base)
    assert at.hostname is not None and at.port is not None
    async with LineRelay(request.param) as relay:
        storage.base = f"http://127.0.0.1:{await relay.to(at.hostname, at.port)}"
        yield relay


@pytest.mark.parametrize("relay", [BREAKING], indirect=True)
async def test_connections_that_break_within_a_part_lead_to_smaller_parts(
    partway: Partway, service: Service, storage: Storage, relay: LineRelay, film: Path
) -> None:
    service.part_size = 16 * MIB

    done = await partway.run("upload", "--json", film)

    assert done.code == 0
    [uploaded] = done.results
    assert storage.bytes_of(uploaded["upload_id"]) == content(film)
    assert relay.resets >= 2
    assert "do not get through, since connections break after" in done.stderr
    assert "beginning again with parts of" in done.stderr


@pytest.mark.parametrize("relay", [SLOW], indirect=True)
async def test_a_kill_on_a_slow_line_loses_about_one_part(
    partway: Partway, service: Service, storage: Storage, relay: LineRelay, film: Path
) -> None:
    service.part_size = part = 5 * MIB
    process = await partway.start("upload", film)
    await relay.passed(14 * MIB)
    process.send_signal(signal.SIGKILL)
    await ended(process)
    # What is on its way goes on to arrive.
    await asyncio.sleep(1)

    done = await partway.run("upload", "--json", film)

    assert done.code == 0
    assert storage.bytes_of(service.only().id) == content(film)
    assert done.results[0]["parts_resumed"] >= 1
    assert relay.passed_bytes - SIZE < 1.5 * part
