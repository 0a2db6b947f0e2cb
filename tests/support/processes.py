"""`partway-server` as an operator runs it: as a process of its own."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

READY_SECONDS = 40.0
STOP_SECONDS = 20.0


class Server:
    """A running `partway-server`. What it logs goes to the file `log`."""

    def __init__(
        self, *arguments: str, log: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        # Without the settings of whoever runs the tests.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PARTWAY_")}
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "partway_server", *arguments],
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
        """The ready line. Fails if the process ends, or takes too long, before it."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.stdout, selectors.EVENT_READ)
            assert selector.select(READY_SECONDS), f"no ready line; {self.log.read_text()}"
        line = self.stdout.readline()
        assert line, f"no ready line; {self.log.read_text()}"
        return json.loads(line)

    def children(self) -> list[int]:
        """The process ids of the children."""
        return children(self.process.pid)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal; the exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()


def children(pid: int) -> list[int]:
    """The process ids of the children of `pid`, as Linux tells them."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether the process still runs; one that nobody has reaped yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def gone(pids: list[int], seconds: float = 5.0) -> bool:
    """Whether all of the processes end within `seconds`."""
    deadline = time.monotonic() + seconds
    while any(runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
