"""Tests the parent of workers, with the timing of a slow machine."""

import os
import sys
import time

import pytest
from partway_server.config.settings import Settings
from partway_server.runtime import workers

pytestmark = pytest.mark.slow  # It starts processes.


class SlowMachine:
    """A clock on which everything that a process does at its start takes ten seconds."""

    def __init__(self) -> None:
        self._begun = False
        self._naps = 0

    def monotonic(self) -> float:
        now, self._begun = 10.0 * self._begun, True
        return now

    def sleep(self, seconds: float) -> None:
        self._naps += 1
        assert self._naps < 3000, "the parent goes on"
        # For the processes, which are real, to end.
        time.sleep(0.01)


def test_workers_that_take_long_to_say_what_is_wrong_end_the_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "time", SlowMachine())
    monkeypatch.setattr(workers, "_COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(SystemExit) as ended:
        workers._WorkerPool(Settings(workers=2), os.environ).run()
    assert ended.value.code == 1
