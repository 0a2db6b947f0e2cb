"""Reads files for tests that run in an event loop."""

from pathlib import Path


def content(path: Path) -> bytes:
    return path.read_bytes()


def size(path: Path) -> int:
    return path.stat().st_size


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def only_entry(state_dir: Path) -> Path:
    """Return the only entry in the journal."""
    (entry,) = state_dir.glob("*.json")
    return entry
