"""Looks at a process from outside: its memory, its descriptors, its threads."""

import re
from pathlib import Path
from typing import NamedTuple


class Sample(NamedTuple):
    """What a process has at a time, in seconds since the load began; `rss` is in MiB."""

    at: float
    rss: float
    descriptors: int
    threads: int
    cpu: float


def sample(pid: int, at: float) -> Sample:
    """Return what the process has now, as Linux reports it."""
    status = Path(f"/proc/{pid}/status").read_text()
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(times[11]) + int(times[12])
    return Sample(
        at=round(at, 1),
        rss=_field(status, "VmRSS") / 1024,
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=_field(status, "Threads"),
        cpu=ticks / 100,
    )


def _field(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    assert found is not None, name
    return int(found[1])
