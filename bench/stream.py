"""Measures PresignParts for 10,000 parts: speed, cost, and the effect on other calls.

Run it as `python -m bench.stream`. The service runs in its own process (`partway-server dev`, over
real Redis and real storage), the readers of the 100 streams run in another, and the small calls are
timed from this one. The comparison is a loop over botocore's `generate_presigned_url`, which a
service would otherwise run. The last line of output is one JSON object.
"""

import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from botocore.config import Config
from botocore.session import Session
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc

from bench.presign import call, processor, spread

PARTS = 10_000
PART_BYTES = 16 * 1024 * 1024
ROUNDS = 7
READS = 5
"""Reads of the stream per round; their median counts."""
STREAMS = 100
STALLED = 30
"""How many of the concurrent streams read one message and then stall until the others are done."""

_TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def service(**environ: str) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """Start the embedded stack; yield the service's process ID and its ready line."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "partway-server"),
        "dev",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **environ},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process.pid, json.loads(await process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def initialize(stub: "rpc.UploadServiceAsyncStub") -> str:
    request = pb.InitializeRequest(
        file_name="video.mp4", size_bytes=PARTS * PART_BYTES, part_size_bytes=PART_BYTES
    )
    return (await stub.Initialize(request)).upload.id


def everything(upload_id: str) -> pb.PresignPartsRequest:
    whole = upload_pb2.PartRange(first=1, last=PARTS)
    return pb.PresignPartsRequest(upload_id=upload_id, ranges=[whole])


async def read(stub: "rpc.UploadServiceAsyncStub", upload_id: str) -> tuple[float, float]:
    """Return the seconds to the first message and to the last."""
    began, first, count = time.perf_counter(), 0.0, 0
    async for message in stub.PresignParts(everything(upload_id)):
        first = first or time.perf_counter() - began
        count += len(message.parts)
    assert count == PARTS, count
    return first, time.perf_counter() - began


def botocore_loop() -> float:
    """Return the seconds that botocore takes for the same number of URLs."""
    client = Session().create_client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    began = time.perf_counter()
    for number in range(1, PARTS + 1):
        client.generate_presigned_url(**call(number))
    return time.perf_counter() - began


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def one_stream(stub: "rpc.UploadServiceAsyncStub", pid: int) -> dict[str, list[float]]:
    """Run a few rounds of a single stream, each next to a botocore loop."""
    figures: dict[str, list[float]] = {n: [] for n in ("total", "first", "cpu", "botocore")}
    upload_id = await initialize(stub)
    await read(stub, upload_id)
    for _ in range(ROUNDS):
        figures["botocore"].append(await asyncio.to_thread(botocore_loop))
        before = cpu_seconds(pid)
        reads = [await read(stub, upload_id) for _ in range(READS)]
        figures["first"].append(statistics.median(first for first, _ in reads))
        figures["total"].append(statistics.median(total for _, total in reads))
        figures["cpu"].append((cpu_seconds(pid) - before) / READS)
    return figures


async def many_streams(
    stub: "rpc.UploadServiceAsyncStub", pid: int, address: str
) -> dict[str, Any]:
    """Read 100 streams at once in another process, and time small calls meanwhile."""
    upload_id = await initialize(stub)
    status = pb.StatusRequest(upload_id=upload_id)
    # Run twice: memory that the allocator keeps after the first run is not growth in the second.
    alone = await time_calls(stub, status, until=None)
    growths, latencies, seconds = [], [], []
    for _ in range(2):
        before = peak = rss_bytes(pid)
        began = time.perf_counter()
        readers = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.stream", "--readers", address, upload_id
        )
        done = asyncio.create_task(readers.wait())
        timing = asyncio.create_task(time_calls(stub, status, until=done))
        while not done.done():
            peak = max(peak, rss_bytes(pid))
            await asyncio.sleep(0.02)
        assert await done == 0
        growths.append((peak - before) / 2**20)
        latencies.append(await timing)
        seconds.append(time.perf_counter() - began)
    return {"growths": growths, "alone": alone, "among": latencies[-1], "seconds": seconds[-1]}


async def time_calls(
    stub: "rpc.UploadServiceAsyncStub", request: pb.StatusRequest, until: "asyncio.Task[int] | None"
) -> list[float]:
    """Return the milliseconds of sequential small calls, with a pause between them."""
    took: list[float] = []
    while (len(took) < 500) if until is None else not until.done():
        began = time.perf_counter()
        await stub.Status(request)
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.005)
    return took


async def readers(address: str, upload_id: str) -> None:
    """Read 100 streams at once; some stall until the others have ended."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = rpc.UploadServiceStub(channel)
        stalled = [stub.PresignParts(everything(upload_id)) for _ in range(STALLED)]
        for stream in stalled:
            await stream.read()
        await asyncio.gather(*(read(stub, upload_id) for _ in range(STREAMS - STALLED)))
        for stream in stalled:
            stream.cancel()


def percentile(figures: list[float], share: float) -> float:
    return statistics.quantiles(figures, n=1000)[round(share * 1000) - 1]


def report(alone: dict[str, list[float]], many: dict[str, Any]) -> None:
    speedup = spread([b / t for b, t in zip(alone["botocore"], alone["total"], strict=True)])
    share = spread([f / t * 100 for f, t in zip(alone["first"], alone["total"], strict=True)])
    total, first, botocore, cpu = (
        spread([v * scale for v in alone[name]])
        for name, scale in (
            ("total", 1000),
            ("first", 1000),
            ("botocore", 1000),
            ("cpu", 1e6 / PARTS),
        )
    )
    p99 = percentile(many["among"], 0.99)
    growth = many["growths"][-1]
    rows = [
        ("botocore loop, ms", botocore, ""),
        ("whole stream, ms", total, ""),
        ("times faster than botocore", speedup, "at least 50"),
        ("first message, ms", first, ""),
        ("first message, % of the whole", share, "under 10"),
        ("server CPU per URL, us", cpu, ""),
    ]
    print(f"One stream of {PARTS:,} parts, {ROUNDS} rounds")
    print(f"  {'':32}{'median':>15}{'min':>9}{'max':>9}  aim")
    for name, figures, aim in rows:
        print(f"  {name:32}{figures['median']:>15}{figures['min']:>9}{figures['max']:>9}  {aim}")
    print(f"{STREAMS} streams at once, {STALLED} of them stalled, over {many['seconds']:.1f} s")
    small = {
        "status_alone_p50_ms": percentile(many["alone"], 0.5),
        "status_alone_p99_ms": percentile(many["alone"], 0.99),
        "status_among_p50_ms": percentile(many["among"], 0.5),
        "status_among_p99_ms": p99,
        "first_rss_growth_mib": many["growths"][0],
        "rss_growth_mib": growth,
    }
    aims = {"status_among_p99_ms": "under 10", "first_rss_growth_mib": "under 16"}
    for key, value in small.items():
        print(f"  {key.replace('_', ' '):32}{value:>15.1f}{'':>18}  {aims.get(key, '')}")
    print(
        json.dumps(
            {
                "bench": "stream",
                "machine": f"{processor()}, {os.cpu_count()} cores",
                "parts": PARTS,
                "total_ms": total,
                "first_ms": first,
                "first_percent": share,
                "botocore_ms": botocore,
                "times_botocore": speedup,
                "cpu_us_per_url": cpu,
                "streams": STREAMS,
                "stalled": STALLED,
                "calls_timed": len(many["among"]),
                **{key: round(value, 2) for key, value in small.items()},
            }
        )
    )


async def main() -> None:
    async with service() as (pid, ready):
        async with grpc.aio.insecure_channel(ready["grpc"]) as channel:
            stub = rpc.UploadServiceStub(channel)
            print(f"{processor()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
            alone = await one_stream(stub, pid)
            many = await many_streams(stub, pid, ready["grpc"])
    report(alone, many)


if __name__ == "__main__":
    asyncio.run(readers(*sys.argv[2:]) if sys.argv[1:2] == ["--readers"] else main())
