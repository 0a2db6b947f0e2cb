"""Measures what the metrics of a call cost: CPU of Status with and without them, by turns.

One process has two services over the memory twins, one with its decorators and its meter, and one
where they do nothing. Another process calls the one and then the
other, so that both see the same machine. What counts is the CPU of the first process, not time.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack
from typing import Any

import grpc
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_server.domain.clock import SystemClock
from partway_server.observability.metrics import Metrics
from partway_server.observability.rpc_metrics import RpcMetrics
from partway_server.runtime import wiring
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.memory import MemoryStorage
from prometheus_client import generate_latest

from tests.support.storage import FaultyObjects, put_into
from tests.support.world import ALICE, World, a_world

_CALLS = 100
_WARM_UP = 2


class _Silent(RpcMetrics):
    """Metrics of RPCs that count nothing."""

    def ended(self, *_: Any, **__: Any) -> None:
        pass

    def took(self, *_: Any, **__: Any) -> None:
        pass


async def _world(opened: AsyncExitStack, *, counted: bool) -> tuple[World, pb.StatusRequest]:
    """Open a service, and an upload in it."""
    clock, storage = SystemClock(), MemoryStorage()
    observe = wiring._observe

    def silence(seams: Any, metrics: Metrics) -> None:
        metrics.rpcs.__class__ = _Silent

    if not counted:
        wiring._observe = silence
    try:
        world = await opened.enter_async_context(
            a_world(
                clock=clock,  # type: ignore[arg-type]
                sessions=MemorySessionStore(clock),
                storage=FaultyObjects(storage),
                put=put_into(storage),
            )
        )
    finally:
        wiring._observe = observe
    return world, pb.StatusRequest(upload_id=(await world.initialize()).id)


async def _call(port: str, upload_id: str) -> None:
    """Make the calls of one block for each line on standard input, and say when they are made."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = rpc.UploadServiceStub(channel)
        request = pb.StatusRequest(upload_id=upload_id)
        while await lines.readline():
            for _ in range(_CALLS):
                await stub.Status(request, metadata=ALICE)
            print("made", flush=True)


class _Caller:
    """The process that calls one service."""

    def __init__(self, world: World, process: asyncio.subprocess.Process) -> None:
        self.world = world
        self._process = process

    @classmethod
    async def start(cls, world: World, request: pb.StatusRequest) -> "_Caller":
        arguments = ("-m", "bench.metrics", "--call", str(world.port), request.upload_id)
        return cls(
            world,
            await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdin=PIPE, stdout=PIPE
            ),
        )

    async def cpu_us(self) -> float:
        """Return the CPU that this process takes for a call."""
        assert self._process.stdin is not None and self._process.stdout is not None
        began = time.process_time()
        self._process.stdin.write(b"go\n")
        await self._process.stdout.readline()
        return (time.process_time() - began) / _CALLS * 1e6

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def measure(rounds: int) -> dict[str, Any]:
    """Return the medians, and the cost in percent of a call without metrics."""
    async with AsyncExitStack() as opened:
        on = await _Caller.start(*await _world(opened, counted=True))
        opened.push_async_callback(on.stop)
        off = await _Caller.start(*await _world(opened, counted=False))
        opened.push_async_callback(off.stop)
        pairs = []
        for number in range(rounds + _WARM_UP):
            # In turns, which of the two is first: the machine may drift.
            taken = {}
            for each in (on, off) if number % 2 else (off, on):
                taken[each is on] = await each.cpu_us()
            if number >= _WARM_UP:
                pairs.append((taken[True], taken[False]))
    began = time.process_time()
    generate_latest(on.world.service.metrics.registry)
    scrape = time.process_time() - began
    extra = [with_metrics - without for with_metrics, without in pairs]
    without = statistics.median(pair[1] for pair in pairs)
    return {
        "without_us": round(without, 1),
        "extra_us": round(statistics.median(extra), 2),
        "extra_quartiles_us": [round(each, 2) for each in statistics.quantiles(extra)[::2]],
        "scrape_ms": round(scrape * 1000, 2),
        "percent": round(100 * statistics.median(extra) / without, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--call", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.call:
        asyncio.run(_call(*given.call))
        return
    found = asyncio.run(measure(given.rounds))
    print(f"Status without metrics {found['without_us']} us, metrics {found['extra_us']} us more")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
