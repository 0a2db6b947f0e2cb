"""Files, read from tests that run in an event loop."""

from pathlib import Path


def content(path: Path) -> bytes:
    return path.read_bytes()


def size(path: Path) -> int:
    return path.stat().st_size


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def only_entry(state_dir: Path) -> Path:
    """The one upload that the journal remembers."""
    (entry,) = state_dir.glob("*.json")
    return entry
