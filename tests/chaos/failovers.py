"""Uploads while Redis fails over, and while slots of a Redis Cluster move.

    python -m tests.chaos.failovers --failovers 20 --moves 20 --seed 7

Two service processes over a real SeaweedFS, many clients at once, and under them first a master
with two replicas and three Sentinels, then a Cluster of three masters. Prints a table and, as its
last line, JSON. Exits with 1 if anything that was acknowledged is lost or wrong, or announced by no
event.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import botocore.exceptions
import grpc
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_client import PartwayError, State, UploadClient
from partway_server.devstack.servers import S3, start_seaweedfs
from partway_server.domain.events import COMPLETED

from tests.chaos import failover_event_audit
from tests.chaos.time_limit import Hung, within
from tests.support.bucket import Bucket, look_into
from tests.support.processes import Service, until
from tests.support.redis_cluster import OUR_SLOTS, Cluster, start_cluster
from tests.support.redis_sentinel import Sentinels, start_sentinels
from tests.support.storage import put_by
from tests.support.usage_audit import usage_faults_at

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

T = TypeVar("T")

MIB = 1024 * 1024
PART = 5 * MIB
CLIENTS = 6
"""How many uploads there are at a time."""

UPLOADS_BETWEEN = 3
"""How many uploads end between one fault and the next."""

OUTAGE_SECONDS = 0.2
"""A longer wait for an answer counts as an outage."""

PATIENCE_SECONDS = 120.0
"""How long a caller asks again."""

REPEATED = ("UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED")


@dataclass(slots=True)
class Ledger:
    """The answers of callers, to be compared with storage at the end."""

    completed: dict[str, str] = field(default_factory=dict)
    """SHA-256 by key."""
    aborted: set[str] = field(default_factory=set)
    """Keys."""
    failed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    """The upload_ids of those that ended over the present Redis, by key."""
    reported: set[str] = field(default_factory=set)
    """The keys whose completion an event announced."""
    unreported: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)
    failovers: list[float] = field(default_factory=list)
    """How long it took until Redis had another master, in seconds."""
    outages: list[float] = field(default_factory=list)
    """How long there was no answer, in seconds."""
    troubles: Counter[str] = field(default_factory=Counter)

    @property
    def uploads(self) -> int:
        return len(self.completed) + len(self.aborted) + len(self.failed)


class Load:
    """The callers of two services, until `stop`."""

    def __init__(
        self, *, ledger: Ledger, addresses: list[str], folder: Path, chance: random.Random
    ):
        self._ledger, self._addresses, self._folder = ledger, addresses, folder
        self._chance = chance
        self.stop = asyncio.Event()

    async def run(self, number: int) -> None:
        """Run one caller: upload after upload, one in four aborted half way."""
        async with (
            UploadClient(self._addresses[number % 2], state_dir=self._folder) as client,
            # Status and the like go to the other service.
            grpc.aio.insecure_channel(self._addresses[1 - number % 2]) as channel,
            aiohttp.ClientSession() as http,
        ):
            stub = UploadServiceStub(channel)
            while not self.stop.is_set():
                try:
                    if self._chance.random() < 0.25:
                        await self._abort(stub, http)
                    else:
                        await self._upload(client, stub, number)
                except (PartwayError, grpc.aio.AioRpcError) as error:
                    self._ledger.failed.append(f"{type(error).__name__}: {error}")

    async def probe(self, address: str) -> None:
        """Poll continuously; record how long each answer took, from the first try on."""
        async with grpc.aio.insecure_channel(address) as channel:
            stub = UploadServiceStub(channel)
            opened = await self._insist(
                lambda: stub.Initialize(pb.InitializeRequest(file_name="p", size_bytes=PART + 1))
            )
            request, since = pb.StatusRequest(upload_id=opened.upload.id), 0.0
            while not self.stop.is_set():
                since = since or time.monotonic()
                try:
                    await stub.Status(request, timeout=5)
                except grpc.aio.AioRpcError as error:
                    if error.code().name not in REPEATED:
                        self._ledger.false.append(f"Status: {error.code().name}")
                else:
                    waited, since = time.monotonic() - since, 0.0
                    self._ledger.outages += [waited] if waited > OUTAGE_SECONDS else []
                await asyncio.sleep(0.02)

    async def ask_again(self, address: str, keys: Collection[str]) -> None:
        """Ask for these ended uploads, so that what a failover lost is announced again."""
        async with grpc.aio.insecure_channel(address) as channel:
            stub = UploadServiceStub(channel)
            for key in keys:
                request = pb.StatusRequest(upload_id=self._ledger.ids[key])
                await self._insist(partial(stub.Status, request))

    async def _upload(
        self, client: UploadClient, stub: "UploadServiceAsyncStub", number: int
    ) -> None:
        data = self._chance.randbytes(self._chance.randrange(1, 3 * PART))
        path = self._folder / f"{number}.bin"
        await asyncio.to_thread(path.write_bytes, data)
        done = await client.upload_file(path, part_size=PART, concurrency=2, resume=False)
        self._ledger.completed[done.key] = hashlib.sha256(data).hexdigest()
        self._ledger.ids[done.key] = done.upload_id
        # A failover may have set Redis back to before that, and Status must notice.
        for progress in (False, True):
            found = await client.status(done.upload_id, progress=progress)
            if found.state is not State.COMPLETED or found.key != done.key:
                self._ledger.false.append(f"{done.key}: {found.state} after COMPLETED")
        again = await self._insist(
            lambda: stub.Complete(pb.CompleteRequest(upload_id=done.upload_id))
        )
        if again.upload.object.etag != done.etag:
            self._ledger.false.append(f"{done.key}: completed twice, with two outcomes")
        await self._must_fail(stub.Abort, pb.AbortRequest(upload_id=done.upload_id))

    async def _abort(self, stub: "UploadServiceAsyncStub", http: aiohttp.ClientSession) -> None:
        asked = pb.InitializeRequest(
            file_name="half",
            size_bytes=2 * PART,
            part_size_bytes=PART,
            presign_parts=2,
            request_id=str(uuid.UUID(bytes=self._chance.randbytes(16), version=4)),
        )
        opened = await self._insist(lambda: stub.Initialize(asked))
        part, key = opened.parts[0], opened.upload.object.key
        await put_by(http)(part.url, bytes(part.size_bytes), part.headers)
        upload_id = opened.upload.id
        await self._insist(lambda: stub.Abort(pb.AbortRequest(upload_id=upload_id)))
        self._ledger.aborted.add(key)
        self._ledger.ids[key] = upload_id
        about = pb.StatusRequest(upload_id=upload_id, view=pb.STATUS_VIEW_PROGRESS)
        found = await self._insist(lambda: stub.Status(about))
        if found.upload.state != upload_pb2.UPLOAD_STATE_ABORTED:
            self._ledger.false.append(f"{key}: {found.upload.state} after ABORTED")
        await self._must_fail(stub.Complete, pb.CompleteRequest(upload_id=upload_id))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Retry retryable errors, as a client does, and give up as one does."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code().name not in REPEATED or time.monotonic() > end:
                    raise
            await asyncio.sleep(0.1)

    async def _must_fail(self, rpc: Any, request: Any) -> None:
        try:
            await self._insist(lambda: rpc(request))
        except grpc.aio.AioRpcError as error:
            if error.code().name == "FAILED_PRECONDITION":
                return
            self._ledger.false.append(f"{type(request).__name__}: {error.code().name}")
        else:
            self._ledger.false.append(f"{type(request).__name__}: succeeded after the end")


Trouble = Callable[[], Awaitable[str]]
"""Injects one fault, waits until Redis is healthy again, and returns the fault's name."""


@contextlib.asynccontextmanager
async def under_load(
    folder: Path, s3: S3, bucket: Bucket, url: str, ledger: Ledger, chance: random.Random
) -> AsyncIterator[None]:
    """Run two services over that Redis, and their callers, until the end of the block."""
    with contextlib.ExitStack() as running:
        addresses = []
        for _ in range(2):
            service = Service(
                folder, s3, url, bucket=bucket.name, lease_seconds=3, janitor_seconds=1
            )
            running.enter_context(service).start()
            addresses.append(service.address)
        load = Load(ledger=ledger, addresses=addresses, folder=folder, chance=chance)
        async with asyncio.TaskGroup() as callers:
            for number in range(CLIENTS):
                callers.create_task(load.run(number))
            for address in addresses:
                callers.create_task(load.probe(address))
            try:
                yield
            finally:
                load.stop.set()
        ends = {key: key in ledger.completed for key in ledger.ids}
        reported, unreported = await failover_event_audit.unreported(
            url, ends, partial(load.ask_again, addresses[0])
        )
        ledger.reported |= {key for key, types in reported.items() if COMPLETED in types}
        ledger.unreported += unreported
        ledger.miscounted += await usage_faults_at(url)
        ledger.ids.clear()


def _have(ledger: Ledger, uploads: int) -> bool:
    return ledger.uploads >= uploads


async def bring_about(trouble: Trouble, times: int, ledger: Ledger) -> None:
    for number in range(times):
        enough = ledger.uploads + UPLOADS_BETWEEN
        await until(partial(_have, ledger, enough), seconds=180)
        name = await trouble()
        ledger.troubles[name] += 1
        print(f"{number + 1:3} {name:20} {ledger.uploads:5} uploads so far", flush=True)


def failovers(sentinels: Sentinels, ledger: Ledger, chance: random.Random) -> Trouble:
    async def trouble() -> str:
        began, killed = time.monotonic(), chance.random() < 0.5
        await asyncio.to_thread(sentinels.kill_master if killed else sentinels.hand_over)
        ledger.failovers.append(time.monotonic() - began)
        if killed:
            # Not in a thread: it would end with it.
            sentinels.revive()
        await asyncio.to_thread(sentinels.settle)
        return "SIGKILL of the master" if killed else "SENTINEL FAILOVER"

    return trouble


def slot_moves(cluster: Cluster, chance: random.Random) -> Trouble:
    async def trouble() -> str:
        for slot in chance.sample(OUR_SLOTS, 8):
            others = [port for port in cluster.masters() if port != cluster.owner(slot)]
            await asyncio.to_thread(cluster.move, slot, chance.choice(others))
        # Fails if two nodes go on to disagree.
        await asyncio.to_thread(cluster.settle, 120.0)
        return "8 slots moved"

    return trouble


async def run(folder: Path, arguments: argparse.Namespace) -> int:
    chance, ledger = random.Random(arguments.seed), Ledger()
    began = time.monotonic()
    seaweedfs, s3 = start_seaweedfs(folder, keep=False)
    with seaweedfs, look_into(s3, "failovers") as bucket:
        with start_sentinels(folder, replicas=2) as sentinels:
            async with under_load(folder, s3, bucket, sentinels.url, ledger, chance):
                await bring_about(failovers(sentinels, ledger, chance), arguments.failovers, ledger)
        with start_cluster(folder) as cluster:
            async with under_load(folder, s3, bucket, cluster.url, ledger, chance):
                await bring_about(slot_moves(cluster, chance), arguments.moves, ledger)
        reported = {**audited(ledger, bucket), "seconds": round(time.monotonic() - began)}
    return report(reported, ledger, arguments)


def audited(ledger: Ledger, bucket: Bucket) -> dict[str, Any]:
    """Compare what callers were answered with what storage has, by a client that is not ours."""
    lost = corrupted = 0
    for key, sha256 in ledger.completed.items():
        try:
            corrupted += bucket.sha256(key) != sha256
        except botocore.exceptions.ClientError:
            lost += 1
    listed = bucket.client.get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
    there = {found["Key"] for page in listed for found in page.get("Contents", [])}
    ledger.unreported += [
        f"{key}: announced as completed, and not there" for key in ledger.reported - there
    ]
    ledger.false += [f"{key}: there after ABORTED" for key in ledger.aborted & there]
    outages = sorted(round(1000 * seconds) for seconds in ledger.outages) or [0]
    return {
        "uploads": ledger.uploads,
        "completed": len(ledger.completed),
        "aborted": len(ledger.aborted),
        "failed": len(ledger.failed),
        "failovers": sum(n for name, n in ledger.troubles.items() if "slots" not in name),
        "slot_moves": 8 * sum(n for name, n in ledger.troubles.items() if "slots" in name),
        "acknowledged_lost": lost,
        "corrupted": corrupted,
        "false_answers": len(ledger.false),
        "events_wrong": len(ledger.unreported),
        "usage_miscounted": len(ledger.miscounted),
        "failover_ms_longest": round(1000 * max(ledger.failovers, default=0)),
        "unavailable_ms_p99": outages[int(0.99 * (len(outages) - 1))],
        "unavailable_ms_longest": outages[-1],
    }


def report(reported: dict[str, Any], ledger: Ledger, arguments: argparse.Namespace) -> int:
    for line in (*ledger.failed, *ledger.false, *ledger.unreported, *ledger.miscounted):
        print(f"WRONG: {line}")
    for name, value in (*ledger.troubles.items(), *reported.items()):
        print(f"{name:24} {value:>8}")
    wrong = (
        *("failed", "acknowledged_lost", "corrupted", "false_answers"),
        *("events_wrong", "usage_miscounted"),
    )
    print(json.dumps({**reported, "seed": arguments.seed}))
    return 1 if any(reported[name] for name in wrong) or not reported["uploads"] else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.failovers")
    parser.add_argument("--failovers", type=int, default=20)
    parser.add_argument("--moves", type=int, default=20, help="rounds of 8 slots each")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="partway-failovers-") as folder:
        most = 900 + 180 * (arguments.failovers + arguments.moves)
        try:
            return asyncio.run(within(most, run(Path(folder), arguments)))
        except Hung as error:
            print(f"WRONG: {error}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
