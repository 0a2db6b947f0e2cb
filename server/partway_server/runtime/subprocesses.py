"""Programs that run beside the service and end with it.

Everything is synchronous: Linux ties a child to the thread that started it, so children are started
from the main thread, which outlives them. None outlives this process, even if it is killed.
"""

import ctypes
import importlib.metadata
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_READY_SECONDS = 30.0
_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 2.0


class ChildError(Exception):
    """A program cannot run. The text is for the person at the terminal."""


class Child:
    """A running program. Its output goes to the file `log`.

    `patience` is how long `stop` waits between asking and killing; 0 kills at once.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        patience: float = _PATIENCE_SECONDS,
        leftovers: Sequence[Path] = (),
    ) -> None:
        self.name = name
        self._log, self._patience, self._leftovers = log, patience, leftovers
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                # Ctrl-C at the terminal goes to the foreground group: to this process alone, which
                # stops the children.
                process_group=0,
                preexec_fn=die_with_parent(signal.SIGKILL),
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

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raise ChildError, with the last lines of its output, if the program has ended."""
        if (code := self._process.poll()) is not None:
            tail = self._log.read_text("utf-8", "replace").splitlines()[-10:]
            raise ChildError(
                "\n".join([f"{self.name} ended with code {code}; its last output:", *tail])
            )

    def wait(self, ready: Callable[[], bool], seconds: float = _READY_SECONDS) -> None:
        """Wait until `ready` returns True; an OSError counts as False.

        Raises ChildError, and stops the program, if it ends or takes too long.
        """
        deadline = time.monotonic() + seconds
        try:
            while not _is_true(ready):
                self.check()
                if time.monotonic() > deadline:
                    raise ChildError(f"{self.name} was not ready after {seconds:.0f} s")
                time.sleep(_POLL_SECONDS)
            # The answer may have come from another program that has the port.
            self.check()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ask the program to end, kill it if it does not, and wait until it has ended."""
        if self._patience:
            self._process.terminate()
        else:
            self._process.kill()
        try:
            self._process.wait(self._patience or None)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for path in self._leftovers:
            path.unlink(missing_ok=True)


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Return what a child runs before its program to get the signal when its parent is gone.

    The signal comes even if the parent is killed. Only Linux can do that: None elsewhere.
    """
    if not sys.platform.startswith("linux"):
        return None
    # Looked up here: between fork and exec nothing may need a lock.
    libc, parent, pr_set_pdeathsig = ctypes.CDLL(None), os.getpid(), 1

    def die() -> None:
        libc.prctl(pr_set_pdeathsig, number)
        if os.getppid() != parent:
            os._exit(1)

    return die


def free_port(spread: int = 0) -> int:
    """Return a port that is free now on 127.0.0.1, with port + `spread` free too.

    It is below the range the kernel takes for outgoing connections, so that it stays free.
    """
    for _ in range(100):
        port = random.randrange(11_000, 21_000)
        if all(port_is_free("127.0.0.1", p) for p in {port, port + spread}):
            return port
    raise ChildError("found no free port on 127.0.0.1")


def port_is_free(host: str, port: int) -> bool:
    """Return whether no one listens there, not even with SO_REUSEPORT."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections that linger from a server that has ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def binary(distribution: str, name: str) -> Path:
    """Return the file of an installed distribution whose path ends in `name`. Raises ChildError."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix().endswith(f"/{name}"):
            return Path(str(file.locate())).resolve()
    raise ChildError(
        f"{distribution} is not installed: partway-server dev needs the dev extra:"
        " pip install 'partway-server[dev]'"
    )


def _is_true(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except OSError:
        return False
