"""Several processes on one port: the kernel distributes connections among them (SO_REUSEPORT).

The parent only starts, watches and stops them. It never uses gRPC, which does not survive a fork.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import FrameType

from partway_server.config.settings import Settings, SettingsError, environment
from partway_server.observability.fleet import fold, open_folder
from partway_server.runtime.subprocesses import die_with_parent, port_is_free

logger = logging.getLogger(__name__)

_COMMAND = (sys.executable, "-m", "partway_server", "serve", "--worker")
_PAUSE_SECONDS = 1.0
_START_SECONDS = 30.0
"""What still counts as the start: with little CPU a process takes many seconds to find that its
settings are invalid.
"""
_POLL_SECONDS = 0.1


def supervise(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run `settings.workers` processes until a signal, and return when all have drained.

    A process that ends by itself is restarted after a pause; but one that fails at the start ends
    them all, and this process exits with code 1. Raises SettingsError if another program has the
    port, because the processes could not distinguish it from each other.
    """
    if not port_is_free(settings.host, settings.port):
        raise SettingsError([f"{settings.address} is taken by another program"])
    if settings.metrics_address and not port_is_free(settings.metrics_host, settings.metrics_port):
        raise SettingsError(
            [f"PARTWAY_METRICS_ADDRESS: {settings.metrics_address} is taken by another program"]
        )
    workers = _WorkerPool(settings, environ)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, workers.on_signal)
    signal.signal(signal.SIGHUP, workers.on_reload)
    try:
        workers.run()
    finally:
        workers.close()


def _in_worker() -> Callable[[], None]:
    """Return what a process runs before its program."""
    die = die_with_parent(signal.SIGTERM)

    def prepare() -> None:
        if die is not None:
            die()
        # Until the worker handles SIGHUP: it has not read its policies yet, and must not die of it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    return prepare


class _WorkerPool:
    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._stopping = False
        self._reload = False
        self._metrics = open_folder() if settings.metrics_address else None

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal, for a process may be starting right now; end everything on the
        second.
        """
        if self._stopping:
            for process in self._processes.values():
                process.kill()
            os._exit(130)
        self._stopping = True

    def on_reload(self, number: int, frame: FrameType | None) -> None:
        """Have all processes reload their files. One that is just starting reads them anyway."""
        self._reload = True

    def run(self) -> None:
        """Keep the processes running until a signal, then wait until they have ended."""
        begun = time.monotonic()
        starts = [(begun, worker) for worker in range(self._settings.workers)]
        while not self._stopping:
            while starts and starts[0][0] <= time.monotonic():
                _, worker = starts.pop(0)
                self._processes[worker] = self._start(worker)
            time.sleep(_POLL_SECONDS)
            if self._reload:
                # Cleared first: a signal that comes during the loop counts again.
                self._reload = False
                for process in self._processes.values():
                    process.send_signal(signal.SIGHUP)
            codes = self._reap()
            if (
                any(code > 0 for code in codes.values())
                and time.monotonic() < begun + _START_SECONDS
            ):
                # It has reported why, and another attempt would only repeat that.
                self._end()
                sys.exit(1)
            starts += [(time.monotonic() + _PAUSE_SECONDS, worker) for worker in codes]
        self._end()

    def close(self) -> None:
        """Remove what the processes shared."""
        if self._metrics:
            shutil.rmtree(self._metrics, ignore_errors=True)

    def _end(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait()

    def _start(self, worker: int) -> subprocess.Popen[bytes]:
        settings = replace(self._settings, workers=1)
        return subprocess.Popen(
            (*_COMMAND, *self._share_metrics()),
            # In the environment, not in arguments, which every user of the machine can read.
            env={**self._environ, **environment(settings)},
            stdin=subprocess.DEVNULL,
            # Ctrl-C at the terminal goes to the parent, which passes it on once.
            process_group=0,
            preexec_fn=_in_worker(),
        )

    def _share_metrics(self) -> Sequence[str]:
        """Return the arguments by which workers find each other's metrics."""
        return ("--metrics-folder", str(self._metrics)) if self._metrics else ()

    def _reap(self) -> dict[int, int]:
        """Forget ended workers, and return their exit codes, negative for a signal."""
        ended = {w: p for w, p in self._processes.items() if p.poll() is not None}
        for worker, process in ended.items():
            logger.error("worker %d ended with code %d", process.pid, process.returncode)
            del self._processes[worker]
            if self._metrics:
                fold(self._metrics, process.pid)
        return {worker: process.returncode for worker, process in ended.items()}
