"""Calls whose callers go away after random microseconds; afterwards each Upload is whole."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Sequence
from typing import Any

import grpc
from google.protobuf import message_factory
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc

from tests.fuzz.lane import REQUESTS, Job
from tests.fuzz.messages import CALLERS, METHODS, Call
from tests.fuzz.sender import Sender, sender_to

_AT_ONCE = 8
_STRUCK = 12
_LATEST_SECONDS = 0.02
_PAUSE_SECONDS = 0.3
_BODY = b"x" * 100
_ALICE = CALLERS[0]
_AGAIN = (
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
_GOING_ON = (upload_pb2.UPLOAD_STATE_ACTIVE, upload_pb2.UPLOAD_STATE_COMPLETING)


def run(job: Job) -> None:
    """Cancel until stopped."""
    asyncio.run(_cancel(job))


async def _cancel(job: Job) -> None:
    chance = random.Random(job.seed)
    async with (
        sender_to(job.wire, connections=2) as sender,
        grpc.aio.insecure_channel(job.wire.grpc) as channel,
    ):
        stub = rpc.UploadServiceStub(channel)
        while job.goes_on():
            chances = [random.Random(chance.getrandbits(64)) for _ in range(_AT_ONCE)]
            await asyncio.gather(*(_one_upload(job, sender, stub, each) for each in chances))


async def _one_upload(
    job: Job, sender: Sender, stub: "rpc.UploadServiceAsyncStub", chance: random.Random
) -> None:
    """Open an Upload, cancel calls about it, then see that it can be finished."""
    request_id, patience = _uuid(), job.wire.patience
    policy = chance.choice(("default", "multipart"))
    opening = pb.InitializeRequest(size_bytes=len(_BODY), policy=policy, request_id=request_id)
    await _struck(job, sender, Call("Initialize", (opening.SerializeToString(),), _ALICE), chance)
    try:
        opened = await _patient(lambda: stub.Initialize(opening, metadata=_ALICE), patience)
        for _ in range(_STRUCK):
            call = _about(opened.upload.id, chance.choice(sorted(METHODS)), request_id)
            if call.method not in ("Abort", "Initialize"):
                await _struck(job, sender, call, chance)
        await _finished(stub, opened.upload.id, patience)
        job.count("finished")
    except (grpc.aio.AioRpcError, _Refused, AssertionError, TimeoutError) as error:
        words = error.details() if isinstance(error, grpc.aio.AioRpcError) else repr(error)
        job.find(f"an Upload could not be finished after calls were cancelled: {words}")


async def _struck(job: Job, sender: Sender, call: Call, chance: random.Random) -> None:
    """Make the call and cancel it at some moment, before or after its answer."""
    begun = sender.begin(call)
    job.count(REQUESTS)
    await asyncio.sleep(chance.choice((0, chance.uniform(0, _LATEST_SECONDS))))
    job.count("cancelled" if begun.cancel() else "answered before")
    if METHODS[call.method].server_streaming:
        return
    try:
        await begun
    except (grpc.aio.AioRpcError, asyncio.CancelledError):
        # What its caller would have heard does not matter: it is gone.
        return


def _about(upload_id: str, name: str, request_id: str) -> Call:
    """Return a plain call of the RPC, about that Upload if it takes one."""
    if name == "UploadPart":
        header = pb.UploadPartHeader(upload_id=upload_id, part_number=1)
        stream: Sequence[pb.UploadPartRequest] = (
            pb.UploadPartRequest(header=header),
            pb.UploadPartRequest(chunk=_BODY),
        )
        return Call(name, tuple(each.SerializeToString() for each in stream), _ALICE)
    request: Any = message_factory.GetMessageClass(METHODS[name].input_type)()
    if "upload_id" in METHODS[name].input_type.fields_by_name:
        request.upload_id = upload_id
    if name == "ReportParts":
        request.parts.add(part_number=1, size_bytes=len(_BODY))
    if name == "Compose":
        request.sources.add(upload_id=upload_id)
        request.request_id = request_id[:-4] + "0000"
    return Call(name, (request.SerializeToString(),), _ALICE)


async def _finished(stub: "rpc.UploadServiceAsyncStub", upload_id: str, patience: float) -> None:
    """Send the part and complete the Upload, whatever the cancelled calls are still doing to it."""
    header = pb.UploadPartHeader(upload_id=upload_id, part_number=1)
    stream = (pb.UploadPartRequest(header=header), pb.UploadPartRequest(chunk=_BODY))
    status = pb.StatusRequest(upload_id=upload_id)
    complete = pb.CompleteRequest(upload_id=upload_id)
    async with asyncio.timeout(patience):
        while True:
            found = (
                await _patient(lambda: stub.Status(status, metadata=_ALICE), patience)
            ).upload.state
            if found == upload_pb2.UPLOAD_STATE_COMPLETED:
                return
            assert found in _GOING_ON, f"Status answered {upload_pb2.UploadState.Name(found)}"
            with contextlib.suppress(_Refused):
                if found == upload_pb2.UPLOAD_STATE_ACTIVE:
                    await _patient(lambda: stub.UploadPart(iter(stream), metadata=_ALICE), patience)
                await _patient(lambda: stub.Complete(complete, metadata=_ALICE), patience)
                continue
            await asyncio.sleep(_PAUSE_SECONDS)


class _Refused(Exception):
    """The call does not fit the state of the Upload, which may be changing."""


async def _patient(make: Any, patience: float) -> Any:
    """Return the answer of a call, repeated while the service asks for that."""
    async with asyncio.timeout(patience):
        while True:
            try:
                return await make()
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                    raise _Refused(error.details()) from error
                if error.code() not in _AGAIN:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)


def _uuid() -> str:
    digits = secrets.token_hex(16)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
