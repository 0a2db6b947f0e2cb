"""What all tests share: back ends, Hypothesis's profile and the marker `slow`."""

import signal
from pathlib import Path

import pytest

from tests.support.examples import load_profile

pytest_plugins = ["tests.support.backends", "tests.support.outside"]

# A shell starts background jobs with Ctrl-C ignored, and their children inherit that. Some of what
# tests start must end by Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

load_profile()

_ROOT = Path(__file__).parent
_SLOW_FOLDERS = [_ROOT / name for name in ("changes", "chaos", "e2e", "model")]
_SLOW_FILES = [_ROOT / "service" / name for name in ("test_fuzz.py", "test_stateful.py")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what runs processes or searches, by where it is."""
    for item in items:
        if item.path in _SLOW_FILES or any(map(item.path.is_relative_to, _SLOW_FOLDERS)):
            item.add_marker(pytest.mark.slow)
