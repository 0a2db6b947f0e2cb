"""Runs the service processes, each on its own port, and restarts each one that dies."""

import asyncio
import multiprocessing
import os
import random
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from partway_server.runtime.subprocesses import free_port

from tests.chaos.failpoints import Armed, Failpoint, deal, deal_missing, died_at
from tests.chaos.fault_schedule import Harm
from tests.chaos.service import Orders, serve
from tests.support.processes import until

_PRELOADED = ["tests.chaos.service", "aioboto3", "redis.asyncio", "grpc.aio"]
_PAUSE_SECONDS = 0.1
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_LEASE_SECONDS = 3


@dataclass(slots=True)
class Deaths:
    """Counts of how processes ended."""

    killed: int = 0
    terminated: int = 0
    paused: int = 0
    failpoints: Counter[Failpoint] = field(default_factory=Counter)
    failed_starts: int = 0
    odd: list[int] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.killed + self.failpoints.total()


@dataclass(slots=True)
class _Slot:
    number: int
    port: int
    metrics_port: int
    process: ForkServerProcess | None = None
    doomed: bool = False


class Fleet:
    """`count` services over the same stores. Use `start`, then `stop`.

    `environ` returns the variables of one, by its address and that of its metrics.
    """

    def __init__(
        self,
        *,
        count: int,
        folder: Path,
        environ: Callable[[str, str], Mapping[str, str]],
        seed: str,
    ) -> None:
        self._folder, self._environ = folder, environ
        self.deaths = Deaths()
        self._cards = deal(random.Random(f"{seed}/failpoints"))
        self._missing = deal_missing(random.Random(f"{seed}/missing"), self.deaths.failpoints)
        self._slots = [_Slot(n, free_port(), free_port()) for n in range(count)]
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        self._keepers: list[asyncio.Task[None]] = []
        self._cards_now: Iterator[Armed] | None = None
        self._ahead, self._stopping = timedelta(), False

    @property
    def addresses(self) -> Sequence[str]:
        return [f"127.0.0.1:{slot.port}" for slot in self._slots]

    @property
    def metrics(self) -> Sequence[str]:
        """Return the address of the metrics of each."""
        return [f"127.0.0.1:{slot.metrics_port}" for slot in self._slots]

    @property
    def logs(self) -> Sequence[Path]:
        return [self._log(slot) for slot in self._slots]

    def harms(self) -> Sequence[Harm]:
        return [
            Harm("service killed", 4, self._kill),
            Harm("service terminated", 15, self._terminate),
            Harm("service paused past its lease", 30, self._pause),
        ]

    def start(self, *, armed: bool, ahead: timedelta = timedelta()) -> None:
        """Keep all running, with failpoints if `armed`, and their clocks this far `ahead`.

        With clocks ahead, all failpoints that killed no process yet are armed at once.
        """
        self._cards_now = (self._missing if ahead else self._cards) if armed else None
        self._ahead, self._stopping = ahead, False
        self._keepers = [asyncio.create_task(self._keep(slot)) for slot in self._slots]

    async def serving(self) -> None:
        """Wait until each accepts connections. Fails after a minute."""
        await until(lambda: all(_listens(slot.port) for slot in self._slots), _START_SECONDS)

    async def stop(self) -> None:
        """End all processes, so that none runs beside one of the next start, with another time."""
        self._stopping = True
        for slot in self._slots:
            self._signal(slot, signal.SIGKILL, doomed=True)
        for keeper in self._keepers:
            await keeper
        self._keepers = []

    async def _keep(self, slot: _Slot) -> None:
        while not self._stopping:
            card = next(self._cards_now) if self._cards_now else None
            at = [f"127.0.0.1:{port}" for port in (slot.port, slot.metrics_port)]
            orders = Orders(self._environ(*at), str(self._log(slot)), card, self._ahead)
            process = self._context.Process(target=serve, args=(orders,), daemon=True)
            process.start()
            slot.process, slot.doomed = process, False
            await _ended(process)
            slot.process = None
            if not self._stopping:
                self._count(slot, process.exitcode)
            if process.exitcode not in (0, -signal.SIGKILL):
                # It could not start while Redis was down: retry a moment later.
                await asyncio.sleep(_PAUSE_SECONDS)
            process.close()

    def _count(self, slot: _Slot, code: int | None) -> None:
        if code == -signal.SIGKILL and not slot.doomed and (point := died_at(self._log(slot))):
            self.deaths.failpoints[point] += 1
        elif code == 1:
            self.deaths.failed_starts += 1
        elif code not in (0, -signal.SIGKILL, -signal.SIGTERM):
            # A process that is just starting ends by SIGTERM itself.
            self.deaths.odd.append(code or 0)

    async def _kill(self, chance: random.Random) -> None:
        if self._signal(chance.choice(self._slots), signal.SIGKILL, doomed=True):
            self.deaths.killed += 1

    async def _terminate(self, chance: random.Random) -> None:
        """Stop a process as a deployment does; it drains, and may die at a failpoint meanwhile."""
        slot = chance.choice(self._slots)
        process = slot.process
        if self._signal(slot, signal.SIGTERM):
            self.deaths.terminated += 1
            await asyncio.sleep(_STOP_SECONDS)
            if process is not None and process is slot.process:
                self._signal(slot, signal.SIGKILL, doomed=True)

    async def _pause(self, chance: random.Random) -> None:
        """Stall a process, as a machine may: it resumes after others have taken its lease."""
        slot = chance.choice(self._slots)
        process = slot.process
        if self._signal(slot, signal.SIGSTOP):
            self.deaths.paused += 1
            await asyncio.sleep(_LEASE_SECONDS + chance.uniform(0, 3))
            if process is not None and process is slot.process:
                self._signal(slot, signal.SIGCONT)

    def _signal(self, slot: _Slot, number: signal.Signals, *, doomed: bool = False) -> bool:
        """Send a signal; return whether there was a process to send it to."""
        process = slot.process
        if process is None or process.pid is None:
            return False
        slot.doomed |= doomed
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            # It has just ended, and `_keep` is about to notice.
            return False
        return True

    def _log(self, slot: _Slot) -> Path:
        return self._folder / f"service-{slot.number}.log"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _ended(process: ForkServerProcess) -> None:
    loop = asyncio.get_running_loop()
    end: asyncio.Future[None] = loop.create_future()
    loop.add_reader(process.sentinel, end.set_result, None)
    try:
        await end
    finally:
        loop.remove_reader(process.sentinel)
    process.join()
