"""Runs the experiments at all peers in turns, round by round."""

import contextlib
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from partway_server.runtime.subprocesses import ChildError

from bench.peers.catalogue import OURS, PEERS, Peer
from bench.peers.counts import counts
from bench.peers.measure import BESIDE, EXPERIMENTS, THROUGH, Running
from bench.peers.prober import Prober
from bench.peers.processes import Backends, Cores, backends

COUNTED = "counts"

_FAILURES = (
    aiohttp.ClientError,
    AssertionError,
    ChildError,
    ConnectionError,
    KeyError,
    RuntimeError,
    TimeoutError,
)
"""What a peer that does not answer as it should raises in its driver, or in who times it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared: which peers, by which experiments, how often and how long."""

    peers: Sequence[str]
    experiments: Collection[str]
    rounds: int
    share: float = 1.0
    """How much of the usual number of repetitions is made."""


@dataclass(slots=True)
class Found:
    """The figures of each row and peer, one for each round, and what is missing."""

    figures: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, peer: str, figures: Mapping[str, float]) -> None:
        for row, figure in figures.items():
            self.figures[row][peer].append(figure)


def say(words: str) -> None:
    """Report progress."""
    print(words, file=sys.stderr, flush=True)


async def compare(plan: Plan) -> Found:
    """Run the plan. What cannot be run is said at once, and is in what is returned."""
    found, cores = Found(), Cores.divide()
    peers = [PEERS[name] for name in plan.peers]
    for peer in peers:
        if why := peer.missing():
            say(f"left out: {peer.name}: {why}")
            found.left_out[peer.name] = why
    here = [peer for peer in peers if peer.name not in found.left_out]
    with tempfile.TemporaryDirectory(prefix="partway-peers-") as folder:
        with backends(Path(folder)) as shared:
            await _timed(plan, here, shared, cores, found)
            if COUNTED in plan.experiments:
                for peer in here:
                    say(f"counts: {peer.name}")
                    with _noting(found, peer, COUNTED):
                        found.add(peer.name, await counts(peer, shared, cores))
    return found


async def _timed(
    plan: Plan, peers: Sequence[Peer], shared: Backends, cores: Cores, found: Found
) -> None:
    experiments = {n: e for n, e in EXPERIMENTS.items() if n in plan.experiments}
    if not experiments:
        return
    beside = any(name in BESIDE for name in experiments)
    async with contextlib.AsyncExitStack() as stack:
        running: list[tuple[Peer, Running]] = []
        for peer in peers:
            say(f"starting {peer.name}")
            with _noting(found, peer, ""):
                opened = _open(peer, shared, cores, plan.share, beside)
                running.append((peer, await stack.enter_async_context(opened)))
        for turn in range(1, plan.rounds + 1):
            for name, experiment in experiments.items():
                for peer, each in running:
                    if not each.driver.through or name in THROUGH:
                        say(f"round {turn} of {plan.rounds}: {name}: {peer.name}")
                        with _noting(found, peer, name):
                            found.add(peer.name, await experiment(each))


@contextlib.contextmanager
def _noting(found: Found, peer: Peer, experiment: str) -> Iterator[None]:
    """Note if a peer of others fails, and let the comparison go on."""
    try:
        yield
    except _FAILURES as error:
        if peer.name == OURS:
            raise
        # Its text may contain a URL, and thereby a signature.
        why = f"{type(error).__name__} {getattr(error, 'status', '')}".strip()
        what = f"{peer.name}, {experiment}" if experiment else peer.name
        found.left_out[what] = why
        say(f"left out: {what}: {why}")


@contextlib.asynccontextmanager
async def _open(
    peer: Peer, shared: Backends, cores: Cores, share: float, beside: bool
) -> AsyncIterator[Running]:
    """Start a peer, warm it up, and start who times its small calls if that is asked for."""
    async with contextlib.AsyncExitStack() as stack:
        child, address = await stack.enter_async_context(peer.running(shared, cores))
        driver = peer.driver(address, shared.storage)
        stack.push_async_callback(driver.aclose)
        await driver.acquaint()
        if not driver.through:
            await driver.whole(1000)
        prober = None
        if beside and not driver.through:
            timing = Prober.running(peer.name, address, shared.storage)
            prober = await stack.enter_async_context(timing)
        yield Running(child.pid, driver, prober, share)
