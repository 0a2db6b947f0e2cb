"""Waits for what another process does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(found: Callable[[], T], failure: str, seconds: float = 60.0) -> T:
    """Return what `found` returns as soon as that is true. Fail with these words after `seconds`.

    It polls: another process sends no event.
    """
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, failure
        time.sleep(0.02)
    return result
