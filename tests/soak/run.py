"""Calls one process of the service for hours, over real stores, and samples it."""

import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from partway_server.devstack.servers import start_seaweedfs, start_valkey

from tests.soak.samples import Sample, sample
from tests.support.bucket import Bucket, look_into
from tests.support.load.lives import OF_A_SOAK
from tests.support.load.load import Load, lost
from tests.support.load.tally import Tally
from tests.support.processes import Service

CANCELLED = 0.1
_PERIOD_SECONDS = 5.0
_STOP_SECONDS = 120.0

_POLICIES = """
[policy.default]
via_service = true
max_upload_seconds = 1_209_600
"""

_OUTAGE = "not ready: no answer from"
_FAULTS = (" ERROR ", "Traceback", "Task was destroyed", "never retrieved", "never awaited")


@dataclass(slots=True)
class Soak:
    """What a run showed."""

    seconds: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    kept: int = 0
    lost: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    exit_code: int = 0
    stop_seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Return the figures, for a person to read."""
        return {
            "minutes": round(self.seconds / 60, 1),
            **self.tally.summary(),
            "completed uploads": self.kept,
            "RPCs": dict(sorted(self.tally.calls.items())),
            "CPU of the service, seconds": round(self.samples[-1].cpu),
            "to stop, seconds": round(self.stop_seconds, 1),
            "threads, most": max(each.threads for each in self.samples),
        }

    def problems(self, *, busy: bool) -> list[str]:
        """Return a line for each thing that went wrong; not what a `busy` machine causes."""
        failures = {} if busy else self.tally.failures
        lines = [line for line in self.lines if not (busy and _OUTAGE in line)]
        found = [f"{count} times {words}" for words, count in failures.items()]
        found += [f"lost: {line}" for line in self.lost]
        found += [f"in the log: {line}" for line in lines[:20]]
        return found if self.exit_code == 0 else [*found, f"exit code {self.exit_code}"]


def soak(seconds: float, rate: float, seed: int) -> Soak:
    """Call for that long, at that rate."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="partway-soak-")))
        storage, s3 = start_seaweedfs(folder, keep=False)
        stack.enter_context(storage)
        sessions, redis_url = start_valkey(folder, keep=False)
        stack.enter_context(sessions)
        bucket = stack.enter_context(look_into(s3))
        policies = folder / "policies.toml"
        policies.write_text(_POLICIES)
        settings = {"log_level": "info", "policy_file": policies, "tenant_open_uploads": 0}
        service = stack.enter_context(Service(folder, s3, redis_url, **settings))
        service.start()
        found = _under_load(service, bucket, seconds, rate, seed)
        began = time.monotonic()
        service.server.process.send_signal(signal.SIGTERM)
        found.exit_code = service.server.process.wait(_STOP_SECONDS)
        found.stop_seconds = time.monotonic() - began
        lines = service.logged().splitlines()
        found.lines = [line for line in lines if any(fault in line for fault in _FAULTS)]
        return found


def _under_load(service: Service, bucket: Bucket, seconds: float, rate: float, seed: int) -> Soak:
    found, began = Soak(), time.monotonic()
    load = Load(service.address, rate, mix=OF_A_SOAK, seed=seed, cancelled=CANCELLED)
    found.tally = load.tally
    with load:
        while (now := time.monotonic() - began) < seconds:
            assert service.server.process.poll() is None, service.logged()[-2000:]
            found.samples.append(sample(service.server.process.pid, now))
            _look(found, bucket, load)
            time.sleep(max(0.0, began + now + _PERIOD_SECONDS - time.monotonic()))
    found.seconds = time.monotonic() - began
    _look(found, bucket, load)
    return found


def _look(found: Soak, bucket: Bucket, load: Load) -> None:
    """Compare what was acknowledged with what storage has, and remove it there."""
    load.raise_fault()
    done = [load.tally.acknowledged.pop(0) for _ in range(len(load.tally.acknowledged))]
    found.kept += len(done)
    found.lost += lost(done, bucket, "")
    for each in done:
        bucket.client.delete_object(Bucket=bucket.name, Key=each.key)
