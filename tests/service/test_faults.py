"""Tests one fault at one place, for every place in turn.

A caller that repeats its calls ends with one object, or with nothing, and nothing is left behind.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import grpc
import pytest
from partway.v1 import upload_pb2
from partway_server.domain.errors import StorageUnavailable

from tests.support.calls import ABOUT_AN_UPLOAD, call
from tests.support.world import PART, World

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

OPERATIONS = ["create", "list_multiparts", "list_parts", "complete", "head", "abort", "presigner"]

# A RuntimeError stands for a worker that dies there: no one releases its lease.
DEATH = RuntimeError("the worker dies here")

WHERE = pytest.mark.parametrize(
    ("operation", "when", "nth", "fault", "redis_too"),
    [
        (*place, *fault)
        for place in product(OPERATIONS, ["before", "after"], [0, 1])
        for fault in ((StorageUnavailable(), False), (DEATH, False), (DEATH, True))
    ],
)
"""Every place, and its fault; with `redis_too`, Redis also loses the session record."""

REPEATED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


async def repeated(world: World, attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Return the answer of a call, repeated as the contract says, a lease later each time."""
    for _ in range(6):
        try:
            return await attempt()
        except grpc.aio.AioRpcError as error:
            if error.code() not in REPEATED:
                raise
            world.clock.advance(31)
    raise AssertionError("it does not get better")


async def opened(world: World) -> upload_pb2.Upload:
    request_id = str(uuid.uuid4())
    found: upload_pb2.Upload = await repeated(
        world, lambda: world.initialize(PART + 7, request_id=request_id)
    )
    return found


async def nothing_left_open(world: World, upload: upload_pb2.Upload) -> bool:
    return await world.storage.list_multiparts(world.grant(upload)) == []


class Trouble:
    """A fault that strikes once, at the nth such call; `over` disables it."""

    def __init__(
        self,
        world: World,
        operation: str,
        when: str,
        nth: int,
        error: Exception,
        loses_row: bool = False,
    ) -> None:
        self.upload: upload_pb2.Upload | None = None
        self.over = False
        self._world = world
        self._error = error
        self._loses_row = loses_row
        getattr(world.storage, when)(operation, *[self._pass_by] * nth, self._strike)

    async def _pass_by(self) -> None:
        """Let a call before the nth one pass."""

    async def _strike(self) -> None:
        if self.over:
            return
        if self._loses_row and self.upload is not None:
            row = await self._world.sessions.get(self._world.grant(self.upload).sid)
            if row is not None:
                await self._world.lose_row(self.upload)
        raise self._error


@in_memory
@WHERE
async def test_an_upload_is_completed_in_spite_of_it(
    world: World, operation: str, when: str, nth: int, fault: Exception, redis_too: bool
) -> None:
    trouble = Trouble(world, operation, when, nth, fault, redis_too)
    trouble.upload = upload = await opened(world)
    await repeated(world, lambda: world.send(upload))
    done = await repeated(world, lambda: world.complete(upload))
    if done.state == upload_pb2.UPLOAD_STATE_COMPLETING:
        world.clock.advance(31)
        done = await repeated(world, lambda: world.complete(upload))
    trouble.over = True
    assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert done.object.size_bytes == PART + 7
    assert await nothing_left_open(world, upload)
    assert await world.state(upload) == "COMPLETED"


@in_memory
@WHERE
async def test_an_upload_is_aborted_in_spite_of_it(
    world: World, operation: str, when: str, nth: int, fault: Exception, redis_too: bool
) -> None:
    trouble = Trouble(world, operation, when, nth, fault, redis_too)
    trouble.upload = upload = await opened(world)
    await repeated(world, lambda: world.send(upload, [1]))
    aborted = await repeated(world, lambda: world.abort(upload))
    trouble.over = True
    assert aborted.state == upload_pb2.UPLOAD_STATE_ABORTED
    assert await nothing_left_open(world, upload)
    assert await world.storage.head(world.grant(upload)) is None


@in_memory
@pytest.mark.parametrize(
    ("operation", "when", "nth"),
    list(product(["list_parts", "complete", "head", "abort"], ["before", "after"], [0, 1])),
)
async def test_the_janitor_alone_ends_what_a_dead_worker_left(
    world: World, operation: str, when: str, nth: int
) -> None:
    upload = await opened(world)
    await world.send(upload)
    trouble = Trouble(world, operation, when, nth, DEATH)
    for name in ("Complete", "Abort"):
        try:
            await call(world.stub, name, ABOUT_AN_UPLOAD[name](upload.id))
        except grpc.aio.AioRpcError:
            continue
    for _ in range(8):
        world.clock.advance(2 * 24 * 3600)
        await world.service.janitor.sweep()
    trouble.over = True
    there = await world.storage.head(world.grant(upload)) is not None
    assert await nothing_left_open(world, upload)
    assert await world.state(upload) == ("COMPLETED" if there else "ABORTED")


async def test_a_complete_and_an_abort_at_once_agree(world: World) -> None:
    for delay in range(4):
        upload = await world.initialize(PART + 7)
        await world.send(upload)

        async def later(work: Awaitable[Any], rounds: int) -> Any:
            for _ in range(rounds):
                await asyncio.sleep(0)
            return await work

        answers = await asyncio.gather(
            later(world.complete(upload), 3 * delay),
            later(world.abort(upload), 12 - 3 * delay),
            return_exceptions=True,
        )
        there = await world.storage.head(world.grant(upload)) is not None
        completed, aborted = (isinstance(answer, upload_pb2.Upload) for answer in answers)
        assert completed != aborted
        assert there == completed
        assert await world.state(upload) == ("COMPLETED" if there else "ABORTED")
