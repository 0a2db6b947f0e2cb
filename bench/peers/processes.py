"""Starts the stub, Redis and the peers, each as one process, and counts the CPU of a peer."""

import asyncio
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from partway_server.devstack.servers import answers, start_valkey
from partway_server.rpc.health_client import serving
from partway_server.runtime.subprocesses import Child, free_port, port_is_free

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".tools" / "bench"
VENV = ROOT / ".venv-peers" / "bin"
STUB = TOOLS / "stub"
BUCKET = "partway"
REGION = "us-east-1"
ACCESS_KEY = "AKIDEXAMPLE"
_SECRET_KEY = "no-secret-the-stub-verifies-nothing"

STORAGE_ENVIRON = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
}


@dataclass(frozen=True, slots=True)
class Backends:
    """What the peers share: the addresses of the stub and of Redis, and a folder for their logs."""

    storage: str
    redis: str
    folder: Path


@dataclass(slots=True)
class Cores:
    """The core of the peer that is measured, and those of everything else; none if not divided."""

    peer: int | None = None

    @classmethod
    def divide(cls) -> "Cores":
        """Keep one core for the peers, and move this process, and what it starts, to the others."""
        if not hasattr(os, "sched_setaffinity") or shutil.which("taskset") is None:
            return cls()
        first, *others = sorted(os.sched_getaffinity(0))
        if not others:
            return cls()
        os.sched_setaffinity(0, others)
        return cls(first)

    def prefix(self) -> list[str]:
        """Return the words before a command that runs on the peer's core."""
        return [] if self.peer is None else ["taskset", "--cpu-list", str(self.peer)]


@contextlib.contextmanager
def backends(folder: Path, *options: str) -> Iterator[Backends]:
    """Start the stub, with more `options`, and a Redis that keeps nothing on disk."""
    port = free_port()
    command: list[str | Path] = [STUB, "-address", f"127.0.0.1:{port}", *options]
    stub = Child("stub", command, log=folder / "stub.log")
    with stub:
        stub.wait(lambda: answers(port, "/_stub/calls") == 200)
        redis, url = start_valkey(folder, keep=False)
        with redis:
            yield Backends(f"http://127.0.0.1:{port}", url, folder)


Ready = Callable[[int], bool]


def listens(port: int) -> bool:
    """Return whether something listens on the port."""
    return not port_is_free("127.0.0.1", port)


def serves(port: int) -> bool:
    """Return whether a Partway service is serving on the port: it listens before that."""
    return serving(f"127.0.0.1:{port}", 1.0)


async def start(
    name: str,
    command: Sequence[str | Path],
    environ: Mapping[str, str],
    port: int,
    folder: Path,
    cores: Cores,
    seconds: float = 120,
    ready: Ready = listens,
) -> Child:
    """Start a peer, and wait that long until it is `ready` at its port."""
    variables = {**STORAGE_ENVIRON, **environ}
    words = ["env", *(f"{key}={value}" for key, value in variables.items()), *cores.prefix()]
    child = Child(name, [*words, *command], log=folder / f"{name}-{port}.log")
    # In a thread: its Redis may be behind a relay of this event loop.
    await asyncio.to_thread(child.wait, lambda: ready(port), seconds)
    return child


def python(*words: str) -> list[str | Path]:
    """Return a command of the interpreter that runs the service of this project."""
    return [sys.executable, *words]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its children so far, of threads that ended too.

    The kernel counts it in nanoseconds, as in `schedstat`, but that forgets threads that ended.
    """
    # A process's clock is its inverted number and the clock's kind (clock_getcpuclockid(3)).
    clock, scheduler = ~pid << 3, 2
    return time.clock_gettime(clock | scheduler) + sum(map(cpu_seconds, _children(pid)))


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]
