"""Tests Ctrl-C while `partway` starts: the modules it has imported show its progress."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.client.command import Ended

LOADING = "import time:"
"""How a line begins that Python prints for each module, once it is imported (-X importtime)."""


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the address of a service that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


async def interrupted(after: str, *arguments: str, ignoring: bool = False) -> Ended:
    """Send Ctrl-C once the module `after` is imported; return how the process ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-X", "importtime", "-m", "partway_client", *arguments),
        env=os.environ | {"PYTHONWARNINGS": "error"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ignoring else None,
    )
    assert process.stderr is not None
    while not (line := await process.stderr.readline()).endswith(f" {after}\n".encode()):
        assert line, f"{after} was never imported"
    process.send_signal(signal.SIGINT)
    stdout, stderr = await process.communicate()
    assert process.returncode is not None
    said = [line for line in stderr.decode().splitlines() if not line.startswith(LOADING)]
    return Ended(process.returncode, stdout.decode(), "\n".join(said))


@pytest.mark.parametrize(
    "after",
    ["click._compat", "partway_client.cli.main", "ssl", "aiohttp", "grpc", "partway_client.client"],
)
async def test_ctrl_c_at_the_start_ends_it_without_a_traceback(silent: str, after: str) -> None:
    done = await interrupted(after, "status", "--server", silent, "any")

    assert (done.code, done.stdout) == (130, "")
    # It may be further along by the time the signal arrives.
    assert done.stderr in ("", "partway: stopped")


async def test_who_started_it_to_ignore_ctrl_c_is_obeyed() -> None:
    done = await interrupted("click._compat", "--version", ignoring=True)

    assert (done.code, done.stderr) == (0, "")
    assert "partway, version" in done.stdout


def test_help_does_not_wait_for_grpc() -> None:
    program = (
        "import sys\n"
        "from partway_client.cli.main import main\n"
        "main(['upload', '--help'], standalone_mode=False)\n"
        "print({'grpc', 'aiohttp', 'asyncio', 'rich.console'} & set(sys.modules), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stderr == "set()\n"


def test_the_whole_of_the_package_can_be_had_by_name() -> None:
    program = (
        "import partway_client\n"
        "from partway_client import *\n"
        "homes = {UploadClient.__module__, SyncUploadClient.__module__, Route.__module__}\n"
        "print(set(partway_client.__all__) - set(dir(partway_client)), sorted(homes))\n"
        "print(partway_client.errors.FileBusy is FileBusy, hasattr(partway_client, 'nothing'))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    homes = ["partway_client.client", "partway_client.models", "partway_client.sync"]
    assert (done.stdout, done.stderr) == (f"set() {homes}\nTrue False\n", "")
