"""HTTP/2 that breaks the rules, while a bystander must be served.

Besides the attacks there are calls with odd headers and odd messages, one a stream. What gRPC
itself answers to those is its own; what the service answers is judged as anywhere.
"""

import asyncio
import random
import time

from partway.v1 import upload_service_pb2 as pb

from tests.fuzz.attacks import ATTACKS, STATUS
from tests.fuzz.lane import REQUESTS, Job
from tests.fuzz.messages import BYSTANDER, Call
from tests.fuzz.odd_calls import odd_call
from tests.fuzz.oracle import Oracle
from tests.fuzz.raw_http2 import Line, call_headers
from tests.fuzz.sender import sender_to

_ODD_CALLS = 40
_ANSWER_SECONDS = 5.0
"""Some of these calls never get an answer, nor should they."""

_BYSTANDER_PAUSE_SECONDS = 0.05
_SLOW_SECONDS = 1.0
_MAY_ANSWER = ("OK", "UNAVAILABLE", "RESOURCE_EXHAUSTED")
"""On a machine that is busy with other work a service may ask to wait."""


def run(job: Job) -> None:
    """Attack until stopped."""
    asyncio.run(_attack(job))


async def _attack(job: Job) -> None:
    chance, oracle = random.Random(job.seed), job.wire.oracle()
    names = sorted(ATTACKS)
    while job.goes_on():
        chance.shuffle(names)
        for name in names:
            if not job.goes_on():
                break
            number = chance.getrandbits(32)
            async with asyncio.TaskGroup() as group:
                over = asyncio.Event()
                group.create_task(_bystander(job, name, over))
                await _attacked(job, name, number)
                await _odd_calls(job, oracle, chance)
                over.set()


async def _attacked(job: Job, name: str, number: int) -> None:
    try:
        async with asyncio.timeout(job.wire.patience):
            streams = await ATTACKS[name](job.wire.grpc, random.Random(number))
        job.count(REQUESTS, streams)
    except (ConnectionError, EOFError):
        # The service hung up: well done.
        job.count(REQUESTS)
        job.count("hung up")
    except TimeoutError:
        job.find(f"{name}: the service took no frames for {job.wire.patience:.0f} s", number=number)
    job.count(name)


async def _bystander(job: Job, attack: str, over: asyncio.Event) -> None:
    """Call as another tenant does meanwhile, and expect to be served."""
    request = pb.StatusRequest(upload_id=job.wire.bystander)
    call = Call("Status", (request.SerializeToString(),), BYSTANDER)
    served = time.monotonic()
    patience = job.wire.patience
    async with sender_to(job.wire, connections=1) as sender:
        while not over.is_set():
            begun = time.monotonic()
            code, wrong, _ = await sender.judged(call)
            job.count(REQUESTS)
            job.count(f"bystander {code}")
            if wrong or code not in _MAY_ANSWER:
                job.find(f"during {attack} a bystander was answered {code} {wrong}")
            if code == "OK":
                served = time.monotonic()
                if served > begun + _SLOW_SECONDS:
                    job.count("bystander OK after more than 1 s")
            elif time.monotonic() > served + patience:
                job.find(f"during {attack} a bystander was not served for {patience:.0f} s")
                served = time.monotonic()
            await asyncio.sleep(_BYSTANDER_PAUSE_SECONDS)


async def _odd_calls(job: Job, oracle: Oracle, chance: random.Random) -> None:
    numbers = [chance.getrandbits(32) for _ in range(_ODD_CALLS)]
    judged = (judged_odd_call(job.wire.grpc, oracle, number) for number in numbers)
    for number, wrong in zip(numbers, await asyncio.gather(*judged), strict=True):
        job.count(REQUESTS)
        job.count("odd calls")
        if wrong:
            job.find(wrong, number=number)


async def judged_odd_call(address: str, oracle: Oracle, number: int) -> str:
    """Send one odd call; return what is wrong with the answer."""
    odd = odd_call(random.Random(number), STATUS)
    try:
        async with await Line.opened(address) as line:
            await line.call(1, call_headers(odd.path, *odd.headers), odd.body)
            found = await line.trailers(_ANSWER_SECONDS)
    except ConnectionError:
        return ""
    text = f"{found.get('grpc-message', '')} {found.get('grpc-status-details-bin', '')}"
    if oracle.shows_secret(text.encode()):
        return f"a secret in the answer to {odd.about}"
    # UNKNOWN comes of an exception that nothing caught, with its text.
    if found.get("grpc-status") == "2" or "Unexpected" in text:
        return f"{odd.about} answered UNKNOWN: {text[:200]}"
    return ""


def again(number: int) -> str:
    """Say how: the attack is the same for the same number."""
    return f"call tests.fuzz.attacks with random.Random({number})"
