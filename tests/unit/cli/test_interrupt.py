"""Tests Ctrl-C while `partway-server` starts: the imported modules show its progress."""

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # It starts processes.

LOADING = b"import time:"
"""How a line begins that Python prints for each module, once it is imported (-X importtime)."""


SETTINGS = ("--bucket", "b")
KEYS = {"PARTWAY_SEALING_KEYS": base64.b64encode(bytes(64)).decode()}


async def interrupted(after: str, *arguments: str) -> tuple[int | None, bytes, bytes]:
    """Send Ctrl-C once the module `after` is imported; return the exit and the output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-X", "importtime", "-m", "partway_server", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **KEYS},
    )
    assert process.stderr is not None
    while not (line := await process.stderr.readline()).endswith(f" {after}\n".encode()):
        assert line, f"{after} was never imported"
    process.send_signal(signal.SIGINT)
    stdout, stderr = await process.communicate()
    said = [line for line in stderr.splitlines() if not line.startswith(LOADING)]
    return process.returncode, stdout, b"\n".join(said)


@pytest.mark.parametrize("after", ["click._compat", "asyncio", "partway_server.cli.main", "grpc"])
async def test_ctrl_c_at_the_start_ends_it_without_a_word(after: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"

        urls = ("--redis-url", f"redis://{address}", "--s3-endpoint", f"http://{address}")
        ended = await interrupted(after, "sweep", *SETTINGS, *urls)

    assert ended == (130, b"", b"")


async def test_ctrl_c_ends_a_question_for_health_without_a_word() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        asked = ("health", "--address", address, "--timeout", "600")
        ended = await interrupted("partway_server.rpc.health_client", *asked)

    assert ended == (130, b"", b"")


@pytest.mark.redis
async def test_who_follows_events_ends_in_order(redis_url: str) -> None:
    follow = ("events", "tail", "--follow", "--redis-url", redis_url)

    assert await interrupted("partway_server.events.event_stream", *follow) == (0, b"", b"")
