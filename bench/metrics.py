"""Measures what the metrics add to a call: CPU of Status, and of what is counted for it, by turns.

One process has a service over the memory twins, and another calls it. In turn with blocks of calls,
the same process runs what metrics add to each: the decorator of the session store around its one
read, and the meter of the RPC. Both are CPU of one process within one run, so that a busy machine
slows both down. To compare a service with metrics with one without takes a quiet machine: the
difference is a hundredth of the whole.
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
from partway_server.rpc.call_meter import CallMeter
from partway_server.sessions.base import SessionStore
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.sessions.observed import ObservedSessions
from partway_server.storage.memory import MemoryStorage
from prometheus_client import generate_latest

from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, put_into
from tests.support.world import ALICE, World, a_world

_CALLS = 200
_COUNTS = 2000
_WARM_UP = 2


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


async def _cpu_of_calls(caller: asyncio.subprocess.Process) -> float:
    """Return the CPU of this process for a call, in microseconds."""
    assert caller.stdin is not None and caller.stdout is not None
    began = time.process_time()
    caller.stdin.write(b"go\n")
    await caller.stdout.readline()
    return (time.process_time() - began) / _CALLS * 1e6


async def _cpu_of_reads(sessions: SessionStore, sid: str) -> float:
    began = time.process_time()
    for _ in range(_COUNTS):
        await sessions.look(sid)
    return (time.process_time() - began) / _COUNTS * 1e6


def _cpu_of_meter(meter: CallMeter) -> float:
    began = time.process_time()
    for _ in range(_COUNTS):
        meter.succeeded("Status", began)
    return (time.process_time() - began) / _COUNTS * 1e6


async def _cpu_of_metrics(world: World, sid: str) -> float:
    """Return the CPU of what metrics add to a call, in microseconds."""
    metrics = world.service.metrics
    observed = ObservedSessions(world.sessions, [metrics.redis], metrics.uploads)
    plain = await _cpu_of_reads(world.sessions, sid)
    decorated = await _cpu_of_reads(observed, sid)
    return decorated - plain + _cpu_of_meter(CallMeter(metrics.rpcs))


async def measure(rounds: int) -> dict[str, Any]:
    """Return the medians, and the cost in percent of a call."""
    clock, storage = FakeClock(), MemoryStorage()
    async with AsyncExitStack() as opened:
        world = await opened.enter_async_context(
            a_world(
                clock=clock,
                sessions=MemorySessionStore(clock),
                storage=FaultyObjects(storage),
                put=put_into(storage),
            )
        )
        upload = await world.initialize()
        arguments = ("-m", "bench.metrics", "--call", str(world.port), upload.id)
        caller = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=PIPE, stdout=PIPE
        )
        pairs = []
        for _ in range(rounds + _WARM_UP):
            calls = await _cpu_of_calls(caller)
            pairs.append((calls, await _cpu_of_metrics(world, world.grant(upload).sid)))
        assert caller.stdin is not None
        caller.stdin.close()
        await caller.wait()
        began = time.process_time()
        generate_latest(world.service.metrics.registry)
        scrape = time.process_time() - began
    shares = [100 * metrics / calls for calls, metrics in pairs[_WARM_UP:]]
    return {
        "call_us": round(statistics.median(calls for calls, _ in pairs[_WARM_UP:]), 1),
        "metrics_us": round(statistics.median(metrics for _, metrics in pairs[_WARM_UP:]), 2),
        "percent": round(statistics.median(shares), 2),
        "percent_least": round(min(shares), 2),
        "percent_most": round(max(shares), 2),
        "scrape_ms": round(scrape * 1000, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--call", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.call:
        asyncio.run(_call(*given.call))
        return
    found = asyncio.run(measure(given.rounds))
    print(
        f"a Status takes {found['call_us']} us, of which metrics {found['metrics_us']} us:"
        f" {found['percent']} % ({found['percent_least']} to {found['percent_most']})"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
