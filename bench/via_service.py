"""Compares parts sent through the service with parts sent to storage: speed, CPU, memory.

Run it as `python -m bench.via_service`. The same file goes in the same parts, with the same
concurrency, to the same embedded storage: by our client through the service, by our client
directly, and by boto3. Each upload runs in its own process, the clients take turns, and ratios are
taken within a round. The last line of output is one JSON object.
"""

import asyncio
import json
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from bench.presign import processor, spread
from bench.put import CONCURRENCY, MIB, PART_BYTES, Run, Target, Uploads, shown, write_random
from bench.stream import service

FILE_BYTES = 512 * MIB
ROUNDS = 5
THROUGH = "partway, via service"
DIRECT = "partway"
PEERS = (DIRECT, "boto3, checksums off", "boto3, defaults")


@dataclass(frozen=True)
class Load:
    """The load of one upload on the service process: CPU seconds per GiB, and peak MiB.

    `growth` is how far the peak exceeds the memory used before the upload.
    """

    cpu: float
    peak: float
    growth: float


class Watched:
    """The service process. Its peak is counted from each `begin`."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._cpu = self._rss = 0.0

    def begin(self) -> None:
        # Reset the peak so far (proc(5), clear_refs).
        (self._folder / "clear_refs").write_text("5")
        self._cpu, self._rss = self._cpu_seconds(), self._mib("VmRSS")

    def end(self) -> Load:
        peak = self._mib("VmHWM")
        cpu = (self._cpu_seconds() - self._cpu) * 1024 * MIB / FILE_BYTES
        return Load(cpu, peak, peak - self._rss)

    def _cpu_seconds(self) -> float:
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _mib(self, name: str) -> float:
        status = (self._folder / "status").read_text()
        return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def measure(
    target: Target, uploads: Uploads, watched: Watched
) -> tuple[dict[str, list[Run]], list[Load]]:
    """Run the uploads by round, and measure the load on the service of those through it.

    The first round warms the caches and is not counted.
    """
    runs: dict[str, list[Run]] = {client: [] for client in target.clients}
    loads: list[Load] = []
    for number in range(ROUNDS + 1):
        first = number % len(target.clients)
        for client in (*target.clients[first:], *target.clients[:first]):
            watched.begin()
            run = uploads.run(client, target)
            load = watched.end()
            if number:
                runs[client].append(run)
                loads += [load] if client == THROUGH else []
    return runs, loads


def figures(found: Sequence[Any], name: str) -> list[float]:
    return [getattr(each, name) for each in found]


def report(runs: Mapping[str, Sequence[Run]], loads: Sequence[Load]) -> dict[str, Any]:
    """Print the tables and return their figures."""
    reported: dict[str, Any] = {"clients": {}, "ratios": {}, "service": {}}
    print(f"  {'':22}{'MB/s':>22}{'CPU s/GiB':>22}{'peak RSS, MiB':>22}")
    for client, taken in runs.items():
        spreads = {name: spread(figures(taken, name), 2) for name in ("speed", "cpu", "rss")}
        reported["clients"][client] = spreads
        cells = zip(spreads.values(), (0, 2, 0), strict=True)
        print(f"  {client:22}" + "".join(f"{shown(cell, digits):>22}" for cell, digits in cells))
    for peer in PEERS:
        pairs = zip(figures(runs[THROUGH], "speed"), figures(runs[peer], "speed"), strict=True)
        reported["ratios"][peer] = spread([ours / theirs for ours, theirs in pairs], 2)
        print(f"  speed to {peer:22}{shown(reported['ratios'][peer], 2):>20}")
    for name, title in (("cpu", "CPU s/GiB"), ("peak", "peak, MiB"), ("growth", "growth, MiB")):
        reported["service"][name] = spread(figures(loads, name), 2)
        print(f"  service: {title:22}{shown(reported['service'][name], 2):>20}")
    return reported


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="partway-via-") as name:
        folder = Path(name)
        file = folder / "random.bin"
        write_random(file, FILE_BYTES)
        machine = {
            "cpu": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "boto3": boto3.__version__,
        }
        print(", ".join(f"{name} {value}" for name, value in machine.items()))
        print(
            f"{FILE_BYTES // MIB} MiB in parts of {PART_BYTES // MIB} MiB, {CONCURRENCY} at a"
            f" time, {ROUNDS} rounds"
        )
        async with service() as (pid, ready):
            stack = Target("storage", ready["grpc"], ready["s3"], (THROUGH, *PEERS))
            uploads = Uploads(file, folder)
            runs, loads = await asyncio.to_thread(measure, stack, uploads, Watched(pid))
            reported = report(runs, loads)
    print(json.dumps({"bench": "via_service", "machine": machine, **reported}))


if __name__ == "__main__":
    asyncio.run(main())
