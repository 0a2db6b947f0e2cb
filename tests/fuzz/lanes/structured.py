"""Structure-aware input: messages that Hypothesis makes from the descriptors."""

import asyncio
import itertools
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.lane import Job
from tests.fuzz.lanes.raw import judge_all
from tests.fuzz.messages import METHODS, Call, among, calls
from tests.fuzz.pool import Pool
from tests.fuzz.sender import Sender, sender_to

_EXAMPLES = 50
_AT_ONCE = 8


class _Stopped(Exception):
    """The run is over."""


def run(job: Job) -> None:
    """Send until stopped."""
    asyncio.run(_opened(job))


async def _opened(job: Job) -> None:
    pool = Pool(job.wire)
    ids, tokens = among(pool.ids), among(pool.tokens)
    batches = st.lists(
        st.sampled_from(sorted(METHODS)).flatmap(lambda name: calls(name, ids, tokens)),
        min_size=20,
        max_size=60,
    )
    async with sender_to(job.wire) as sender:
        loop = asyncio.get_running_loop()

        def send(batch: list[Call]) -> None:
            if not job.goes_on():
                raise _Stopped
            asyncio.run_coroutine_threadsafe(_send(job, sender, pool, batch), loop).result()

        # Hypothesis draws in a thread, for it cannot wait for a loop.
        await asyncio.to_thread(_draw, batches, job.seed, send)


def _draw(
    batches: st.SearchStrategy[list[Call]], number: int, send: Callable[[list[Call]], None]
) -> None:
    for turn in itertools.count():

        @seed(number + turn)
        @settings(
            max_examples=_EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(batch=batches)
        def example(batch: list[Call]) -> None:
            send(batch)

        try:
            example()
        except _Stopped:
            return


async def _send(job: Job, sender: Sender, pool: Pool, batch: list[Call]) -> None:
    await pool.refresh(sender)
    shares = [batch[n::_AT_ONCE] for n in range(_AT_ONCE)]
    answers = await asyncio.gather(*(judge_all(job, sender, share) for share in shares))
    for share, answered in zip(shares, answers, strict=True):
        for call, answer in zip(share, answered, strict=True):
            pool.learn(call, answer)
