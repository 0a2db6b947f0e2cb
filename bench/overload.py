"""Measures one tenant's overload, and what another tenant notices of it.

Run it as `python -m bench.overload [PLOT.svg]`. The service runs in its own process, over real
Redis and real storage. The callers of the noisy tenant run in another, and the one caller of the
quiet tenant in a third, so that it does not wait for the noisy ones' own event loop. The noisy ones
call Initialize, PresignParts and Status in turns, and pause for 50 ms when one is refused, though
the service asks for a second. The last line of output is one JSON object.
"""

import asyncio
import contextlib
import itertools
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc

from bench.overload_plot import draw
from bench.stream import cpu_seconds, service

CONCURRENCY = (4, 16, 64, 512, 1500)
CONNECTIONS = 16
SECONDS = 10.0
ROUNDS = 3
PAUSE = 0.05
"""How long a noisy caller waits after a refusal."""
QUIET_EVERY = 0.05
MOST_OUTSTANDING = 4000

Figures = dict[str, Any]


class Caller:
    """Calls Initialize, PresignParts and Status in turns, and times them."""

    def __init__(self, channel: grpc.aio.Channel, tenant: str, subject: str) -> None:
        self._stub = rpc.UploadServiceStub(channel)
        self._metadata = (("partway-tenant", tenant), ("partway-subject", subject))
        self._upload_id = ""
        self._turns = itertools.cycle((self._initialize, self._presign, self._status))

    async def call(self) -> None:
        await (next(self._turns) if self._upload_id else self._initialize)()

    async def status(self) -> None:
        await (self._status if self._upload_id else self._initialize)()

    async def _initialize(self) -> None:
        request = pb.InitializeRequest(file_name="f", size_bytes=1 << 20)
        answer = await self._stub.Initialize(request, metadata=self._metadata, timeout=30)
        self._upload_id = answer.upload.id

    async def _presign(self) -> None:
        request = pb.PresignPartsRequest(upload_id=self._upload_id)
        async for _ in self._stub.PresignParts(request, metadata=self._metadata, timeout=30):
            pass

    async def _status(self) -> None:
        request = pb.StatusRequest(upload_id=self._upload_id)
        await self._stub.Status(request, metadata=self._metadata, timeout=30)


class Tally:
    """The calls of one process: answered, refused, and failed otherwise."""

    def __init__(self) -> None:
        self._answered: list[float] = []
        self._refused: list[float] = []
        self._failed = Counter[str]()

    async def count(self, call: Any) -> bool:
        """Await the call, and return whether it was answered."""
        began = time.perf_counter()
        try:
            await call
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                self._refused.append(time.perf_counter() - began)
            else:
                self._failed[f"{error.code().name} {error.details()}"] += 1
            return False
        self._answered.append(time.perf_counter() - began)
        return True

    def figures(self, seconds: float) -> Figures:
        return {
            "goodput": len(self._answered) / seconds,
            "answered_ms": percentiles(self._answered),
            "refused": len(self._refused) / seconds,
            "refused_ms": percentiles(self._refused),
            "failed": self._failed.total(),
        }


def percentiles(seconds: Sequence[float]) -> list[float]:
    """Return p50 and p99 in milliseconds."""
    if not seconds:
        return [0.0, 0.0]
    ordered = sorted(seconds)
    return [ordered[int(len(ordered) * p)] * 1000 for p in (0.5, 0.99)]


@contextlib.asynccontextmanager
async def channels(target: str, number: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Open that many connections."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    made = [grpc.aio.insecure_channel(target, options=options) for _ in range(number)]
    try:
        yield made
    finally:
        for channel in made:
            await channel.close()


async def closed_loop(target: str, callers: int, seconds: float) -> Figures:
    """Let that many callers call one after the other."""
    tally, end = Tally(), time.monotonic() + seconds

    async def repeat(caller: Caller) -> None:
        while time.monotonic() < end:
            if not await tally.count(caller.call()):
                await asyncio.sleep(PAUSE)

    async with channels(target, CONNECTIONS) as open_channels:
        made = [
            Caller(open_channels[n % CONNECTIONS], "noisy", f"n{n % 7}") for n in range(callers)
        ]
        await asyncio.gather(*map(repeat, made))
    return tally.figures(seconds)


async def open_loop(target: str, rate: float, seconds: float) -> Figures:
    """Make that many calls a second, whether they are answered or not."""
    tally, tasks, skipped = Tally(), set[asyncio.Task[bool]](), 0
    async with channels(target, CONNECTIONS) as open_channels:
        callers = [Caller(channel, "noisy", f"n{n}") for n, channel in enumerate(open_channels)]
        began, made = time.monotonic(), 0
        while (now := time.monotonic()) < began + seconds:
            while made < (now - began) * rate:
                made += 1
                if len(tasks) >= MOST_OUTSTANDING:
                    skipped += 1
                    continue
                task = asyncio.create_task(tally.count(callers[made % CONNECTIONS].call()))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.002)
        figures = tally.figures(seconds)
        await asyncio.gather(*tasks)
    return {**figures, "offered": made / seconds, "skipped": skipped}


async def quiet(target: str, seconds: float) -> Figures:
    """Call Status now and then, as a tenant with little to do."""
    tally, end = Tally(), time.monotonic() + seconds
    async with channels(target, 1) as [channel]:
        caller = Caller(channel, "quiet", "q")
        while time.monotonic() < end:
            await tally.count(caller.status())
            await asyncio.sleep(QUIET_EVERY)
    return tally.figures(seconds)


async def in_process(*arguments: object) -> Figures:
    """Run one role of this module in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.overload", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    found: Figures = json.loads(output)
    return found


async def beside(pid: int, target: str, *noise: object) -> Figures:
    """Measure the quiet tenant beside the noisy one; return the figures of both."""
    began = cpu_seconds(pid)
    role, *load = noise or ("",)
    runs = [in_process("quiet", target, SECONDS)]
    if role:
        runs.append(in_process(role, target, *load, SECONDS))
    quiet_figures, *noisy = await asyncio.gather(*runs)
    return {
        "quiet_ms": quiet_figures["answered_ms"],
        "quiet_refused": quiet_figures["refused"],
        "cpu": (cpu_seconds(pid) - began) / SECONDS,
        **(noisy[0] if noisy else {}),
    }


async def one_round(pid: int, target: str) -> dict[str, Figures]:
    found = {"idle": await beside(pid, target)}
    for callers in CONCURRENCY:
        found[str(callers)] = await beside(pid, target, "closed", callers)
    peak = max(found[str(callers)]["goodput"] for callers in CONCURRENCY)
    found["5x"] = await beside(pid, target, "open", 5 * peak)
    found["5x"]["to_peak"] = found["5x"]["goodput"] / peak
    idle = found["idle"]["quiet_ms"]
    for figures in found.values():
        figures["to_idle"] = [
            now / then for now, then in zip(figures["quiet_ms"], idle, strict=True)
        ]
    return found


def median(rounds: Sequence[dict[str, Figures]]) -> dict[str, Figures]:
    """Return the median of each figure over the rounds."""

    def over(values: Sequence[Any]) -> Any:
        if isinstance(values[0], list):
            return [statistics.median(each) for each in zip(*values, strict=True)]
        return statistics.median(values)

    return {
        load: {name: over([r[load][name] for r in rounds]) for name in rounds[0][load]}
        for load in rounds[0]
    }


def table(found: dict[str, Figures]) -> str:
    lines = [
        "| noisy callers | answered/s | p50, p99, ms | refused/s | p50, p99, ms "
        "| quiet p50, p99, ms | to idle |",
        "|---|---|---|---|---|---|---|",
    ]

    def pair(values: Sequence[float]) -> str:
        return ", ".join(f"{value:.1f}" for value in values)

    for load, f in found.items():
        noisy = (
            f"{f['goodput']:.0f} | {pair(f['answered_ms'])} | {f['refused']:.0f}"
            f" | {pair(f['refused_ms'])}"
            if "goodput" in f
            else "| | |"
        )
        lines.append(f"| {load} | {noisy} | {pair(f['quiet_ms'])} | {pair(f['to_idle'])} |")
    lines.append(f"\nanswered at 5 times the peak, to the peak: {found['5x']['to_peak']:.2f}")
    return "\n".join(lines)


async def main() -> dict[str, Figures]:
    settings = {
        "PARTWAY_IDENTITY": "metadata",
        "PARTWAY_LOG_LEVEL": "warning",
        # What is measured is overload, not the quota that thousands of opened uploads reach.
        "PARTWAY_TENANT_OPEN_UPLOADS": "0",
    }
    async with service(**settings) as (pid, ready):
        found = median([await one_round(pid, ready["grpc"]) for _ in range(ROUNDS)])
    print(table(found))
    print(json.dumps(found))
    return found


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["quiet", target, seconds]:
            print(json.dumps(asyncio.run(quiet(target, float(seconds)))))
        case ["closed", target, callers, seconds]:
            print(json.dumps(asyncio.run(closed_loop(target, int(callers), float(seconds)))))
        case ["open", target, rate, seconds]:
            print(json.dumps(asyncio.run(open_loop(target, float(rate), float(seconds)))))
        case [*paths]:
            found = asyncio.run(main())
            for path in paths:
                Path(path).write_text(draw(found, CONCURRENCY))
