"""Counts the steps of the interpreter in each round of the event loop.

Seconds say little on a busy machine; the instructions that a call takes are the same on any.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import CodeType, FrameType
from typing import Any

_TESTS = ("/tests/", "/_pytest/", "/pluggy/")

_TWINS = ("/partway_server/storage/memory", "/partway_server/sessions/memory")
"""Storage and Redis would be elsewhere: neither they nor what they call is the service."""


_ROUND: CodeType = asyncio.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]


@dataclass(slots=True)
class Rounds:
    """Instructions in all rounds of the event loop, and in the longest of them."""

    total: int = 0
    longest: int = 0


@contextmanager
def counted_rounds() -> Iterator[Rounds]:
    """Count while the context lasts, on asyncio's own event loop."""
    rounds, steps = Rounds(), _Steps()
    run_once: Callable[[Any], None] = asyncio.BaseEventLoop._run_once  # type: ignore[attr-defined]

    def counted(loop: Any) -> None:
        steps.count = 0
        sys.settrace(steps.enter)
        try:
            run_once(loop)
        finally:
            sys.settrace(None)
        rounds.total += steps.count
        rounds.longest = max(rounds.longest, steps.count)

    asyncio.BaseEventLoop._run_once = counted  # type: ignore[attr-defined]
    try:
        yield rounds
    finally:
        asyncio.BaseEventLoop._run_once = run_once  # type: ignore[attr-defined]


class _Steps:
    """Counts the instructions of every function that is entered, or entered again."""

    def __init__(self) -> None:
        self.count = 0

    def enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        if _is_of(frame.f_code, _TESTS) or _in_twin(frame):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode":
            self.count += 1
        return self._step


def _in_twin(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not _ROUND:
        if _is_of(frame.f_code, _TWINS):
            return True
        frame = frame.f_back
    return False


@cache
def _is_of(code: CodeType, places: tuple[str, ...]) -> bool:
    return any(place in code.co_filename for place in places)
