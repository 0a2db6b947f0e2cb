"""Files to send."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class File:
    """A file of random bytes."""

    path: Path
    sha256: str

    @classmethod
    def write(cls, path: Path, size_bytes: int) -> Self:
        data = os.urandom(size_bytes)
        path.write_bytes(data)
        return cls(path, hashlib.sha256(data).hexdigest())

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read the file at the path."""
        return cls(path, hashlib.sha256(path.read_bytes()).hexdigest())
