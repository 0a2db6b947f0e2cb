"""Repeats a finding against a service of its own."""

import asyncio
import importlib
from pathlib import Path
from typing import Any

from tests.fuzz.finding import Finding, recalled
from tests.fuzz.lane import Target
from tests.fuzz.sender import sender_to
from tests.fuzz.stack import running


def again(file: Path, folder: Path, service: str) -> int:
    """Do again what the file says; return 1 if that is still found."""
    found = Finding.load(file)
    print(f"{found.lane}: {found.words}")
    if "call" in found.again:
        with running(folder, service) as stack:
            wrong = asyncio.run(_sent(stack.target, found.again["call"]))
    else:
        lane = importlib.import_module(f"tests.fuzz.lanes.{found.lane}")
        wrong = lane.again(**found.again)
    print(f"again: {wrong}" if wrong else "not again")
    return int(bool(wrong))


async def _sent(target: Target, record: dict[str, Any]) -> str:
    async with sender_to(target) as sender:
        code, wrong, _ = await sender.judged(recalled(record))
        print(f"{record['method']} answered {code}")
        return wrong
