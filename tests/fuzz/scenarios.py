"""Sets the stage for one RPC, calls its handler without gRPC, and brings its Upload to an end."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.protobuf import message_factory
from google.protobuf.message import Message
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import TryAgain, UploadBusy, UploadError, UploadNotActive
from partway_server.domain.grant import Caller
from partway_server.domain.policy import Policy
from partway_server.domain.principal import ALL_SCOPES, Principal
from partway_server.rpc.identity.base import PRINCIPAL
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.memory import MemoryStorage

from tests.fuzz.messages import METHODS
from tests.fuzz.steps import Pausing
from tests.support.clock import START, FakeClock
from tests.support.storage import FaultyObjects, put_into
from tests.support.upload_situations import LEASE
from tests.support.world import World, a_world

RPCS = sorted(METHODS)

_SIZE = 100
_BODY = b"x" * _SIZE
_TURNS = 2000
_TRIES = 6


class _Context:
    """What a handler asks of gRPC."""

    def time_remaining(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Scene:
    """A call that is about to be cancelled, and what must be possible after it."""

    act: Callable[[], Awaitable[Any]]
    settle: Callable[[], Awaitable[None]]

    @staticmethod
    def foreseen(error: BaseException) -> bool:
        return isinstance(error, UploadError)


@dataclass(slots=True)
class Stage:
    """One service; its handlers are called without interceptors."""

    world: World
    single: bool

    async def scene(self, name: str) -> Scene:
        """Set the stage for a call of the RPC."""
        request_id = str(uuid.uuid4())
        if name == "Initialize":
            opening = self._opening(request_id)
            return Scene(lambda: self.call(name, opening), lambda: self._opened(opening))
        if name == "BatchInitialize":
            opening = self._opening(request_id)
            batch = pb.BatchInitializeRequest(requests=[opening])
            return Scene(lambda: self.call(name, batch), lambda: self._opened(opening))
        if name == "Compose":
            composing = await self._composing(request_id)
            return Scene(lambda: self.call(name, composing), lambda: self._composed(composing))
        upload = await self._upload(sent=name not in ("UploadPart", "PutPart"))
        act = self._act(name, upload.id)
        if name == "Abort":
            return Scene(act, lambda: self._aborted(upload.id))
        return Scene(act, lambda: self._completed(upload.id))

    async def call(self, name: str, *requests: Message) -> Any:
        """Return the answer of a handler; of Watch, the first."""
        PRINCIPAL.set(Principal(Caller("acme", "alice"), ALL_SCOPES))
        # The one place where the handlers are without gRPC around them.
        handler = getattr(self.world.service.server._servicer, name)
        if METHODS[name].client_streaming:
            return await handler(_stream(*requests), _Context())
        if not METHODS[name].server_streaming:
            return await handler(requests[0], _Context())
        async with contextlib.aclosing(handler(requests[0], _Context())) as answers:
            found = []
            async for answer in answers:
                found.append(answer)
                if name == "Watch":
                    break
        return found

    async def rested(self, tasks: int) -> str:
        """Let the loop run until no more tasks are left than before; "" if it comes to that."""
        for _ in range(_TURNS):
            if len(asyncio.all_tasks()) <= tasks:
                return ""
            await asyncio.sleep(0)
        return f"{len(asyncio.all_tasks()) - tasks} tasks are left behind"

    def _act(self, name: str, upload_id: str) -> Callable[[], Awaitable[Any]]:
        if name == "UploadPart":
            return lambda: self.call(name, *_part(upload_id))
        if name == "PutPart":
            put = pb.PutPartRequest(upload_id=upload_id, part_number=1)
            put.body.data = _BODY
            return lambda: self.call(name, put)
        request: Any = message_factory.GetMessageClass(METHODS[name].input_type)()
        if "upload_id" in METHODS[name].input_type.fields_by_name:
            request.upload_id = upload_id
        if name == "BatchComplete":
            request.requests.add(upload_id=upload_id)
        if name == "ReportParts":
            request.parts.add(part_number=1, size_bytes=_SIZE)
        if name == "ExtendUpload":
            request.expire_time.FromDatetime(START + timedelta(days=10))
        if name == "Status":
            request.view = pb.STATUS_VIEW_PROGRESS
        return lambda: self.call(name, request)

    def _opening(self, request_id: str = "") -> pb.InitializeRequest:
        policy = "default" if self.single else "multipart"
        return pb.InitializeRequest(
            size_bytes=_SIZE, policy=policy, request_id=request_id, presign_parts=1
        )

    async def _upload(self, *, sent: bool) -> upload_pb2.Upload:
        opened = await self.call("Initialize", self._opening())
        upload: upload_pb2.Upload = opened.upload
        if sent:
            # By the handler: without an await of its own, a PUT would not be seen by Watch.
            await self.call("UploadPart", *_part(upload.id))
        return upload

    async def _composing(self, request_id: str) -> pb.ComposeRequest:
        # One source: storage wants 5 MiB of all but the last.
        source = await self._upload(sent=True)
        await self._completed(source.id)
        return pb.ComposeRequest(
            sources=[pb.ComposeSource(upload_id=source.id)],
            request_id=request_id,
            policy="multipart",
        )

    async def _opened(self, opening: pb.InitializeRequest) -> None:
        answer = await self._answered("Initialize", opening)
        assert answer.upload.state == upload_pb2.UPLOAD_STATE_ACTIVE, answer.upload.state
        await self._completed(answer.upload.id)

    async def _composed(self, composing: pb.ComposeRequest) -> None:
        for _ in range(_TRIES):
            answer = await self._answered("Compose", composing)
            if answer.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED:
                return
            self._wait()
        raise AssertionError(f"the composed Upload stays {answer.upload.state}")

    async def _aborted(self, upload_id: str) -> None:
        try:
            answer = await self._answered("Abort", pb.AbortRequest(upload_id=upload_id))
        except UploadNotActive as error:
            # Of a single PUT the object was there before.
            assert self.single and error.state == "completed", error
            return
        assert answer.upload.state == upload_pb2.UPLOAD_STATE_ABORTED, answer.upload.state

    async def _completed(self, upload_id: str) -> None:
        status = pb.StatusRequest(upload_id=upload_id)
        found = (await self._answered("Status", status)).upload.state
        if found == upload_pb2.UPLOAD_STATE_ACTIVE:
            with contextlib.suppress(UploadNotActive):
                await self._answered("UploadPart", *_part(upload_id))
        for _ in range(_TRIES):
            request = pb.CompleteRequest(upload_id=upload_id)
            answer = await self._answered("Complete", request)
            if answer.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED:
                break
            self._wait()
        found = (await self._answered("Status", status)).upload.state
        assert found == upload_pb2.UPLOAD_STATE_COMPLETED, f"the Upload stays {found}"

    async def _answered(self, name: str, *requests: Message) -> Any:
        """Return the answer of a call, repeated a lease later while the service asks for that."""
        for _ in range(_TRIES):
            try:
                return await self.call(name, *requests)
            except (TryAgain, UploadBusy):
                self._wait()
        return await self.call(name, *requests)

    def _wait(self) -> None:
        self.world.clock.advance(LEASE.total_seconds() + 1)


@contextlib.asynccontextmanager
async def staged(*, single: bool) -> AsyncIterator[Stage]:
    """Start a service over memory twins whose every call suspends."""
    clock = FakeClock(START)
    storage = MemoryStorage()
    policies = [
        Policy("default", "uploads", via_service=True, max_upload_seconds=30 * 24 * 3600),
        Policy(
            "multipart",
            "uploads",
            via_service=True,
            single_put_max_bytes=0,
            max_upload_seconds=30 * 24 * 3600,
        ),
    ]
    async with a_world(
        clock=clock,
        sessions=Pausing(MemorySessionStore(clock)),
        storage=FaultyObjects(Pausing(storage)),
        put=put_into(storage),
        policies=policies,
    ) as world:
        yield Stage(world, single)


def _part(upload_id: str) -> tuple[pb.UploadPartRequest, ...]:
    header = pb.UploadPartHeader(upload_id=upload_id, part_number=1)
    half = _SIZE // 2
    return (
        pb.UploadPartRequest(header=header),
        pb.UploadPartRequest(chunk=_BODY[:half]),
        pb.UploadPartRequest(chunk=_BODY[half:]),
    )


async def _stream(*requests: Message) -> AsyncIterator[Message]:
    for request in requests:
        await asyncio.sleep(0)
        yield request
