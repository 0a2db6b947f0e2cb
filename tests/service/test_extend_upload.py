"""Tests that ExtendUpload gives a later deadline, and that every ID goes on to work."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.policy import Policy
from partway_server.domain.upload import State, Upload

from tests.support.calls import ABOUT_AN_UPLOAD, call
from tests.support.clock import FakeClock
from tests.support.twins import a_memory_world
from tests.support.upload_situations import LEASE, Situation, bring_to, put_back
from tests.support.world import ALICE, PART, World, failure

DAY = 24 * 3600
DEADLINE = 6 * DAY
"""By the default policy, in seconds after create_time."""

LAST = 30 * DAY
TWO_PARTS = PART + 7

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)


def after(upload: upload_pb2.Upload, seconds: float) -> datetime:
    """Return a time so many seconds after the Upload was created."""
    return upload.create_time.ToDatetime(UTC) + timedelta(seconds=seconds)


async def extend(
    world: World, upload: upload_pb2.Upload, seconds: float, caller: Any = ALICE
) -> upload_pb2.Upload:
    """Ask for a deadline so many seconds after the Upload was created."""
    request = pb.ExtendUploadRequest(upload_id=upload.id)
    request.expire_time.FromDatetime(after(upload, seconds))
    return (await world.stub.ExtendUpload(request, metadata=caller)).upload


async def status(world: World, upload: upload_pb2.Upload) -> upload_pb2.Upload:
    request = pb.StatusRequest(upload_id=upload.id)
    return (await world.stub.Status(request, metadata=ALICE)).upload


async def at(world: World, upload: upload_pb2.Upload, seconds: float) -> None:
    """Let it be so many seconds after the Upload was created, and the janitor look."""
    left = after(upload, seconds) - world.clock.now()
    world.clock.advance(left.total_seconds())
    await world.service.janitor.sweep()


@in_memory
async def test_an_upload_goes_on_past_its_first_deadline(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload, [1])
    extended = await extend(world, upload, 10 * DAY)
    assert extended.id != upload.id
    assert extended.expire_time.ToDatetime(UTC) == after(upload, 10 * DAY)
    # Nothing else is different.
    expected = upload_pb2.Upload()
    expected.CopyFrom(upload)
    expected.id, expected.expire_time.seconds = extended.id, extended.expire_time.seconds
    assert extended == expected
    await at(world, upload, 10 * DAY - 1)
    for each in (upload, extended):
        assert await status(world, each) == extended
    await world.send(upload, [2])
    await world.send(extended)
    done = await world.complete(upload)
    assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert await world.complete(extended) == done


async def test_it_expires_at_the_later_deadline(world: World) -> None:
    upload = await world.initialize()
    extended = await extend(world, upload, 10 * DAY)
    await at(world, upload, 10 * DAY)
    shown = await status(world, extended)
    assert shown.state == upload_pb2.UPLOAD_STATE_ABORTED
    assert shown.abort_reason == upload_pb2.ABORT_REASON_EXPIRED
    assert await world.storage.list_multiparts(world.grant(upload)) == []


@in_memory
async def test_a_single_put_is_extended_as_well(world: World) -> None:
    upload = await world.initialize(100)
    extended = await extend(world, upload, 10 * DAY)
    await at(world, upload, 7 * DAY)
    await world.send(upload)
    assert (await world.complete(extended)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@in_memory
async def test_lists_watches_and_repeats_show_the_new_deadline(world: World) -> None:
    request_id = str(uuid4())
    upload = await world.initialize(request_id=request_id)
    watch = world.stub.Watch(pb.WatchRequest(upload_id=upload.id), metadata=ALICE)
    assert (await anext(aiter(watch))).upload == upload
    extended = await extend(world, upload, 10 * DAY)
    assert (await anext(aiter(watch))).upload == extended
    watch.cancel()
    listed = await world.stub.ListUploads(pb.ListUploadsRequest(), metadata=ALICE)
    assert list(listed.uploads) == [extended]
    assert await world.initialize(request_id=request_id) == extended


@in_memory
async def test_an_earlier_or_equal_deadline_changes_nothing(world: World) -> None:
    upload = await world.initialize()
    row = await world.sessions.get(world.grant(upload).sid)
    for seconds in (-100 * 365 * DAY, -1, 0, DEADLINE - 1, DEADLINE):
        assert await extend(world, upload, seconds) == upload
    assert await world.sessions.get(world.grant(upload).sid) == row
    extended = await extend(world, upload, 10 * DAY)
    assert await extend(world, upload, 9 * DAY) == extended
    assert await extend(world, extended, 10 * DAY) == extended


@in_memory
async def test_a_deadline_is_rounded_up_to_a_whole_second(world: World) -> None:
    upload = await world.initialize()
    extended = await extend(world, upload, DEADLINE + 0.001)
    assert extended.expire_time.ToDatetime(UTC) == after(upload, DEADLINE + 1)
    extended = await extend(world, upload, LAST - 0.5)
    assert extended.expire_time.ToDatetime(UTC) == after(upload, LAST)


@pytest.mark.promise("ExtendUpload", "INVALID_ARGUMENT")
@in_memory
async def test_a_deadline_past_the_policys_is_refused(world: World) -> None:
    upload = await world.initialize()
    for seconds in (LAST + 0.001, LAST + 1, 400 * DAY):
        failed = await failure(extend(world, upload, seconds))
        assert failed.code == "INVALID_ARGUMENT"
        [violation] = failed.details["BadRequest"].field_violations
        assert violation.field == "expire_time"
        assert f"{after(upload, LAST):%Y-%m-%dT%H:%M:%SZ}" in violation.description
    latest = pb.ExtendUploadRequest(upload_id=upload.id)
    latest.expire_time.CopyFrom(Timestamp(seconds=253_402_300_799, nanos=999_999_999))
    failed = await failure(world.stub.ExtendUpload(latest, metadata=ALICE))
    assert failed.code == "INVALID_ARGUMENT"
    assert await extend(world, upload, LAST) != upload


@pytest.mark.promise("ExtendUpload", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ExtendUploadRequest(expire_time=Timestamp(seconds=1)), "upload_id"),
        (pb.ExtendUploadRequest(upload_id="x"), "expire_time"),
        (pb.ExtendUploadRequest(upload_id="x", expire_time=Timestamp(nanos=-1)), "expire_time"),
        (
            pb.ExtendUploadRequest(upload_id="x", expire_time=Timestamp(seconds=253_402_300_800)),
            "expire_time",
        ),
    ],
)
@in_memory
async def test_a_field_that_is_missing_or_no_time_is_refused(
    world: World, request_: pb.ExtendUploadRequest, field: str
) -> None:
    failed = await failure(world.stub.ExtendUpload(request_, metadata=ALICE))
    assert failed.code == "INVALID_ARGUMENT"
    assert [v.field for v in failed.details["BadRequest"].field_violations] == [field]


async def test_what_the_policy_allowed_when_it_began_and_what_it_allows_now_both_bound_it(
    clock: FakeClock,
) -> None:
    tight = Policy("default", "uploads", max_upload_seconds=8 * DAY)
    wide = Policy("default", "uploads", max_upload_seconds=20 * DAY)
    async with a_memory_world(clock, policies=[tight]) as world:
        begun_tight = await world.initialize()
        world.policies.replace({"default": wide})
        begun_wide = await world.initialize()
        # The key of the first says until when a sweep leaves it alone, for ever.
        assert (await failure(extend(world, begun_tight, 9 * DAY))).code == "INVALID_ARGUMENT"
        assert await extend(world, begun_tight, 8 * DAY) != begun_tight
        extended = await extend(world, begun_wide, 10 * DAY)
        world.policies.replace({"default": tight})
        assert (await failure(extend(world, extended, 11 * DAY))).code == "INVALID_ARGUMENT"
        assert await extend(world, extended, 9 * DAY) == extended
        world.policies.replace({"other": Policy("other", "uploads")})
        assert (await failure(extend(world, begun_tight, 9 * DAY))).code == "INVALID_ARGUMENT"
        assert await extend(world, extended, 10 * DAY) == extended


@pytest.mark.promise("ExtendUpload", "NOT_FOUND")
@in_memory
async def test_another_callers_upload_does_not_exist(world: World) -> None:
    upload = await world.initialize()
    for caller in ((*ALICE[:1], ("partway-subject", "bob")), (("partway-tenant", "evil"),)):
        failed = await failure(extend(world, upload, 10 * DAY, caller))
        assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")


@pytest.mark.promise("ExtendUpload", "FAILED_PRECONDITION")
@pytest.mark.parametrize(
    "situation", [each for each in Situation if each not in (Situation.ACTIVE, Situation.PUT_BACK)]
)
@in_memory
async def test_an_upload_that_is_not_active_is_not_extended(
    world: World, situation: Situation
) -> None:
    upload = await bring_to(world, situation, TWO_PARTS)
    failed = await failure(extend(world, upload, 10 * DAY))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    row = await world.sessions.get(world.grant(upload).sid)
    assert row is not None and row.grant.expire_time == after(upload, DEADLINE)


async def test_a_stale_record_of_an_upload_that_ended_is_not_extended(world: World) -> None:
    upload = await bring_to(world, Situation.COMPLETED, TWO_PARTS)
    await put_back(world, upload, State.INITIATING)
    failed = await failure(extend(world, upload, 10 * DAY))
    assert failed.metadata["state"] == "UPLOAD_STATE_COMPLETED"


# ---- Redis loses data


@in_memory
async def test_the_new_id_has_the_new_deadline_if_redis_is_lost(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    extended = await extend(world, upload, 10 * DAY)
    await world.lose_row(upload)
    await at(world, upload, 9 * DAY)
    assert await status(world, extended) == extended
    await world.send(extended)
    await at(world, upload, 9.5 * DAY)
    assert (await world.complete(extended)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@in_memory
async def test_the_later_deadline_wins_in_either_order(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    extended = await extend(world, upload, 10 * DAY)
    await world.lose_row(upload)
    assert await status(world, upload) == upload
    assert await status(world, extended) == extended
    assert await status(world, upload) == extended
    await world.lose_row(upload)
    assert await status(world, extended) == extended
    assert await status(world, upload) == extended


@pytest.mark.parametrize("name", ABOUT_AN_UPLOAD)
@in_memory
async def test_each_call_by_the_new_id_restores_a_lost_extension(world: World, name: str) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    row = await world.sessions.get(world.grant(upload).sid)
    extended = await extend(world, upload, 10 * DAY)
    # A failover goes back to the record from before the extension.
    await world.lose_row(upload)
    assert row is not None
    await world.sessions.insert(row, row.grant.expire_time)
    await call(world.stub, name, ABOUT_AN_UPLOAD[name](extended.id))
    found = await world.sessions.get(row.sid)
    assert found is not None and found.grant.expire_time == after(upload, 10 * DAY)


@in_memory
async def test_an_old_id_does_not_end_what_a_newer_one_may_be_used_for(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    extended = await extend(world, upload, 10 * DAY)
    await world.lose_row(upload)
    # A page that was not given the new one.
    assert await status(world, upload) == upload
    await at(world, upload, DEADLINE + 1)
    refused = await failure(world.presigned(upload))
    assert refused.metadata["abort_reason"] == "ABORT_REASON_EXPIRED"
    await at(world, upload, 9 * DAY)
    assert (await world.complete(extended)).state == upload_pb2.UPLOAD_STATE_COMPLETED


@in_memory
async def test_what_only_an_old_id_is_left_of_ends_with_the_last_deadline(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    await world.lose_row(upload)
    await world.state(upload)
    await at(world, upload, DEADLINE)
    # It comes up once, and not every few minutes until then.
    sid = world.grant(upload).sid
    await at(world, upload, LAST - 1)
    assert await world.sessions.peek_due(10) == []
    assert await world.state(upload) == "ACTIVE"
    await at(world, upload, LAST)
    assert await world.state(upload) == "ABORTED"
    assert await world.sessions.get(sid) is not None


async def test_the_sweep_leaves_what_an_extension_may_have_saved(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    extended = await extend(world, upload, LAST)
    await world.lose_row(upload)
    await at(world, upload, LAST - 1)
    await world.service.sweeper.sweep()
    assert (await world.complete(extended)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_the_sweep_ends_what_no_id_can_be_used_for(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await world.lose_row(upload)
    await at(world, upload, LAST + DAY)
    await world.service.sweeper.sweep()
    assert await world.storage.list_multiparts(world.grant(upload)) == []


# ---- races


@in_memory
async def test_a_janitor_that_looked_before_the_extension_aborts_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await world.initialize(TWO_PARTS)
    world.clock.advance(DEADLINE)
    looked, go_on = asyncio.Event(), asyncio.Event()
    get = world.sessions.get

    async def get_and_wait(sid: str) -> Upload | None:
        row = await get(sid)
        monkeypatch.setattr(world.sessions, "get", get)
        looked.set()
        await go_on.wait()
        return row

    monkeypatch.setattr(world.sessions, "get", get_and_wait)
    sweeping = asyncio.create_task(world.service.janitor.sweep())
    await looked.wait()
    # The clock of the replica that extends is behind.
    world.clock.advance(-1)
    extended = await extend(world, upload, 10 * DAY)
    world.clock.advance(1)
    go_on.set()
    assert await sweeping == [world.grant(upload).sid]
    assert await status(world, upload) == extended
    assert "abort" not in world.storage.calls


@in_memory
async def test_an_abort_that_came_first_is_not_undone(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    seen = await _row(world, upload)
    await world.sessions.claim(seen.sid, State.ABORTING, LEASE)
    failed = await failure(extend(world, upload, 10 * DAY))
    assert failed.metadata["state"] == "UPLOAD_STATE_ABORTING"


@in_memory
async def test_a_complete_at_the_same_time_succeeds(world: World) -> None:
    upload = await bring_to(world, Situation.ACTIVE, TWO_PARTS)
    completing = asyncio.create_task(world.complete(upload))
    extending = [extend(world, upload, (7 + n) * DAY) for n in range(8)]
    for answer in await asyncio.gather(*extending, return_exceptions=True):
        # Too late for some, by the Complete.
        assert isinstance(answer, upload_pb2.Upload | grpc.aio.AioRpcError)
    done = await completing
    assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED


@in_memory
async def test_of_many_at_once_the_latest_wins(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    days = [7, 12, 9, 20, 8, 15]
    answers = await asyncio.gather(*(extend(world, upload, n * DAY) for n in days))
    for n, answer in zip(days, answers, strict=True):
        assert answer.expire_time.ToDatetime(UTC) >= after(upload, n * DAY)
    assert (await status(world, upload)).expire_time.ToDatetime(UTC) == after(upload, 20 * DAY)


# ---- tokens, URLs and usage


@in_memory
async def test_tokens_made_after_it_last_longer_and_those_before_still_match(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    make = pb.CreateUploadTokenRequest(upload_id=upload.id)
    first = (await world.stub.CreateUploadToken(make, metadata=ALICE)).upload_token
    extended = await extend(world, upload, 10 * DAY)
    for each in (upload, extended):
        make = pb.CreateUploadTokenRequest(upload_id=each.id)
        second = (await world.stub.CreateUploadToken(make, metadata=ALICE)).upload_token
        assert second.expire_time == extended.expire_time
    assert first.expire_time == upload.expire_time
    for token in (first, second):
        holder = (("authorization", f"Partway {token.token}"),)
        for each in (upload, extended):
            answer = await world.stub.Status(pb.StatusRequest(upload_id=each.id), metadata=holder)
            assert answer.upload == extended
    failed = await failure(extend(world, upload, 11 * DAY, holder))
    assert failed.code == "PERMISSION_DENIED"
    world.clock.advance(DEADLINE)
    old = await failure(
        world.stub.Status(
            pb.StatusRequest(upload_id=upload.id),
            metadata=(("authorization", f"Partway {first.token}"),),
        )
    )
    assert old.reason == "UPLOAD_TOKEN_EXPIRED"
    await world.stub.Status(pb.StatusRequest(upload_id=upload.id), metadata=holder)


@in_memory
async def test_an_extended_upload_stays_counted_until_it_ends(world: World) -> None:
    upload = await world.initialize(TWO_PARTS)
    await extend(world, upload, 10 * DAY)
    await at(world, upload, 9 * DAY)
    usage = await world.stub.GetUsage(pb.GetUsageRequest(), metadata=ALICE)
    assert {e.limit: e.used for e in usage.tenant}["open_uploads"] == 1
    await at(world, upload, 10 * DAY)
    usage = await world.stub.GetUsage(pb.GetUsageRequest(), metadata=ALICE)
    assert {e.limit: e.used for e in usage.tenant}["open_uploads"] == 0


async def _row(world: World, upload: upload_pb2.Upload) -> Any:
    return await world.sessions.get(world.grant(upload).sid)
