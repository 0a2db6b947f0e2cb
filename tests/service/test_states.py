"""Tests every call about an upload, in every state that the upload can be in."""

import grpc
import pytest
from partway.v1 import upload_pb2

from tests.support.calls import ABOUT_AN_UPLOAD, call
from tests.support.upload_situations import Situation, bring_to
from tests.support.world import PART, World, failure_of

TWO_PARTS = PART + 7
ONE_PUT = 1000

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)

# The result of a call: the state it returns, or its code, its reason and the state it names.
BUSY = "ABORTED UPLOAD_BUSY"
NOT_ACTIVE = "FAILED_PRECONDITION UPLOAD_NOT_ACTIVE"

OUTCOMES = {
    Situation.PUT_BACK: {"Complete": "COMPLETED", "Abort": "ABORTED", "Status": "ACTIVE"},
    Situation.ACTIVE: {"Complete": "COMPLETED", "Abort": "ABORTED", "Status": "ACTIVE"},
    Situation.EXPIRED: {
        "PresignParts": f"{NOT_ACTIVE} ACTIVE EXPIRED",
        "BatchPresignParts": f"{NOT_ACTIVE} ACTIVE EXPIRED",
        "ListParts": f"{NOT_ACTIVE} ACTIVE EXPIRED",
        "ReportParts": f"{NOT_ACTIVE} ACTIVE EXPIRED",
        "ExtendUpload": f"{NOT_ACTIVE} ACTIVE EXPIRED",
        "Complete": "COMPLETED",
        "Abort": "ABORTED",
        "Status": "ACTIVE",
    },
    Situation.COMPLETING: {
        "PresignParts": f"{NOT_ACTIVE} COMPLETING",
        "BatchPresignParts": f"{NOT_ACTIVE} COMPLETING",
        "ListParts": f"{NOT_ACTIVE} COMPLETING",
        "ReportParts": f"{NOT_ACTIVE} COMPLETING",
        "ExtendUpload": f"{NOT_ACTIVE} COMPLETING",
        # It waits for the other worker until its deadline; by then the lease has expired.
        "Complete": "COMPLETING",
        "Abort": f"{NOT_ACTIVE} COMPLETING",
        "Status": "COMPLETING",
    },
    Situation.COMPLETING_LEFT: {
        "PresignParts": f"{NOT_ACTIVE} COMPLETING",
        "BatchPresignParts": f"{NOT_ACTIVE} COMPLETING",
        "ListParts": f"{NOT_ACTIVE} COMPLETING",
        "ReportParts": f"{NOT_ACTIVE} COMPLETING",
        "ExtendUpload": f"{NOT_ACTIVE} COMPLETING",
        "Complete": "COMPLETED",
        "Abort": "ABORTED",
        "Status": "COMPLETING",
    },
    Situation.COMPLETED: {
        "PresignParts": f"{NOT_ACTIVE} COMPLETED",
        "BatchPresignParts": f"{NOT_ACTIVE} COMPLETED",
        "ListParts": f"{NOT_ACTIVE} COMPLETED",
        "ReportParts": f"{NOT_ACTIVE} COMPLETED",
        "ExtendUpload": f"{NOT_ACTIVE} COMPLETED",
        "Complete": "COMPLETED",
        "Abort": f"{NOT_ACTIVE} COMPLETED",
        "Status": "COMPLETED",
    },
    Situation.ABORTING: {
        "PresignParts": f"{NOT_ACTIVE} ABORTING",
        "BatchPresignParts": f"{NOT_ACTIVE} ABORTING",
        "ListParts": f"{NOT_ACTIVE} ABORTING",
        "ReportParts": f"{NOT_ACTIVE} ABORTING",
        "ExtendUpload": f"{NOT_ACTIVE} ABORTING",
        # The outcome of the other worker is not known before the deadline.
        "Complete": "UNAVAILABLE TIMED_OUT",
        "Abort": BUSY,
        "Status": "ABORTING",
    },
    Situation.ABORTING_LEFT: {
        "PresignParts": f"{NOT_ACTIVE} ABORTING",
        "BatchPresignParts": f"{NOT_ACTIVE} ABORTING",
        "ListParts": f"{NOT_ACTIVE} ABORTING",
        "ReportParts": f"{NOT_ACTIVE} ABORTING",
        "ExtendUpload": f"{NOT_ACTIVE} ABORTING",
        "Complete": f"{NOT_ACTIVE} ABORTED REQUESTED",
        "Abort": "ABORTED",
        "Status": "ABORTING",
    },
    Situation.ABORTED: {
        "PresignParts": f"{NOT_ACTIVE} ABORTED REQUESTED",
        "BatchPresignParts": f"{NOT_ACTIVE} ABORTED REQUESTED",
        "ListParts": f"{NOT_ACTIVE} ABORTED REQUESTED",
        "ReportParts": f"{NOT_ACTIVE} ABORTED REQUESTED",
        "ExtendUpload": f"{NOT_ACTIVE} ABORTED REQUESTED",
        "Complete": f"{NOT_ACTIVE} ABORTED REQUESTED",
        "Abort": "ABORTED",
        "Status": "ABORTED",
    },
}


async def outcome(world: World, name: str, upload: upload_pb2.Upload) -> str:
    """Return the result of a call, in one line."""
    request = ABOUT_AN_UPLOAD[name](upload.id)
    try:
        answer = await call(world.stub, name, request, seconds=40)
    except grpc.aio.AioRpcError as error:
        failed = failure_of(error)
        named = (failed.metadata.get(key, "") for key in ("state", "abort_reason"))
        words = [name.removeprefix("UPLOAD_STATE_").removeprefix("ABORT_REASON_") for name in named]
        return " ".join(word for word in (failed.code, failed.reason, *words) if word)
    if name not in ("Complete", "Abort", "Status"):
        return "OK"
    return upload_pb2.UploadState.Name(answer.upload.state).removeprefix("UPLOAD_STATE_")


@in_memory
@pytest.mark.parametrize("name", ABOUT_AN_UPLOAD)
@pytest.mark.parametrize("situation", Situation, ids=lambda s: s.name)
async def test_every_call_meets_every_state(world: World, situation: Situation, name: str) -> None:
    upload = await bring_to(world, situation, TWO_PARTS)
    assert await outcome(world, name, upload) == OUTCOMES[situation].get(name, "OK")


@pytest.mark.parametrize("name", ["Complete", "Abort"])
@pytest.mark.parametrize(
    "situation",
    [
        Situation.PUT_BACK,
        Situation.COMPLETING_LEFT,
        Situation.ABORTING_LEFT,
        Situation.COMPLETED,
        Situation.ABORTED,
    ],
    ids=lambda s: s.name,
)
async def test_what_was_decided_stays_decided(
    world: World, situation: Situation, name: str
) -> None:
    upload = await bring_to(world, situation, TWO_PARTS)
    first = await outcome(world, name, upload)
    assert first == OUTCOMES[situation][name]
    state = await world.state(upload)
    assert await outcome(world, name, upload) == first
    assert await world.state(upload) == state
    there = await world.storage.head(world.grant(upload))
    assert (there is not None) == (state == "COMPLETED")


@pytest.mark.usefixtures("single_puts")
async def test_a_single_put_that_arrived_cannot_be_aborted(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, ONE_PUT)
    assert await outcome(world, "Abort", upload) == f"{NOT_ACTIVE} COMPLETED"
    assert await world.state(upload) == "COMPLETED"
    assert await world.storage.head(world.grant(upload)) is not None


async def test_a_single_put_that_did_not_arrive_can_be_aborted(world: World) -> None:
    upload = await world.initialize(ONE_PUT)
    assert await outcome(world, "Abort", upload) == "ABORTED"
    assert await outcome(world, "Abort", upload) == "ABORTED"
    assert await outcome(world, "Complete", upload) == f"{NOT_ACTIVE} ABORTED REQUESTED"
