"""Compares a batch with as many calls of their own: 100 small files, opened and completed.

Run it as `python -m bench.batch`. The service runs in its own process (`partway-server dev`, over
real Redis and real storage). The files are opened, and completed, one by one, SIDE_BY_SIDE at a
time, and by one batch; only these calls count, and not the PUTs between them. Each round does all
three in turn, so that a busy machine slows all of them alike; ratios are taken within a round. The
last line of output is one JSON object.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc

from bench.presign import processor, spread
from bench.progress import acquaint
from bench.stream import cpu_seconds, service

FILES = 100
ROUNDS = 5
SIDE_BY_SIDE = 20
BODY = b"x" * 1000

ONE_BY_ONE, AT_ONCE, BATCH = "one by one", f"{SIDE_BY_SIDE} at once", "one batch"

Open = Callable[[Any, Sequence[pb.InitializeRequest]], Awaitable[list[pb.InitializeResponse]]]
Finish = Callable[[Any, Sequence[pb.CompleteRequest]], Awaitable[None]]


@dataclass(slots=True)
class Way:
    """A way to open and complete the files, and what it took in each round."""

    open: Open
    finish: Finish
    seconds: dict[str, list[float]] = field(
        default_factory=lambda: {"open": [], "complete": [], "cpu": []}
    )


async def open_calls(
    stub: Any, files: Sequence[pb.InitializeRequest], at_once: int
) -> list[pb.InitializeResponse]:
    turns = asyncio.Semaphore(at_once)

    async def one(file: pb.InitializeRequest) -> pb.InitializeResponse:
        async with turns:
            answer: pb.InitializeResponse = await stub.Initialize(file)
            return answer

    return list(await asyncio.gather(*map(one, files)))


async def open_batch(
    stub: Any, files: Sequence[pb.InitializeRequest]
) -> list[pb.InitializeResponse]:
    answer = await stub.BatchInitialize(pb.BatchInitializeRequest(requests=files))
    assert not any(result.HasField("status") for result in answer.results)
    return [result.response for result in answer.results]


async def finish_calls(stub: Any, asked: Sequence[pb.CompleteRequest], at_once: int) -> None:
    turns = asyncio.Semaphore(at_once)

    async def one(request: pb.CompleteRequest) -> None:
        async with turns:
            await stub.Complete(request)

    await asyncio.gather(*map(one, asked))


async def finish_batch(stub: Any, asked: Sequence[pb.CompleteRequest]) -> None:
    answer = await stub.BatchComplete(pb.BatchCompleteRequest(requests=asked))
    assert not any(result.HasField("status") for result in answer.results)


def the_ways() -> dict[str, Way]:
    return {
        ONE_BY_ONE: Way(
            lambda stub, files: open_calls(stub, files, 1),
            lambda stub, asked: finish_calls(stub, asked, 1),
        ),
        AT_ONCE: Way(
            lambda stub, files: open_calls(stub, files, SIDE_BY_SIDE),
            lambda stub, asked: finish_calls(stub, asked, SIDE_BY_SIDE),
        ),
        BATCH: Way(open_batch, finish_batch),
    }


async def a_folder(stub: Any, http: aiohttp.ClientSession, pid: int, way: Way) -> None:
    """Upload the files, and note what the calls took."""
    files = [
        pb.InitializeRequest(file_name=f"{n}.txt", size_bytes=len(BODY), presign_parts=1)
        for n in range(FILES)
    ]
    began, cpu = time.perf_counter(), cpu_seconds(pid)
    opened = await way.open(stub, files)
    way.seconds["open"].append(time.perf_counter() - began)
    used = cpu_seconds(pid) - cpu
    for answer in opened:
        [part] = answer.parts
        async with http.put(part.url, data=BODY, headers=dict(part.headers)) as reply:
            assert reply.status == 200, reply.status
    asked = [pb.CompleteRequest(upload_id=answer.upload.id) for answer in opened]
    began, cpu = time.perf_counter(), cpu_seconds(pid)
    await way.finish(stub, asked)
    way.seconds["complete"].append(time.perf_counter() - began)
    way.seconds["cpu"].append(used + cpu_seconds(pid) - cpu)


async def measure() -> dict[str, Way]:
    ways = the_ways()
    async with (
        service() as (pid, ready),
        grpc.aio.insecure_channel(ready["grpc"]) as channel,
        aiohttp.ClientSession() as http,
    ):
        stub = rpc.UploadServiceStub(channel)
        await acquaint(stub)
        for number in range(ROUNDS + 1):
            for way in ways.values():
                await a_folder(stub, http, pid, way)
                if number == 0:
                    # Connections are opened, and code runs for the first time.
                    way.seconds = {name: [] for name in way.seconds}
    return ways


def summary(ways: dict[str, Way]) -> dict[str, Any]:
    found: dict[str, Any] = {"files": FILES, "rounds": ROUNDS, "processor": processor()}
    for name, way in ways.items():
        print(f"{FILES} files, {name}:")
        for what, seconds in way.seconds.items():
            milliseconds = [1000 * each for each in seconds]
            print(f"  {what:<10} {spread(milliseconds)} ms")
            found[f"{name}, {what}_ms"] = round(statistics.median(milliseconds), 1)
    for other in (ONE_BY_ONE, AT_ONCE):
        for what in ("open", "complete", "cpu"):
            pairs = zip(ways[other].seconds[what], ways[BATCH].seconds[what], strict=True)
            ratios = [alone / together for alone, together in pairs]
            print(f"{other} against one batch, {what}: {spread(ratios)}")
            found[f"ratio to {other}, {what}"] = round(statistics.median(ratios), 2)
    return found


if __name__ == "__main__":
    print(json.dumps(summary(asyncio.run(measure()))))
