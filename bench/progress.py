"""Measures what ReportParts and Watch add to an upload: time, CPU of the service, bytes in Redis.

Run it as `python -m bench.progress`. The service runs in its own process (`partway-server dev`,
over real Redis and real storage). An upload is Initialize, one PUT and Complete; only the two calls
count. Each round makes every kind of call in turn, so that a busy machine slows all of them alike;
ratios are taken within a round. The last line of output is one JSON object.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import grpc
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from redis.asyncio import Redis

from bench.presign import processor, spread
from bench.stream import cpu_seconds, service

PARTS = 10_000
PART_BYTES = 16 * 1024 * 1024
ROUNDS = 9
CALLS = 40
"""Calls of each kind per round; their median time counts, and all of their CPU."""

UPLOAD = "Initialize and Complete"
STATUS = "Status"

Timed = Callable[[], Awaitable[float]]
"""Makes one call, or the two of an upload; returns the seconds they took."""


async def initialize(
    stub: "rpc.UploadServiceAsyncStub", size: int, presign: int = 0
) -> pb.InitializeResponse:
    request = pb.InitializeRequest(
        file_name="video.mp4",
        size_bytes=size,
        part_size_bytes=PART_BYTES,
        presign_parts=presign,
    )
    response: pb.InitializeResponse = await stub.Initialize(request)
    return response


async def an_upload(stub: "rpc.UploadServiceAsyncStub", http: aiohttp.ClientSession) -> float:
    """Run a whole small upload and return its time without the PUT."""
    began = time.perf_counter()
    opened = await initialize(stub, 3, presign=1)
    took = time.perf_counter() - began
    [part] = opened.parts
    async with http.put(part.url, data=b"abc", headers=dict(part.headers)) as reply:
        assert reply.status == 200, reply.status
    began = time.perf_counter()
    await stub.Complete(pb.CompleteRequest(upload_id=opened.upload.id))
    return took + time.perf_counter() - began


async def acquaint(stub: "rpc.UploadServiceAsyncStub") -> None:
    """Give the service time to trust session records created in its Redis from now on.

    It checks older ones with storage, because a Redis server that it has not seen before may have
    lost later writes. This applies to each of the 64 shards of session records, and for as long as
    clocks may differ.
    """
    for _ in range(500):
        await status(stub, (await initialize(stub, PART_BYTES + 1)).upload.id)
    await asyncio.sleep(6)


def reporting(stub: "rpc.UploadServiceAsyncStub", upload_id: str, count: int) -> Timed:
    """Report the next `count` parts on each call; start over after the last part."""
    first = 1

    async def report() -> float:
        nonlocal first
        numbers = range(first, first + count)
        parts = [upload_pb2.Part(part_number=n, size_bytes=PART_BYTES) for n in numbers]
        request = pb.ReportPartsRequest(upload_id=upload_id, parts=parts)
        first = (first + count - 1) % PARTS + 1
        began = time.perf_counter()
        response = await stub.ReportParts(request)
        took = time.perf_counter() - began
        assert not any(result.status.code for result in response.results)
        return took

    return report


async def watch(stub: "rpc.UploadServiceAsyncStub", upload_id: str) -> float:
    """Open a Watch, read its first message and close it."""
    began = time.perf_counter()
    stream = stub.Watch(pb.WatchRequest(upload_id=upload_id))
    await stream.read()
    took = time.perf_counter() - began
    stream.cancel()
    return took


async def status(stub: "rpc.UploadServiceAsyncStub", upload_id: str) -> float:
    began = time.perf_counter()
    await stub.Status(pb.StatusRequest(upload_id=upload_id))
    return time.perf_counter() - began


async def measure(kinds: Mapping[str, Timed], pid: int) -> dict[str, dict[str, list[float]]]:
    """Return milliseconds per call and milliseconds of service CPU, by kind and round."""
    figures: dict[str, dict[str, list[float]]] = {n: {"ms": [], "cpu_ms": []} for n in kinds}
    for timed in kinds.values():
        await timed()
    for _ in range(ROUNDS):
        for name, timed in kinds.items():
            before = cpu_seconds(pid)
            took = [await timed() for _ in range(CALLS)]
            figures[name]["ms"].append(statistics.median(took) * 1000)
            figures[name]["cpu_ms"].append((cpu_seconds(pid) - before) / CALLS * 1000)
    return figures


async def row_bytes(stub: "rpc.UploadServiceAsyncStub", redis_url: str) -> dict[str, int | None]:
    """Measure what Redis stores for an upload of 10,000 parts, before and after their report."""
    found: dict[str, int | None] = {}
    async with Redis.from_url(redis_url) as redis:
        upload = (await initialize(stub, PARTS * PART_BYTES)).upload
        before = {key async for key in redis.scan_iter("partway:*:upload:*")}
        newest = (await initialize(stub, PARTS * PART_BYTES)).upload
        [key] = {key async for key in redis.scan_iter("partway:*:upload:*")} - before
        assert upload.part_count == newest.part_count == PARTS
        found["opened"] = await redis.memory_usage(key, samples=0)
        report = reporting(stub, newest.id, 1000)
        for _ in range(PARTS // 1000):
            await report()
        found["all_reported"] = await redis.memory_usage(key, samples=0)
    return found


def report(figures: dict[str, dict[str, list[float]]], row: dict[str, int | None]) -> None:
    print(f"{ROUNDS} rounds of {CALLS} calls of each kind: median (least to most)")
    print(f"  {'':26}{'ms':>22}{'CPU of the service, ms':>26}{'to an upload':>22}{'to Status':>24}")
    ratios: dict[str, dict[str, dict[str, float]]] = {}
    for name, found in figures.items():
        ratios[name] = {
            peer: spread(
                [ours / theirs for ours, theirs in zip(found["ms"], others, strict=True)], 2
            )
            for peer, others in ((peer, figures[peer]["ms"]) for peer in (UPLOAD, STATUS))
        }
        cells = (
            words(spread(found["ms"], 2)),
            words(spread(found["cpu_ms"], 2)),
            *(words(ratios[name][peer]) for peer in (UPLOAD, STATUS)),
        )
        print(f"  {name:26}{cells[0]:>22}{cells[1]:>26}{cells[2]:>22}{cells[3]:>24}")
    print(f"  row of {PARTS:,} parts in Redis, bytes: {row}, aim: under 4,096")
    print(
        json.dumps(
            {
                "bench": "progress",
                "machine": f"{processor()}, {os.cpu_count()} cores",
                "ms": {name: spread(found["ms"], 2) for name, found in figures.items()},
                "cpu_ms": {name: spread(found["cpu_ms"], 2) for name, found in figures.items()},
                "ratios": ratios,
                "row_bytes": row,
            }
        )
    )


def words(found: dict[str, float]) -> str:
    return f"{found['median']} ({found['min']} to {found['max']})"


async def main() -> None:
    print(f"{processor()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    async with (
        service() as (pid, ready),
        grpc.aio.insecure_channel(ready["grpc"]) as channel,
        aiohttp.ClientSession() as http,
    ):
        stub = rpc.UploadServiceStub(channel)
        await acquaint(stub)
        upload_id: Any = (await initialize(stub, PARTS * PART_BYTES)).upload.id
        kinds: dict[str, Timed] = {
            UPLOAD: lambda: an_upload(stub, http),
            STATUS: lambda: status(stub, upload_id),
            "ReportParts, 1 part": reporting(stub, upload_id, 1),
            "ReportParts, 1,000 parts": reporting(stub, upload_id, 1000),
            "Watch, first message": lambda: watch(stub, upload_id),
        }
        figures = await measure(kinds, pid)
        row = await row_bytes(stub, ready["redis"])
    report(figures, row)


if __name__ == "__main__":
    asyncio.run(main())
