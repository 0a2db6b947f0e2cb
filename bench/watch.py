"""Measures 1,000 watchers on one process: memory, idle CPU, and time until the last is notified.

Run it as `python -m bench.watch`. The service runs in its own process (`partway-server dev`, over
real Redis and real storage), the watchers in another, on as many connections as they need. First
all of them watch one upload; then each watches its own, and one of these changes. At the end the
service is asked to stop. The last line of output is one JSON object.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

import grpc
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_server.rpc.server import MAX_STREAMS

from bench.presign import processor, spread
from bench.progress import PART_BYTES, acquaint, initialize, status
from bench.stream import cpu_seconds, rss_bytes, service

WATCHERS = 1000
CHANGES = 9
IDLE_SECONDS = 30.0
"""Long enough for two polls by each watcher."""


class Watchers:
    """The watcher process as its parent sees it: the time of each last message."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def heard(self) -> float:
        """Return when the last watcher got its next message, by a clock common to all processes."""
        assert self.process.stdout is not None
        return float(await self.process.stdout.readline())


async def start(address: str, ids: list[str]) -> Watchers:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.watch", "--watchers", address),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(ids).encode())
    process.stdin.write_eof()
    return Watchers(process)


async def watchers(address: str) -> None:
    """Watch all uploads; report when every watcher has each message, and when all have ended."""
    ids = json.load(sys.stdin)
    async with contextlib.AsyncExitStack() as opened:
        # A connection of its own for each channel, which takes MAX_STREAMS calls at a time.
        options = [("grpc.use_local_subchannel_pool", 1)]
        stubs = [
            rpc.UploadServiceStub(
                await opened.enter_async_context(grpc.aio.insecure_channel(address, options))
            )
            for _ in range(-(-len(ids) // MAX_STREAMS))
        ]
        streams = [
            stubs[n // MAX_STREAMS].Watch(pb.WatchRequest(upload_id=upload_id))
            for n, upload_id in enumerate(ids)
        ]
        heard = [0] * len(streams)
        # With one upload, all watchers see the change; with one upload each, only the first does.
        all_hear = len(set(ids)) == 1

        def report_messages() -> None:
            print(time.monotonic(), flush=True)

        async def read(index: int, stream: Any) -> None:
            try:
                while await stream.read() is not grpc.aio.EOF:
                    heard[index] += 1
                    if heard[index] == 1 or all_hear:
                        if min(heard) == heard[index]:
                            report_messages()
                    else:
                        report_messages()
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE

        await asyncio.gather(*(read(i, stream) for i, stream in enumerate(streams)))
        report_messages()


async def one_change(
    stub: "rpc.UploadServiceAsyncStub", upload_id: str, number: int, watching: Watchers
) -> float:
    """Return the milliseconds from the call that changes something to the last message about it."""
    part = upload_pb2.Part(part_number=number, size_bytes=PART_BYTES)
    began = time.monotonic()
    await stub.ReportParts(pb.ReportPartsRequest(upload_id=upload_id, parts=[part]))
    took = (await watching.heard() - began) * 1000
    # A watch sends at most four messages a second.
    await asyncio.sleep(0.5)
    return took


async def of(
    ids: list[str], stub: "rpc.UploadServiceAsyncStub", pid: int, address: str
) -> dict[str, Any]:
    """Measure the watchers' cost and notification delay. Ask the service to stop at the end."""
    alone = [await status(stub, ids[0]) * 1000 for _ in range(200)]
    before = rss_bytes(pid)
    began = time.monotonic()
    watching = await start(address, ids)
    found: dict[str, Any] = {"all_open_s": round(await watching.heard() - began, 2)}
    found["rss_mib"] = round((rss_bytes(pid) - before) / 2**20, 1)
    await asyncio.sleep(2)
    busy, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    found["idle_cpu_percent"] = round(
        (cpu_seconds(pid) - busy) / (time.monotonic() - began) * 100, 2
    )
    among = [await status(stub, ids[0]) * 1000 for _ in range(200)]
    found["status_among_to_alone"] = round(sorted(among)[100] / sorted(alone)[100], 2)
    busy = cpu_seconds(pid)
    took = [await one_change(stub, ids[0], n, watching) for n in range(1, CHANGES + 1)]
    found["change_ms"] = spread(took)
    found["change_cpu_ms"] = round((cpu_seconds(pid) - busy) / CHANGES * 1000, 1)
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    found["all_ended_ms"] = round((await watching.heard() - began) * 1000, 1)
    await watching.process.wait()
    return found


async def main() -> None:
    print(f"{processor()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    found = {}
    for name, uploads in (("of one Upload", 1), ("of one Upload each", WATCHERS)):
        async with service() as (pid, ready), grpc.aio.insecure_channel(ready["grpc"]) as channel:
            stub = rpc.UploadServiceStub(channel)
            await acquaint(stub)
            opened = [await initialize(stub, 100 * PART_BYTES) for _ in range(uploads)]
            ids = [response.upload.id for response in opened] * (WATCHERS // uploads)
            found[name] = await of(ids, stub, pid, ready["grpc"])
        print(f"{WATCHERS:,} watchers {name}")
        for key, value in found[name].items():
            print(f"  {key.replace('_', ' '):26}{value}")
    print(
        json.dumps(
            {
                "bench": "watch",
                "machine": f"{processor()}, {os.cpu_count()} cores",
                "watchers": WATCHERS,
                **found,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(watchers(*sys.argv[2:]) if sys.argv[1:2] == ["--watchers"] else main())
