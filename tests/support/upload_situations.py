"""Brings Uploads into each state that a call can meet."""

from dataclasses import replace
from datetime import timedelta
from enum import Enum

from partway.v1 import upload_pb2
from partway_server.domain.upload import State

from tests.support.world import World

LEASE = timedelta(seconds=30)
EXPIRY_SECONDS = 6 * 24 * 3600
LAST_EXPIRY_SECONDS = 30 * 24 * 3600


class Situation(Enum):
    """The state that a call finds. All parts have been sent."""

    PUT_BACK = "INITIATING: an old copy of the row was put back"
    ACTIVE = "ACTIVE"
    EXPIRED = "ACTIVE past its deadline"
    COMPLETING = "COMPLETING, by a worker at work"
    COMPLETING_LEFT = "COMPLETING, by a worker that is gone"
    COMPLETED = "COMPLETED"
    ABORTING = "ABORTING, by a worker at work"
    ABORTING_LEFT = "ABORTING, by a worker that is gone"
    ABORTED = "ABORTED"


async def bring_to(
    world: World, situation: Situation, size: int, **fields: str
) -> upload_pb2.Upload:
    """Bring an Upload into that situation; return it as Initialize did."""
    upload = await world.initialize(size, **fields)
    sid = world.grant(upload).sid
    await world.send(upload)
    match situation:
        case Situation.PUT_BACK:
            await put_back(world, upload, State.INITIATING)
        case Situation.EXPIRED:
            world.clock.advance(EXPIRY_SECONDS + 1)
        case Situation.COMPLETING | Situation.COMPLETING_LEFT:
            await world.sessions.claim(sid, State.COMPLETING, LEASE)
        case Situation.COMPLETED:
            await world.complete(upload)
        case Situation.ABORTING | Situation.ABORTING_LEFT:
            await world.sessions.claim(sid, State.ABORTING, LEASE)
        case Situation.ABORTED:
            await world.abort(upload)
    if situation in (Situation.COMPLETING_LEFT, Situation.ABORTING_LEFT):
        world.clock.advance(LEASE.total_seconds() + 1)
    return upload


async def put_back(world: World, upload: upload_pb2.Upload, state: State) -> None:
    """Restore the session record of the Upload's earlier state, with no lease left."""
    row = await world.sessions.get(world.grant(upload).sid)
    assert row is not None
    await world.lose_row(upload)
    grant = row.grant
    if state is State.INITIATING and not grant.single:
        grant = grant.with_multipart("")
    old = replace(
        row, grant=grant, state=state, epoch=0, object=None, abort_reason=None, manifest=b""
    )
    _, stored = await world.sessions.insert(old, world.clock.now() + LEASE)
    assert stored
