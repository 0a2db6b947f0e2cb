"""Cancellation at every await of every handler, in one process over the memory twins.

Each RPC is called again and again and cancelled one suspension later each time, until it ends
before it can be. After each, the Upload must be consistent: Status answers, and Complete, or Abort
if that was called, ends it. Then pairs of cancellations are drawn: the second hits the cleaning up
after the first.
"""

import asyncio
import random
from typing import Any

from tests.fuzz.lane import REQUESTS, Job
from tests.fuzz.scenarios import RPCS, Stage, staged
from tests.fuzz.steps import cancelled_at

_MOST_STEPS = 400
_MIX = 40


def run(job: Job) -> None:
    """Cancel at every step, then at random pairs of them until stopped."""
    chance = random.Random(job.seed)
    lasts: dict[tuple[str, bool], int] = {}
    for single in (False, True):
        for name in RPCS:
            if not job.goes_on():
                return
            lasts[name, single] = asyncio.run(_each_step(job, name, single))
    while job.goes_on():
        asyncio.run(_pairs(job, chance, lasts))


async def _each_step(job: Job, name: str, single: bool) -> int:
    """Cancel the RPC at each of its suspensions; return how many it has."""
    async with staged(single=single) as stage:
        for step in range(1, _MOST_STEPS):
            if not job.goes_on():
                return step
            ended, wrong = await _struck(stage, name, (step,))
            job.count(REQUESTS)
            job.count("ended first" if ended else "cancelled")
            if wrong:
                job.find(f"{name} cancelled at step {step}: {wrong}", **_record(name, single, step))
            if ended:
                return step
    job.find(f"{name} does not end within {_MOST_STEPS} steps")
    return _MOST_STEPS


async def _pairs(job: Job, chance: random.Random, lasts: dict[tuple[str, bool], int]) -> None:
    single = chance.random() < 0.5
    async with staged(single=single) as stage:
        for _ in range(_MIX):
            if not job.goes_on():
                return
            name = chance.choice(RPCS)
            first = chance.randint(1, max(1, lasts[name, single]))
            strikes = (first, first + chance.randint(1, 6))
            rest = chance.random() < 0.5
            _, wrong = await _struck(stage, name, strikes, rest=rest)
            job.count(REQUESTS)
            job.count("twice")
            if wrong:
                words = f"{name} cancelled at steps {strikes}: {wrong}"
                job.find(words, rest=rest, **_record(name, single, *strikes))


async def _struck(
    stage: Stage, name: str, strikes: tuple[int, ...], *, rest: bool = True
) -> tuple[bool, str]:
    """Call and cancel; return whether the call ended first, and what is wrong afterwards.

    Without a `rest`, the next call comes while work that the first has left is still going on.
    """
    before = len(asyncio.all_tasks())
    scene = await stage.scene(name)
    ended, result = await cancelled_at(scene.act(), strikes)
    if isinstance(result, BaseException) and not scene.foreseen(result):
        return ended, f"raised {type(result).__name__}: {result}"
    if rest and (wrong := await stage.rested(before)):
        return ended, wrong
    try:
        await scene.settle()
    except Exception as error:
        return ended, f"afterwards: {type(error).__name__}: {error}"
    return ended, await stage.rested(before)


def _record(name: str, single: bool, *strikes: int) -> dict[str, Any]:
    return {"rpc": name, "single": single, "strikes": list(strikes)}


def again(rpc: str, single: bool, strikes: list[int], rest: bool = True) -> str:
    """Cancel there again; return what is wrong, "" if nothing."""

    async def once() -> str:
        async with staged(single=single) as stage:
            return (await _struck(stage, rpc, tuple(strikes), rest=rest))[1]

    return asyncio.run(once())
