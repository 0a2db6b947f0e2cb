"""Compares our client's upload of 1 GiB with boto3's: speed, CPU, memory.

Our client runs once with checksums and once without. With them it computes a checksum of each part
and of the file, and storage verifies them, as boto3's defaults do for each part.

Run it as `python -m bench.put`. The same file goes in the same parts, with the same concurrency, to
the same server: first to the embedded stack, whose storage verifies signatures and is itself the
limit; then to a sink that discards the bytes, where the clients are the limit. Each upload runs in
its own process, the clients take turns, and ratios are taken within a round. The last line of
output is one JSON object.
"""

import asyncio
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import grpc
from botocore.config import Config
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from partway_server.runtime.subprocesses import free_port

from bench.presign import processor, spread
from bench.stream import service

MIB = 1024 * 1024
GIB = 1024 * MIB
FILE_BYTES = GIB
PART_BYTES = 16 * MIB
CONCURRENCY = 8
ROUNDS = 5
OURS = "partway"
BARE = "partway, checksum none"
PEERS = ("boto3, checksums off", "boto3, nothing hashed", "boto3, defaults")
CEILING = "sendfile"
AIMS = {
    "speed": ("times its speed", "1 or more"),
    "cpu": ("of its CPU", "under 1"),
    "rss": ("of its memory", "under 1"),
}
"""For each figure: the name of its ratio to a peer, and the aim."""


@dataclass(frozen=True)
class Target:
    """The destination of the file: a service and the storage behind it."""

    name: str
    grpc: str
    s3: Mapping[str, str]
    clients: Sequence[str]


@dataclass(frozen=True)
class Run:
    """The cost of one upload: MB/s, CPU seconds per GiB, and peak MiB.

    `cpu` covers the upload alone; `cpu_whole` covers its whole process, including interpreter start
    and all imports.
    """

    speed: float
    cpu: float
    cpu_whole: float
    rss: float


class Uploads:
    """A runner that uploads `file` repeatedly and removes what each upload leaves in storage."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._file, self._folder = file, folder
        self._bytes = file.stat().st_size
        # Keep bytecode in our own folder, as if everything were installed, whatever the environment
        # sets.
        self._env = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        self._env.pop("PYTHONDONTWRITEBYTECODE", None)

    def run(self, client: str, target: Target) -> Run:
        job = {
            "client": client,
            "file": str(self._file),
            "part_bytes": PART_BYTES,
            "concurrency": CONCURRENCY,
            "state_dir": str(self._folder / "state"),
            "grpc": target.grpc,
            "s3": target.s3,
        }
        command = [sys.executable, "-m", "bench.put_once"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=self._env) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            answer = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"the upload by {client} failed")
        took = json.loads(answer)
        if client != CEILING:
            self._remove(took["key"], target)
        return Run(
            speed=self._bytes / 1e6 / took["seconds"],
            cpu=took["cpu"] * GIB / self._bytes,
            cpu_whole=(usage.ru_utime + usage.ru_stime) * GIB / self._bytes,
            rss=took["rss"] / MIB,
        )

    def _remove(self, key: str, target: Target) -> None:
        storage, bucket = connect(target.s3), target.s3["bucket"]
        with contextlib.closing(storage):
            size = storage.head_object(Bucket=bucket, Key=key)["ContentLength"]
            if size != self._bytes:
                raise SystemExit(f"storage holds {size} bytes of {self._bytes}")
            storage.delete_object(Bucket=bucket, Key=key)


def connect(s3: Mapping[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3["endpoint"],
        region_name=s3["region"],
        aws_access_key_id=s3["access_key"],
        aws_secret_access_key=s3["secret_key"],
        config=Config(s3={"addressing_style": "path"}),
    )


@contextlib.asynccontextmanager
async def sink(ready: Mapping[str, Any]) -> AsyncIterator[Target]:
    """Run the sink and a service over it, with its own database in the stack's Redis."""
    port = free_port()
    forgetful = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.sink", stdout=asyncio.subprocess.PIPE
    )
    async with stopping(forgetful):
        assert forgetful.stdout is not None
        s3 = {
            "endpoint": f"http://127.0.0.1:{int(await forgetful.stdout.readline())}",
            "region": "us-east-1",
            "access_key": "sink",
            "secret_key": "sink",
            "bucket": "sink",
        }
        settings = {
            "ADDRESS": f"127.0.0.1:{port}",
            "REDIS_URL": ready["redis"].removesuffix("/0") + "/1",
            "SEALING_KEYS": "A" * 86 + "==",
            "BUCKET": s3["bucket"],
            "S3_ENDPOINT": s3["endpoint"],
            "S3_ACCESS_KEY": s3["access_key"],
            "S3_SECRET_KEY": s3["secret_key"],
            # The same checksums as for the embedded storage; the sink verifies none of them.
            "BACKEND": "seaweedfs",
            "DRAIN_SECONDS": "0",
        }
        server = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).parent / "partway-server"), "serve"),
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **{f"PARTWAY_{name}": v for name, v in settings.items()}},
        )
        async with stopping(server):
            async with grpc.aio.insecure_channel(settings["ADDRESS"]) as channel:
                await asyncio.wait_for(serving(channel), 30)
            yield Target("sink", settings["ADDRESS"], s3, (OURS, BARE, *PEERS, CEILING))


async def serving(channel: grpc.aio.Channel) -> None:
    """Wait until the service is serving: it listens before it is ready."""
    watch = HealthStub(channel).Watch(HealthCheckRequest(), wait_for_ready=True)
    async for health in watch:
        if health.status == HealthCheckResponse.SERVING:
            return


@contextlib.asynccontextmanager
async def stopping(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def measure(target: Target, uploads: Uploads) -> dict[str, list[Run]]:
    """Run each client's uploads, by round. The first round warms the caches and is not counted."""
    runs: dict[str, list[Run]] = {client: [] for client in target.clients}
    for number in range(ROUNDS + 1):
        # Rotate who goes first: work that storage still does for one upload slows the next.
        first = number % len(target.clients)
        for client in (*target.clients[first:], *target.clients[:first]):
            run = await asyncio.to_thread(uploads.run, client, target)
            if number:
                runs[client].append(run)
    return runs


def figure(runs: Sequence[Run], name: str) -> list[float]:
    return [getattr(run, name) for run in runs]


def ratios(ours: Sequence[Run], theirs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Return our figures relative to theirs in the same round."""
    return {
        name: spread(
            [a / b for a, b in zip(figure(ours, name), figure(theirs, name), strict=True)], 2
        )
        for name in AIMS
    }


def report(target: Target, runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Print the tables and return their figures."""
    found: dict[str, Any] = {"clients": {}, "ratios": {}}
    print(f"\nTo {target.name}: median (least-most)")
    columns = {
        "speed": ("MB/s", 0),
        "cpu": ("CPU s/GiB", 2),
        "cpu_whole": ("with start", 2),
        "rss": ("peak RSS, MiB", 0),
    }
    print(f"  {'':22}" + "".join(f"{title:>22}" for title, _ in columns.values()))
    for client, taken in runs.items():
        spreads = {name: spread(figure(taken, name), 2) for name in columns}
        found["clients"][client] = spreads
        cells = (shown(spreads[name], digits) for name, (_, digits) in columns.items())
        print(f"  {client:22}" + "".join(f"{cell:>22}" for cell in cells))
    for peer in PEERS:
        found["ratios"][peer] = ratios(runs[OURS], runs[peer])
        print(f"  partway to {peer}")
        for name, (words, aim) in AIMS.items():
            print(f"    {words:18}{shown(found['ratios'][peer][name], 2):>20}  aim: {aim}")
    return found


def shown(figures: Mapping[str, float], digits: int) -> str:
    least, most = (f"{figures[name]:.{digits}f}" for name in ("min", "max"))
    return f"{figures['median']:.{digits}f} ({least}-{most})"


def write_random(file: Path, size_bytes: int = FILE_BYTES) -> None:
    with file.open("wb") as out:
        for _ in range(size_bytes // MIB):
            out.write(os.urandom(MIB))


def check_space(folder: Path) -> None:
    # Deleted data stays on disk until storage vacuums, which may be after the last round.
    needed = FILE_BYTES * (2 + (ROUNDS + 1) * (2 + len(PEERS)))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{folder} has {free / GIB:.0f} GiB free, and this takes {needed / GIB:.0f}:"
            " set TMPDIR to a directory with room"
        )


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="partway-put-") as name:
        folder = Path(name)
        check_space(folder)
        file = folder / "random.bin"
        write_random(file)
        machine = {
            "cpu": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "boto3": boto3.__version__,
        }
        print(", ".join(f"{name} {value}" for name, value in machine.items()))
        print(
            f"{FILE_BYTES // MIB} MiB in parts of {PART_BYTES // MIB} MiB, {CONCURRENCY} at a"
            f" time, {ROUNDS} rounds"
        )
        found: dict[str, Any] = {}
        uploads = Uploads(file, folder)
        async with service() as (_, ready):
            stack = Target("storage", ready["grpc"], ready["s3"], (OURS, BARE, *PEERS))
            found["storage"] = report(stack, await measure(stack, uploads))
            async with sink(ready) as target:
                found["sink"] = report(target, await measure(target, uploads))
    print(json.dumps({"bench": "put", "machine": machine, **found}))


if __name__ == "__main__":
    asyncio.run(main())
