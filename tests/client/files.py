"""Reads files for tests that run in an event loop."""

from pathlib import Path


def content(path: Path) -> bytes:
    return path.read_bytes()


def size(path: Path) -> int:
    return path.stat().st_size


def exists(path: Path) -> bool:
    return path.exists()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def names(directory: Path) -> list[str]:
    """Return the names in a directory, but for the record of the last upload, which stays."""
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".last")


def only_entry(state_dir: Path) -> Path:
    """Return the only entry in the journal."""
    (entry,) = state_dir.glob("*.json")
    return entry
