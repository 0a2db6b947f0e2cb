"""Tests Redis losing all data, or returning to an earlier state, during many uploads."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import grpc
import pytest
import redis
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3
from partway_server.runtime.subprocesses import Child, free_port

from tests.support.bucket import Bucket, look_into
from tests.support.processes import Service, start_valkey_at, until
from tests.support.relay_valve import Valve
from tests.support.storage import put_by
from tests.support.world import failure

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(120)]

T = TypeVar("T")

PART = 5 * 1024 * 1024
SIZE = PART + 7
"""Two parts."""

STAGES = ("initialized", "half sent", "all sent", "completing", "completed", "aborted")
EACH = 5
"""Uploads in each stage: two that the older copy of Redis has as being opened, two that it has as
open, and one that it has not."""


@dataclass(slots=True)
class Sending:
    """One upload, as its sender sees it."""

    number: int
    stage: str
    opened: pb.InitializeResponse = field(default_factory=pb.InitializeResponse)

    @property
    def id(self) -> str:
        return self.opened.upload.id

    @property
    def data(self) -> bytes:
        return hashlib.sha256(str(self.number).encode()).digest() * (PART // 32) + b"the end"


class Memory:
    """A Redis that can lose data on demand."""

    def __init__(self, folder: Path, running: contextlib.ExitStack) -> None:
        self.port = free_port()
        self._folder, self._copy, self._running = folder / "redis", folder / "copy", running
        self._folder.mkdir()
        self._server = self._start()

    def remember(self) -> None:
        """Keep a copy of everything in Redis now."""
        shutil.copytree(self._folder, self._copy)

    def flush(self) -> None:
        with contextlib.closing(redis.Redis(port=self.port)) as client:
            assert client.flushall()

    def restart_empty(self) -> None:
        self._kill()
        self._folder.mkdir()
        self._server = self._start()

    def restart_from_copy(self) -> None:
        self._kill()
        self._copy.rename(self._folder)
        self._server = self._start()

    def _kill(self) -> None:
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.stop()
        shutil.rmtree(self._folder)

    def _start(self) -> Child:
        return self._running.enter_context(start_valkey_at(self.port, self._folder))


class Scene:
    """The senders, and the valve through which their service reaches storage."""

    def __init__(self, stub: "UploadServiceAsyncStub", http: aiohttp.ClientSession, control: Valve):
        self._stub, self._control = stub, control
        self._put = put_by(http)

    async def open(self, sending: Sending) -> None:
        request = pb.InitializeRequest(
            file_name="film.mp4", size_bytes=SIZE, part_size_bytes=PART, presign_parts=2
        )
        sending.opened = await self._stub.Initialize(request)

    async def open_half(self, sendings: list[Sending]) -> "asyncio.Future[list[None]]":
        """Start to open the uploads, up to the request to storage for each."""
        self._control.close_at(b"?uploads")
        opening = asyncio.gather(*(self.open(sending) for sending in sendings))
        await until(lambda: self._control.blocked == len(sendings))
        return opening

    async def bring_to_stage(self, sending: Sending) -> None:
        first, second = sending.opened.parts
        if sending.stage == "initialized":
            return
        await self.send(sending, first)
        if sending.stage == "aborted":
            await self._stub.Abort(pb.AbortRequest(upload_id=sending.id))
        elif sending.stage != "half sent":
            await self.send(sending, second)
        if sending.stage == "completed":
            await self.complete(sending)

    async def complete_half(self, sendings: list[Sending]) -> "asyncio.Future[list[Any]]":
        """Start to complete them: stop one at the request to storage, the others before it."""
        self._control.close_at(b"POST /")
        completing = asyncio.gather(*(self.complete(sending) for sending in sendings))
        await until(lambda: self._control.blocked >= len(sendings))
        return completing

    async def send(self, sending: Sending, part: upload_pb2.PresignedPart) -> None:
        body = sending.data[part.offset_bytes : part.offset_bytes + part.size_bytes]
        assert (await self._put(part.url, body, part.headers)).status == 200

    async def complete(self, sending: Sending) -> upload_pb2.Upload:
        request = pb.CompleteRequest(upload_id=sending.id)
        return (await insist(lambda: self._stub.Complete(request))).upload

    async def go_on(self, sending: Sending) -> None:
        """Take the sender's next step, whatever it knows; every answer must be right."""
        missing = pb.BatchPresignPartsRequest(upload_id=sending.id)
        about = pb.StatusRequest(upload_id=sending.id)
        if sending.stage == "aborted":
            await self._is_over(lambda: self._stub.BatchPresignParts(missing))
            found = (await insist(lambda: self._stub.Status(about))).upload
            assert found.state == upload_pb2.UPLOAD_STATE_ABORTED
            complete = pb.CompleteRequest(upload_id=sending.id)
            await self._is_over(lambda: self._stub.Complete(complete))
            return
        if sending.stage in ("initialized", "half sent", "all sent"):
            for part in (await insist(lambda: self._stub.BatchPresignParts(missing))).parts:
                await self.send(sending, part)
        done = await self.complete(sending)
        assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
        assert (await self.complete(sending)).object == done.object
        await self._is_over(lambda: self._stub.Abort(pb.AbortRequest(upload_id=sending.id)))
        found = (await insist(lambda: self._stub.Status(about))).upload
        assert found.state == upload_pb2.UPLOAD_STATE_COMPLETED and found.object == done.object

    async def _is_over(self, call: Callable[[], Awaitable[Any]]) -> None:
        found = await failure(insist(call))
        assert (found.code, found.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Retry what may be retried, as every client does."""
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code().name not in ("UNAVAILABLE", "ABORTED"):
                raise
        # As the service asks; it is another process.
        await asyncio.sleep(0.2)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with contextlib.ExitStack() as running:
        yield Memory(tmp_path, running)


@pytest.fixture
def bucket(s3: S3, tmp_path: Path) -> Iterator[Bucket]:
    name = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
    with look_into(s3, f"redis-loss-{name}") as bucket:
        yield bucket


@pytest.mark.parametrize(
    "forget",
    [Memory.flush, Memory.restart_empty, Memory.restart_from_copy],
    ids=["emptied", "killed and empty", "killed and put back from an older copy"],
)
async def test_every_upload_survives_and_no_part_is_sent_twice(
    tmp_path: Path, s3: S3, memory: Memory, bucket: Bucket, forget: Callable[[Memory], None]
) -> None:
    sendings = [Sending(n, STAGES[n % len(STAGES)]) for n in range(EACH * len(STAGES))]
    of_group = [sendings[n * 2 * len(STAGES) : (n + 1) * 2 * len(STAGES)] for n in range(3)]
    being_opened, known, unknown = of_group
    async with Valve(s3.endpoint) as control, Valve(s3.endpoint) as parts:
        settings = {
            "s3_endpoint": control.url,
            "s3_public_endpoint": parts.url,
            "bucket": bucket.name,
            "lease_seconds": 3,
            "janitor_seconds": 1,
        }
        with Service(tmp_path, s3, f"redis://127.0.0.1:{memory.port}/0", **settings) as service:
            await asyncio.to_thread(service.start)
            async with (
                grpc.aio.insecure_channel(service.address) as channel,
                aiohttp.ClientSession() as http,
            ):
                scene = Scene(UploadServiceStub(channel), http, control)
                await asyncio.gather(*(scene.open(sending) for sending in known))
                opening = await scene.open_half(being_opened)
                memory.remember()
                await control.open()
                await opening
                await asyncio.gather(*(scene.open(sending) for sending in unknown))
                await asyncio.gather(*(scene.bring_to_stage(sending) for sending in sendings))
                completing = await scene.complete_half(in_stage(sendings, "completing"))

                forget(memory)

                await control.open()
                for done in await completing:
                    assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
                await asyncio.gather(*(scene.go_on(sending) for sending in sendings))
            assert "Traceback" not in service.logged()

    aborted = in_stage(sendings, "aborted")
    assert parts.puts == {1: len(sendings), 2: len(sendings) - len(aborted)}
    assert bucket.unfinished() == 0
    for sending in sendings:
        key = sending.opened.upload.object.key
        if sending in aborted:
            with pytest.raises(bucket.client.exceptions.NoSuchKey):
                bucket.sha256(key)
        else:
            assert bucket.sha256(key) == hashlib.sha256(sending.data).hexdigest()


def in_stage(sendings: list[Sending], stage: str) -> list[Sending]:
    return [sending for sending in sendings if sending.stage == stage]
