"""Tests that ListUploads returns the caller's own uploads, newest first."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import StorageUnavailable
from partway_server.domain.policy import Policy
from partway_server.domain.upload import State
from partway_server.rpc.page_tokens import encode as token_of

from tests.support.calls import call
from tests.support.clock import FakeClock
from tests.support.storage import failing
from tests.support.twins import a_memory_world
from tests.support.upload_situations import Situation, bring_to
from tests.support.world import ALICE, BOB, EVE, PART, World, failure

in_memory = pytest.mark.parametrize("world", ["memory"], indirect=True)


async def list_uploads(world: World, caller: Any = ALICE, **fields: Any) -> pb.ListUploadsResponse:
    request = pb.ListUploadsRequest(**fields)
    answer: pb.ListUploadsResponse = await call(world.stub, "ListUploads", request, caller)
    return answer


async def every(world: World, caller: Any = ALICE, **fields: Any) -> list[upload_pb2.Upload]:
    """Return the uploads of all pages."""
    found: list[upload_pb2.Upload] = []
    token = ""
    for _ in range(1000):
        answer = await list_uploads(world, caller, page_token=token, **fields)
        found += answer.uploads
        token = answer.next_page_token
        if not token:
            return found
    raise AssertionError("the pages do not end")


async def test_uploads_are_told_as_initialize_did_and_newest_first(world: World) -> None:
    opened = []
    for n in range(3):
        opened.append(await world.initialize(1000 + n, fingerprint=str(n)))
        world.clock.advance(1)
    answer = await list_uploads(world)
    assert list(answer.uploads) == opened[::-1]
    assert answer.next_page_token == ""
    assert await list_uploads(world) == answer


async def test_nobody_sees_those_of_another(world: World) -> None:
    await world.initialize(fingerprint="abc")
    for caller in (BOB, EVE):
        assert await list_uploads(world, caller, fingerprint="abc") == pb.ListUploadsResponse()


async def test_a_listed_id_is_as_good_as_the_first(world: World) -> None:
    await world.initialize(fingerprint="resume me")
    (found,) = (await list_uploads(world, fingerprint="resume me")).uploads
    await world.send(found)
    assert (await world.complete(found)).state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_pages_join_without_gap_or_repeat_within_one_second(world: World) -> None:
    opened = {(await world.initialize(1000)).id for _ in range(7)}
    found = [upload.id for upload in await every(world, page_size=2)]
    assert len(found) == 7 and set(found) == opened


async def test_the_state_selects(world: World) -> None:
    by_state = {
        upload_pb2.UPLOAD_STATE_ACTIVE: await bring_to(world, Situation.ACTIVE, 1000),
        upload_pb2.UPLOAD_STATE_COMPLETING: await bring_to(world, Situation.COMPLETING, 1000),
        upload_pb2.UPLOAD_STATE_COMPLETED: await bring_to(world, Situation.COMPLETED, 1000),
        upload_pb2.UPLOAD_STATE_ABORTING: await bring_to(world, Situation.ABORTING, 1000),
        upload_pb2.UPLOAD_STATE_ABORTED: await bring_to(world, Situation.ABORTED, PART + 7),
    }
    for state, upload in by_state.items():
        found = await every(world, state=state)
        assert [(u.id, u.state) for u in found] == [(upload.id, state)]
    assert len(await every(world)) == 5


async def test_the_fingerprint_selects(world: World) -> None:
    await world.initialize(1000, fingerprint="a")
    wanted = await world.initialize(1000, fingerprint="b")
    assert await every(world, fingerprint="b") == [wanted]
    assert await every(world, fingerprint="c") == []
    assert await every(world, fingerprint="b", state=upload_pb2.UPLOAD_STATE_ABORTED) == []


async def test_an_abort_that_is_repeated_is_listed_as_it_was_answered(world: World) -> None:
    upload = await bring_to(world, Situation.ABORTED, PART + 7)
    sid = world.grant(upload).sid
    row, claimed = await world.sessions.claim(sid, State.ABORTING, timedelta(seconds=30))
    assert claimed and row is not None
    (found,) = await every(world, state=upload_pb2.UPLOAD_STATE_ABORTED)
    assert (found.id, found.state) == (upload.id, upload_pb2.UPLOAD_STATE_ABORTED)
    assert await every(world, state=upload_pb2.UPLOAD_STATE_ABORTING) == []


async def test_the_time_of_creation_selects(world: World) -> None:
    opened = []
    for _ in range(5):
        opened.append(await world.initialize(1000))
        world.clock.advance(10)
    at = [upload.create_time for upload in opened]
    newest = opened[::-1]
    assert await every(world, page_size=2, created_from=at[1]) == newest[:4]
    assert await every(world, page_size=2, created_before=at[1]) == newest[4:]
    assert await every(world, created_from=at[1], created_before=at[3]) == newest[2:4]
    assert await every(world, created_from=at[3], created_before=at[1]) == []
    # Creation times are whole seconds; a bound may lie between two.
    after = Timestamp(seconds=at[1].seconds, nanos=1)
    assert await every(world, created_from=after) == newest[:3]
    assert await every(world, created_before=after) == newest[3:]
    first, last = Timestamp(seconds=-62135596800), Timestamp(seconds=253402300799, nanos=1)
    assert await every(world, created_from=first, created_before=last) == newest
    assert await every(world, created_before=first) == []


async def test_the_policy_selects(clock: FakeClock) -> None:
    async with a_memory_world(clock, policies=[Policy("films", "uploads")]) as world:
        await world.initialize(1000)
        wanted = await world.initialize(1000, policy="films")
        assert await every(world, policy="films") == [wanted]
        assert await every(world, policy="none") == []
        assert len(await every(world)) == 2


async def test_an_upload_that_was_never_opened_is_not_told(world: World) -> None:
    """Cover an ID that would lack the multipart upload, and so differ from the final one."""
    world.storage.after("create", failing(StorageUnavailable()))
    request_id = "0b5a9a3e-1111-4222-8333-444455556666"
    await failure(world.initialize(request_id=request_id))
    assert await every(world) == []
    assert await every(world, state=upload_pb2.UPLOAD_STATE_INITIATING) == []
    upload = await world.initialize(request_id=request_id)
    assert await every(world) == [upload]


async def test_one_that_the_janitor_opened_is_told_and_can_be_aborted(world: World) -> None:
    world.storage.after("create", failing(StorageUnavailable()))
    await failure(world.initialize())
    world.clock.advance(200)
    await world.service.janitor.sweep()
    (upload,) = await every(world)
    assert upload.state == upload_pb2.UPLOAD_STATE_ACTIVE
    assert (await world.abort(upload)).state == upload_pb2.UPLOAD_STATE_ABORTED


async def test_a_completed_upload_is_forgotten_with_its_row(world: World) -> None:
    upload = await bring_to(world, Situation.COMPLETED, 1000)
    await world.lose_row(upload)
    assert await every(world) == []


@in_memory
async def test_a_page_holds_50_unless_another_number_is_wanted(world: World) -> None:
    for _ in range(60):
        await world.initialize(1000)
    assert len((await list_uploads(world)).uploads) == 50
    assert len((await list_uploads(world, page_size=200)).uploads) == 60
    assert len((await list_uploads(world, page_size=1)).uploads) == 1


@in_memory
async def test_a_page_larger_than_the_limit_is_as_large_as_that(world: World) -> None:
    for _ in range(201):
        await world.initialize(1000)
    assert len((await list_uploads(world, page_size=2**31 - 1)).uploads) == 200


@in_memory
async def test_a_token_of_long_ago_or_of_the_future_is_no_error(world: World) -> None:
    upload = await world.initialize(1000)
    sid = replace(world.grant(upload)).sid
    assert (await list_uploads(world, page_token=token_of(f"0-{sid}"))).uploads == []
    assert len((await list_uploads(world, page_token=token_of(f"9999999999-{sid}"))).uploads) == 1


@in_memory
@pytest.mark.promise("ListUploads", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("field", "inside", "outside"),
    [
        ("state", {"state": 6}, {"state": 7}),
        ("state", {"state": 0}, {"state": -1}),
        ("fingerprint", {"fingerprint": "~" * 128}, {"fingerprint": "~" * 129}),
        ("fingerprint", {"fingerprint": " "}, {"fingerprint": "\n"}),
        ("fingerprint", {"fingerprint": ""}, {"fingerprint": "é"}),
        ("policy", {"policy": "a" * 64}, {"policy": "a" * 65}),
        ("policy", {"policy": ""}, {"policy": "A"}),
        (
            "created_from",
            {"created_from": Timestamp(seconds=-62135596800)},
            {"created_from": Timestamp(seconds=-62135596801)},
        ),
        (
            "created_before",
            {"created_before": Timestamp(seconds=253402300799, nanos=999_999_999)},
            {"created_before": Timestamp(seconds=253402300800)},
        ),
        (
            "created_before",
            {"created_before": Timestamp(nanos=999_999_999)},
            {"created_before": Timestamp(nanos=1_000_000_000)},
        ),
        ("page_size", {"page_size": 0}, {"page_size": -1}),
        (
            "page_token",
            {"page_token": token_of("1-" + "0" * 32)},
            {"page_token": token_of("1-" + "0" * 31)},
        ),
        (
            "page_token",
            {"page_token": token_of("1-" + "f" * 32)},
            {"page_token": token_of("1-" + "F" * 32)},
        ),
        ("page_token", {"page_token": ""}, {"page_token": token_of("-" + "0" * 32)}),
        (
            "page_token",
            {"page_token": ""},
            {"page_token": token_of("1-" + "0" * 32 + "\n")},
        ),
        (
            "page_token",
            {"page_token": ""},
            {"page_token": token_of("999999999999-" + "0" * 32)},
        ),
    ],
)
async def test_the_limit_of_each_field_is_where_the_contract_says(
    world: World, field: str, inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    await list_uploads(world, **inside)
    failed = await failure(list_uploads(world, **outside))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [v.field for v in failed.details["BadRequest"].field_violations] == [field]
