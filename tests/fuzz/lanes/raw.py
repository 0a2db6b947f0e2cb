"""Raw bytes to every RPC: random, and valid messages that were mutated, cut or spliced."""

import asyncio
import random
from collections.abc import Mapping, Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.finding import recorded
from tests.fuzz.lane import REQUESTS, Job
from tests.fuzz.messages import CALLERS, METHODS, Call, among, calls
from tests.fuzz.mutation import mutated
from tests.fuzz.pool import Pool
from tests.fuzz.sender import Sender, sender_to

_BATCH = 100
_AT_ONCE = 24
"""More would be refused as too many, instead of being looked at."""

_BATCHES_A_CORPUS = 100
_DRAWS = 40

Corpus = Mapping[str, Sequence[Call]]


def run(job: Job) -> None:
    """Send until stopped."""
    asyncio.run(_send(job))


async def _send(job: Job) -> None:
    chance = random.Random(job.seed)
    pool = Pool(job.wire)
    async with sender_to(job.wire) as sender:
        while job.goes_on():
            corpus = drawn(pool, chance.getrandbits(32))
            for _ in range(_BATCHES_A_CORPUS):
                if not job.goes_on():
                    break
                await pool.refresh(sender)
                batch = [broken(chance, corpus) for _ in range(_BATCH)]
                lanes = (judge_all(job, sender, batch[n::_AT_ONCE]) for n in range(_AT_ONCE))
                await asyncio.gather(*lanes)


async def judge_all(job: Job, sender: Sender, calls: Sequence[Call]) -> list[list[bytes]]:
    """Judge calls one after the other."""
    return [await judge(job, sender, call) for call in calls]


async def judge(job: Job, sender: Sender, call: Call) -> list[bytes]:
    """Send the call, count it, and report what is wrong with its answer."""
    code, wrong, answers = await sender.judged(call)
    job.count(REQUESTS)
    job.count(code)
    if wrong:
        job.find(f"{call.method}: {wrong}", call=recorded(call))
    return answers


def drawn(pool: Pool, number: int) -> Corpus:
    """Return valid calls of each RPC, the same for the same number and pool."""
    corpus: dict[str, list[Call]] = {name: [] for name in METHODS}

    for name in METHODS:

        @seed(number)
        @settings(
            max_examples=_DRAWS,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(call=calls(name, among(pool.ids), among(pool.tokens)))
        def keep(call: Call) -> None:
            corpus[call.method].append(call)

        keep()
    return corpus


def broken(chance: random.Random, corpus: Corpus) -> Call:
    """Return a call of some RPC whose messages are no longer what an encoder makes."""
    name = chance.choice(sorted(corpus))
    call, other = chance.choice(corpus[name]), chance.choice(corpus[name])
    splice = b"".join(other.messages)
    messages = [
        chance.randbytes(chance.randint(0, 60))
        if chance.random() < 0.1
        else mutated(chance, message, splice)
        for message in call.messages or (b"",)
    ]
    # Now and then close to what one message may have, and beyond.
    if chance.random() < 0.002:
        filler = bytes(chance.choice((100_000, 2_031_616, 3_000_000)))
        messages[0] += b"\x7a\x80\x80\x7c" + filler
    metadata = call.metadata if chance.random() < 0.3 else CALLERS[0]
    return Call(name, tuple(messages), metadata)
