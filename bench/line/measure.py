"""Uploads a file over a simulated line with one client, and counts what passed; and kills it."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from partway_server.runtime.subprocesses import free_port

from bench.line.clients import Client, Target
from bench.line.lines import SimulatedLine
from bench.line.relay import LineRelay
from bench.peers.catalogue import partway_service
from bench.peers.processes import Backends, Cores, serves, start

SERVICE_SECONDS = 600.0
"""How long the service may take to start, on a busy machine."""

GIVE_UP = 4.0
"""After this many times the ideal, an upload is stopped."""

START_SECONDS = 20.0
"""What a client may need beside, on a busy machine."""

_KILL_AT = (0.3, 0.6, 0.85)
_GONE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """One upload: its time from the first byte to the end, the bytes that passed, the breaks.

    How long a client takes to start, on a busy machine, is not the line's. `seconds` is None if it
    failed or was given up.
    """

    seconds: float | None
    passed_bytes: int
    resets: int


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: its port, and that of its URLs, where a line is to lead to storage."""

    port: int
    public_port: int


@dataclass(frozen=True, slots=True)
class Stand:
    """A line in front of storage and of the service."""

    relay: LineRelay
    line: SimulatedLine
    target: Target

    async def upload(self, client: Client, file: Path) -> Run:
        """Run the client once, to its end."""
        self.relay.restart()
        process = await self._start(client, file)
        code, began = -1, 0.0
        ended = asyncio.ensure_future(process.wait())
        first = asyncio.ensure_future(self.relay.passed(1))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_UP * self.line.ideal_seconds + START_SECONDS):
                await asyncio.wait({ended, first}, return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    raise RuntimeError(f"{client.name} sent nothing: exit code {await ended}")
                began = time.perf_counter()
                code = await ended
        seconds = time.perf_counter() - began
        first.cancel()
        await _end(process)
        return Run(seconds if code == 0 else None, self.relay.passed_bytes, self.relay.resets)

    async def lost_at_kill(self, client: Client, file: Path) -> int:
        """Return the most bytes that were sent again after a kill -9, of three moments.

        Of one upload, which is killed three times: what passed in all, beyond the file.
        """
        most = 0
        for share in _KILL_AT:
            self.relay.restart()
            process = await self._start(client, file)
            wanted = share * self.line.size_bytes
            async with asyncio.timeout(GIVE_UP * self.line.ideal_seconds + START_SECONDS):
                await self.relay.passed(wanted)
            await _end(process)
            await asyncio.sleep(_GONE_SECONDS)
            before = self.relay.passed_bytes
            again = await self.upload(client, file)
            most = max(most, before + again.passed_bytes - self.line.size_bytes)
        return most

    async def _start(self, client: Client, file: Path) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *client.command(file, self.target),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=client.environ(self.target),
            # Not a session: on Linux each has an equal share of a busy processor (sched(7)).
            process_group=0,
        )


@contextlib.asynccontextmanager
async def service(shared: Backends) -> AsyncIterator[Service]:
    """Start the service, whose URLs lead to a port at which no one listens yet."""
    port, public = free_port(), free_port()
    command, environ = partway_service(shared, port, public=f"http://127.0.0.1:{public}")
    folder, cores = shared.folder, Cores()
    child = await start(
        "service", command, environ, port, folder, cores, SERVICE_SECONDS, ready=serves
    )
    with child:
        yield Service(port, public)


@contextlib.asynccontextmanager
async def stand(
    line: SimulatedLine, shared: Backends, service: Service, state: Path
) -> AsyncIterator[Stand]:
    """Put the line in front of the stub and of the service."""
    async with LineRelay(line) as relay:
        at = urlsplit(shared.storage)
        assert at.hostname is not None and at.port is not None
        await relay.to(at.hostname, at.port, at=service.public_port)
        port = await relay.to("127.0.0.1", service.port, breaks=False)
        storage = f"http://127.0.0.1:{service.public_port}"
        yield Stand(relay, line, Target(storage, f"127.0.0.1:{port}", state))


def write_file(path: Path, size_bytes: int) -> Path:
    """Write a file that is not all zeros and takes no disk."""
    with path.open("wb") as file:
        file.write(b"line")
        file.truncate(size_bytes)
    return path


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
