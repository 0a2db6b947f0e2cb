"""Memory and open files of a process, as Linux reports them."""

import os
from dataclasses import dataclass
from pathlib import Path

_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 1024**2


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process holds: MiB in memory, and open files."""

    rss_mib: float
    fds: int

    @classmethod
    def of(cls, pid: int) -> "Vitals":
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return cls(resident * _PAGE_MIB, len(list(Path(f"/proc/{pid}/fd").iterdir())))
